"""Routes of other plugins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from quart import Blueprint

from eudai_core.errors import ConfigError, PluginError
from eudai_core.hooks import hookimpl
from eudai_core.plugins.discovery import discover
from eudai_quart.blueprints import Mount, grants_of
from support.client import Client, client
from support.server import running_server

garden = Blueprint("garden", __name__)


@garden.get("/roses")
async def roses() -> str:
    return "red"


@garden.get("/open")
async def everybody() -> str:
    return "come in"


class Gardener:
    eudai_api = (0, 1)

    def __init__(self) -> None:
        self.register: Any = None

    @hookimpl
    def eudai_register_blueprints(self, register: Any) -> None:
        self.register = register
        register(f"{__name__}:garden", public=("everybody",))


class Squatter:
    eudai_api = (0, 1)

    @hookimpl
    def eudai_register_blueprints(self, register: Any) -> None:
        register(garden, prefix="/")


async def test_routes_stand_under_the_plugins_path_behind_the_guard(tmp_path: Path) -> None:
    gardener = Gardener()
    names = [candidate.record.name for candidate in discover()]
    plugins = [*names, ("gardener", gardener), ("squatter", Squatter())]
    settings = {"EUDAI_DATA_DIR": str(tmp_path), "EUDAI_OLLAMA_HOST": "127.0.0.1:1"}
    async with running_server(settings, plugins=plugins) as server, client(server.url) as user:
        assert (await user.request("GET", "/api/x/gardener/roses")).body == b"red"
        nobody = Client(user.url, user.http)
        assert (await nobody.request("GET", "/api/x/gardener/roses")).status == 401
        assert (await nobody.request("GET", "/api/x/gardener/open")).body == b"come in"
        assert (await nobody.request("GET", "/roses")).status == 404
        squatter = next(state for state in server.app.host.states() if state.name == "squatter")
        assert "EUDAI_QUART_GRANTS" in squatter.detail
        with pytest.raises(PluginError):
            gardener.register(garden)


def test_grants_are_pairs() -> None:
    assert grants_of(["a=/x", "b=/"]) == {"a": "/x", "b": "/"}
    for bad in ("a", "a=x", "=/x"):
        with pytest.raises(ConfigError):
            grants_of([bad])


def test_what_is_no_blueprint_is_refused() -> None:
    mount = Mount.__new__(Mount)
    mount.closed, mount._granted, mount._owner = False, None, "x"
    with pytest.raises(PluginError):
        mount("json:dumps")
