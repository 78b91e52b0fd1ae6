"""`eudai demo`: the whole job in one command."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from eudai_core.testing.scripted_ollama import ScriptedModel, ScriptedOllama
from eudai_quart.demo.documents import Document, collect, questions_about

ROSES = "# Roses\n\nRoses are watered in the morning. Red ones stand by the gate.\n\n## Pruning\n\nPrune in March.\n"


async def demo(directory: Path, *arguments: str, **environ: str) -> tuple[int, str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("EUDAI_", "OLLAMA_"))}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "eudai_core.cli", "demo", *arguments),
        cwd=directory,
        env={**kept, "DATABASE_URL": "postgresql://not-used.invalid/x", **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await asyncio.wait_for(process.communicate(), 100)
    assert process.returncode is not None
    return process.returncode, out.decode(), errors.decode()


async def test_the_whole_job_without_a_language_model(tmp_path: Path) -> None:
    (tmp_path / "roses.md").write_text(ROSES)
    (tmp_path / ".env").write_text("EUDAI_PORT=nonsense\n")
    code, out, errors = await demo(
        tmp_path, "roses.md", "--save", "talk.md", EUDAI_OLLAMA_HOST="127.0.0.1:1", EUDAI_DATABASE_URL="nonsense"
    )
    assert code == 0, errors
    assert "1. What do the documents say about Roses?" in out
    assert "3. Tell me more about the first of these two." in out
    assert "roses.md" in out
    assert "history" in out
    assert "Model: extractive" in errors
    assert "What do the documents say about Roses?" in (tmp_path / "talk.md").read_text()


async def test_the_whole_job_with_ollama_sends_the_history(tmp_path: Path) -> None:
    (tmp_path / "roses.md").write_text(ROSES)
    async with ScriptedOllama([ScriptedModel("llama3.2:latest", capabilities=("completion",))]) as ollama:
        code, out, errors = await demo(tmp_path, "roses.md", EUDAI_OLLAMA_HOST=ollama.url)
        assert code == 0, errors
        assert "Model: llama3.2" in errors
        assert "Asked before: What do they say about Pruning?" in out
        last = ollama.chats[-1].body
    assert last is not None
    assert [message["role"] for message in last["messages"][1:]] == ["user", "assistant", "user", "assistant", "user"]


async def test_a_failure_names_its_step(tmp_path: Path) -> None:
    (tmp_path / "roses.md").write_text(ROSES)
    code, out, errors = await demo(tmp_path, "roses.md", EUDAI_PLUGINS="nothing-of-this-name")
    assert (code, out) == (1, "")
    assert "The demo failed: while starting a server: " in errors
    assert "Traceback" not in errors


def test_questions_come_from_the_headings() -> None:
    questions = questions_about([Document("a.md", ROSES.encode()), Document("b-c.txt", b"no heading")])
    assert questions.first == "What do the documents say about Roses?"
    assert questions.second == "What do they say about Pruning?"
    assert "b c" in questions_about([Document("b-c.txt", b"no heading")]).first


def test_directories_give_their_texts(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "one.md").write_text(ROSES)
    (tmp_path / "two.bin").write_bytes(b"\0\1")
    documents, _ = collect([tmp_path])
    assert [document.name for document in documents] == ["one.md"]


def test_eudais_own_documents_are_found() -> None:
    documents, questions = collect([])
    assert documents
    assert "eudai" in questions.first
