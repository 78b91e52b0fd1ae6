"""The paths of the contract's section 1, each a thin translation to a service."""

from eudai_quart.routes import (
    auth,
    conversations,
    downloads,
    files,
    health,
    instructions,
    messages,
    models,
    projects,
    sockets,
)

__all__ = ["BLUEPRINTS"]

BLUEPRINTS = (
    auth.blueprint,
    projects.blueprint,
    files.blueprint,
    instructions.blueprint,
    conversations.blueprint,
    messages.blueprint,
    models.blueprint,
    downloads.blueprint,
    health.blueprint,
    sockets.blueprint,
)
