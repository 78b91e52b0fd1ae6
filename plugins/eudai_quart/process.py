"""One server process, from its first line to its last."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from eudai_core.app import Application
from eudai_core.errors import ModelNotFound
from eudai_core.lines import LineFormatter
from eudai_core.services.models import best, find
from eudai_core.settings import CoreSettings, Settings, SettingSource
from eudai_quart.asgi import create_app
from eudai_quart.server.listener import bind, url_of
from eudai_quart.server.signals import stop_on_signals

__all__ = ["run", "run_server"]

ADVICE: Final = "for a language model install Ollama (https://ollama.com) and run: ollama pull deepseek-r1"
SERVERS: Final = {"hypercorn": "eudai_quart.server.runner", "uvicorn": "eudai_quart.server.uvicorn_runner"}


def run(overrides: Mapping[str, str], server: str = "hypercorn") -> None:
    """Run a server until it is told to stop, on uvloop where it is installed.

    Raises:
        ConfigError: a setting is wrong, or a required plugin failed.
        Unavailable: the port is taken; says which one is free.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(run_server(overrides, server))


async def run_server(overrides: Mapping[str, str], server: str) -> None:
    """Bind, open the application, serve, drain, close."""
    core = Settings.load(overrides=overrides).section(CoreSettings)
    _log_to_stderr(core.log_level)
    stopping = asyncio.Event()
    with bind(core.host, core.port) as listener, stop_on_signals(stopping):
        serve = importlib.import_module(SERVERS[server]).serve
        async with Application.open(overrides=overrides) as app:
            greeting = _Greeting(app, url_of(listener, core.host))
            try:
                await serve(
                    create_app(app),
                    listener,
                    ready=greeting.begin,
                    stopping=stopping,
                    drain=lambda: app.drain(core.drain_grace_s),
                )
            finally:
                await greeting.end()


class _Greeting:
    """The three lines that a server says on stdout."""

    def __init__(self, app: Application, url: str) -> None:
        self._app = app
        self._url = url
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Say where it listens and where the data is, and, as soon as that is known, what answers."""
        _say(f"Listening on {self._url}")
        _say(f"Data: {_data(self._app)}")
        self._task = asyncio.create_task(self._say_model())

    async def end(self) -> None:
        """Stop looking for a model."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _say_model(self) -> None:
        available = await self._app.models.available()
        wish = self._app.core.default_model
        try:
            model = find(available, wish) if wish else best(available)
        except ModelNotFound as error:
            _say(f"Model: none. {error.detail}")
            return
        if model.is_language_model:
            _say(f"Model: {model.name} ({model.backend})")
        else:
            _say(f"Model: {model.name}, which quotes your documents; {ADVICE}")


def _data(app: Application) -> str:
    directory = str(app.core.data_dir)
    if app.storage.single_process:
        return directory
    database = app.host.settings.explain("EUDAI_DATABASE_URL")
    where = "the default" if database.source is SettingSource.DEFAULT else database.where
    return f"{directory}; database: PostgreSQL (see {where})"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _log_to_stderr(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for chatty in ("asyncio", "hypercorn", "uvicorn", "aiosqlite", "alembic"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        uvloop: Any = importlib.import_module("uvloop")
    except ImportError:
        return None  # Windows, or an interpreter without wheels: asyncio's own loop does
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
