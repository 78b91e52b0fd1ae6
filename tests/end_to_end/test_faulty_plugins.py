"""Three broken plugins are installed: the server starts and answers, and each is named with its reason."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from eudai_core.testing.scripted_ollama import Reply, ScriptedOllama
from support.client import client
from support.distributions import install
from support.eventually import eventually
from support.server import server_process

MODULES = {
    "broken_import": 'raise RuntimeError("no such device")\n',
    "broken_hook": """
from eudai_core.hooks import hookimpl

class Plugin:
    eudai_api = (0, 1)

    @hookimpl
    def eudai_register_context_sorces(self, register):
        pass

plugin = Plugin()
""",
    "broken_source": """
import asyncio
from eudai_core.hooks import hookimpl

class Source:
    async def collect(self, query):
        await asyncio.Event().wait()

class Plugin:
    eudai_api = (0, 1)

    @hookimpl
    def eudai_register_context_sources(self, register):
        register("hanging", lambda context: Source())

plugin = Plugin()
""",
}


async def listed(environ: dict[str, str], cwd: Path) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "eudai_core.cli",
        "plugins",
        "list",
        "--json",
        cwd=cwd,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return {plugin["name"]: plugin for plugin in json.loads(out)}


async def test_the_server_starts_answers_and_names_each(tmp_path: Path, ollama: ScriptedOllama) -> None:
    site = tmp_path / "site"
    for name, source in MODULES.items():
        install(site, name.replace("_", "-"), plugins={name.replace("_", "-"): f"{name}:plugin"})
        (site / f"{name}.py").write_text(source)
    ollama.script(Reply.of("All the same."))
    data = tmp_path / "data"
    environ = {"PYTHONPATH": str(site), "OLLAMA_HOST": ollama.url}
    async with server_process(data, environ=environ) as server, client(server.url) as user:
        conversation = await user.conversation()
        async with user.chat(conversation) as socket:
            await socket.send("user_message", content="Do you answer?")
            ended = await socket.until("bot_message")
        assert (ended["status"], ended["content"]) == ("complete", "All the same.")
        health = await user.call("GET", "/api/health")
        assert health["checks"]["storage"]["status"] == "ok"

        async def all_named() -> dict[str, Any] | None:
            plugins = await listed({**environ, "EUDAI_DATA_DIR": str(data)}, tmp_path)
            return plugins if plugins["broken-source"]["faults"] else None

        plugins = await eventually(all_named)
    assert plugins["broken-import"]["status"] == "failed"
    assert "no such device" in plugins["broken-import"]["detail"]
    assert plugins["broken-hook"]["status"] == "failed"
    assert "eudai_register_context_sources" in plugins["broken-hook"]["detail"]
    assert any("hanging" in what for what in plugins["broken-source"]["faults"])
    assert plugins["eudai-sql"]["status"] == "loaded"
