"""The paths of the contract's section 1, each a thin translation to a service."""

from eudai_quart.routes import (
    admin,
    auth,
    conversations,
    docs,
    downloads,
    events,
    files,
    health,
    instructions,
    keys,
    messages,
    models,
    projects,
    search,
    sockets,
    urls,
    users,
)

__all__ = ["BLUEPRINTS"]

BLUEPRINTS = (
    auth.blueprint,
    users.blueprint,
    keys.blueprint,
    projects.blueprint,
    files.blueprint,
    urls.blueprint,
    instructions.blueprint,
    conversations.blueprint,
    messages.blueprint,
    models.blueprint,
    downloads.blueprint,
    search.blueprint,
    admin.blueprint,
    health.blueprint,
    docs.blueprint,
    events.blueprint,
    sockets.blueprint,
)
