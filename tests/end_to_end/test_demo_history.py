"""`eudai demo`: the whole job in one command, with and without a language model."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from eudai_core.testing.scripted_ollama import ScriptedOllama

NOBODY = "http://127.0.0.1:9"
"""The discard port, where nobody listens."""


async def demo(cwd: Path, environ: dict[str, str], *arguments: str) -> tuple[int, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("EUDAI_", "OLLAMA_", "DATABASE_"))
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "eudai_core.cli",
        "demo",
        *arguments,
        cwd=cwd,
        env={**kept, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        stdin=asyncio.subprocess.DEVNULL,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 90)
    return process.returncode or 0, out.decode()


async def test_without_a_model_the_third_answer_uses_the_history(tmp_path: Path) -> None:
    code, out = await demo(tmp_path, {"OLLAMA_HOST": NOBODY})
    assert code == 0, out
    assert "No language model is running" in out
    third = out.split("\n3. ")[1]
    assert "PostgreSQL" in third
    assert "verified" in third
    assert "2 history" in out.split("\n2. ")[1].split("\n3. ")[0]


async def test_with_ollama_the_third_prompt_holds_the_history(tmp_path: Path, ollama: ScriptedOllama) -> None:
    code, out = await demo(tmp_path, {"OLLAMA_HOST": ollama.url})
    assert code == 0, out
    first, second, third = (received.body["messages"] for received in ollama.chats)
    assert third[: len(second)] == second
    assert second[: len(first)] == first
    assert len([message for message in third if message["role"] == "assistant"]) == 2


async def test_it_takes_documents_of_one_s_own(tmp_path: Path) -> None:
    (tmp_path / "boat.md").write_text("# The boat\n\nThe boat is called Marigold. It is painted yellow.\n")
    code, out = await demo(tmp_path, {"OLLAMA_HOST": NOBODY}, str(tmp_path / "boat.md"))
    assert code == 0, out
    assert "Marigold" in out


async def test_a_missing_document_is_named(tmp_path: Path) -> None:
    code, out = await demo(tmp_path, {"OLLAMA_HOST": NOBODY}, str(tmp_path / "nowhere.md"))
    assert code != 0
    assert "nowhere.md" in out
