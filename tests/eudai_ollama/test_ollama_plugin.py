"""The plugin object, its health check, and health."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any, cast

import pytest

from eudai_core.contracts import PluginContext
from eudai_core.errors import ConfigError
from eudai_core.model import HealthStatus
from eudai_core.settings import Settings
from eudai_core.testing import FrozenClock, ScriptedOllama
from eudai_ollama import plugin
from eudai_ollama.backend import OllamaBackend, make_backend
from eudai_ollama.health import make_health_check
from eudai_ollama.settings import OllamaSettings


class Context:
    """As much of a plugin context as the factories touch."""

    def __init__(self, settings: OllamaSettings, clock: FrozenClock) -> None:
        self._settings = settings
        self.clock = clock
        self.backends: dict[str, OllamaBackend] = {}

    def settings(self, schema: type[Any]) -> Any:
        assert schema is OllamaSettings
        return self._settings


def test_what_is_registered() -> None:
    registered: list[tuple[Any, ...]] = []

    def note(*what: Any) -> None:
        registered.append(what)

    register: Any = note
    plugin.eudai_register_settings(register)
    plugin.eudai_register_llm_backends(register)
    plugin.eudai_register_health_checks(register)
    assert registered == [
        ("ollama", OllamaSettings),
        ("ollama", "eudai_ollama.backend:make_backend"),
        ("ollama", "eudai_ollama.health:make_health_check"),
    ]
    assert plugin.eudai_api == (0, 1)


def test_settings_are_read_as_everyone_writes_them() -> None:
    environ = {
        "OLLAMA_BASE_URL": "http://box:1",
        "EUDAI_OLLAMA_WINDOW": "16384",
        "EUDAI_OLLAMA_API_KEY": "s3cret",
        "EUDAI_OLLAMA_THINK": "High",
        "OLLAMA_API_KEY": "another",
    }
    settings = Settings.load(environ=environ, dotenv=None)
    settings.register("eudai-ollama", "ollama", OllamaSettings)
    found = settings.section(OllamaSettings)
    assert (found.host, found.window, found.think, found.capacity) == ("http://box:1", 16384, "high", 2)
    assert found.api_key is not None
    assert found.api_key.reveal() == "s3cret"
    assert "s3cret" not in repr(found)


def test_importing_the_plugin_imports_nothing_heavy() -> None:
    code = "import eudai_ollama, sys; print([m for m in ('aiohttp', 'msgspec', 'ollama', 'httpx') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_serving_never_imports_the_ollama_package() -> None:
    code = "import eudai_ollama.backend, eudai_ollama.health, sys; print('ollama' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


async def test_factories(ollama: ScriptedOllama, clock: FrozenClock) -> None:
    given = Context(OllamaSettings(host=ollama.url), clock)
    context = cast("PluginContext", given)
    check = make_health_check(context)
    assert (await check.check()).status is HealthStatus.DOWN
    backend = await make_backend(context)
    given.backends["ollama"] = backend
    assert (await check.check()).status is HealthStatus.OK
    assert not check.critical
    await backend.aclose()


async def test_an_unusable_address(clock: FrozenClock) -> None:
    with pytest.raises(ConfigError):
        await make_backend(cast("PluginContext", Context(OllamaSettings(host="ftp://x"), clock)))


async def test_health(ollama: ScriptedOllama, backend: OllamaBackend) -> None:
    health = await backend.health()
    assert (health.status, health.detail) == (HealthStatus.OK, "Ollama 0.33.0 with 3 models")
    for model in ("deepseek-r1", "plain", "embedder"):
        ollama.remove(model)
    health = await backend.health()
    assert health.status is HealthStatus.DEGRADED
    assert "ollama pull deepseek-r1" in health.detail
    await ollama.refuse()
    health = await backend.health()
    assert health.status is HealthStatus.DOWN
    assert "ollama serve" in health.detail


async def test_health_does_not_wait_for_a_silent_ollama(
    ollama: ScriptedOllama, backend: OllamaBackend, clock: FrozenClock
) -> None:
    ollama.hold("/api/version")
    asking = asyncio.create_task(backend.health())
    await ollama.standing("/api/version")
    await clock.sleeping()
    clock.advance(1.5)
    assert (await asking).status is HealthStatus.DOWN


async def test_what_is_no_ollama(clock: FrozenClock, make_backend: Callable[..., OllamaBackend]) -> None:
    async def web_page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>")
        writer.close()

    async with await asyncio.start_server(web_page, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        health = await make_backend(host=f"127.0.0.1:{port}").health()
    assert health.status is HealthStatus.DOWN
    assert "EUDAI_OLLAMA_HOST" in health.detail


async def test_proxies_of_the_environment_are_ignored(backend: OllamaBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert (await backend.health()).status is HealthStatus.OK
