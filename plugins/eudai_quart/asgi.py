"""The ASGI application."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from eudai_core.settings import Settings
from eudai_quart import guard, headers, idempotency, problems
from eudai_quart.blueprints import mount_all
from eudai_quart.body import Request
from eudai_quart.context import Surface
from eudai_quart.cors import Origins
from eudai_quart.hosts import Hosts
from eudai_quart.ids import IdConverter
from eudai_quart.lifelines import Lifelines
from eudai_quart.proxies import Proxies, networks
from eudai_quart.routes import BLUEPRINTS
from eudai_quart.settings import QuartSettings
from eudai_quart.sockets import Socket, SocketConnection

if TYPE_CHECKING:
    from eudai_core.app import Application

__all__ = ["create_app"]


def create_app(application: Application) -> Surface:
    """Return the web application that speaks for ``application``; it knows nothing of the server that runs it."""
    app = Surface("eudai_quart", static_folder=None)
    app.application = application
    app.lifelines = Lifelines(application)
    app.request_class = Request
    app.websocket_class = Socket
    app.asgi_websocket_class = SocketConnection
    app.url_map.converters["id"] = IdConverter
    app.url_map.strict_slashes = False
    # Sizes and times are bounded where they arise: bodies in eudai_quart.body, writes in eudai_quart.server.
    app.config.update(MAX_CONTENT_LENGTH=None, BODY_TIMEOUT=None, RESPONSE_TIMEOUT=None)
    core, settings = application.core, _settings(application.host.settings)
    pages = Origins(core.allowed_origins)
    problems.install(app)
    guard.install(app, Hosts(settings.allowed_hosts, bound=core.host), pages)
    headers.install(app, pages)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    mount_all(app, settings.grants)
    idempotency.install(app)
    trusted = networks(settings.trusted_proxies)
    app.asgi_app = Proxies(app.asgi_app, trusted, settings.proxy_headers)  # type: ignore[method-assign, assignment]

    @app.while_serving
    async def _keep_lifelines() -> AsyncGenerator[None]:
        async with app.lifelines.kept():
            yield

    return app


def _settings(settings: Settings) -> QuartSettings:
    return settings.section(QuartSettings)
