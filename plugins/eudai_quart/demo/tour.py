"""The demo, step by step, as its user sees it."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from eudai_quart.demo.child import Child, started
from eudai_quart.demo.client import Client, connected
from eudai_quart.demo.documents import Document, Questions, collect
from eudai_quart.demo.failure import DemoFailed, step

__all__ = ["tour"]

INSTRUCTION: Final = "Answer in at most five sentences, from the project's files, and cite what you use."


async def tour(paths: Sequence[Path], save: Path | None) -> None:
    """Show the whole job, once, on real input.

    Raises:
        DemoFailed: a step failed; says which.
    """
    with step("collecting the documents"):
        documents, questions = collect(paths)
    with tempfile.TemporaryDirectory(prefix="eudai-demo-") as directory:
        with step("starting a server"):
            _progress("Starting a server over a temporary directory …")
        async with _Started(Path(directory)) as child:
            with step("asking the server for its model"):
                _progress(f"{child.url}  {await child.model()}")
            await _show(child, documents, questions, save)
            with step("stopping the server"):
                await child.stop()
    _progress("Done: the server has stopped and its data are gone. Start your own with: eudai serve")


class _Started:
    """A started server, whose failure to start is told as a step's."""

    def __init__(self, directory: Path) -> None:
        self._context = started(directory)

    async def __aenter__(self) -> Child:
        with step("starting a server"):
            return await self._context.__aenter__()

    async def __aexit__(self, *exc: Any) -> bool | None:
        return await self._context.__aexit__(*exc)


async def _show(child: Child, documents: Sequence[Document], questions: Questions, save: Path | None) -> None:
    async with connected(child.url) as http:
        client = Client(http)
        with step("signing up and logging in"):
            await client.sign_up_and_in()
        with step("creating a project"):
            project = await client.create_project("Demo", INSTRUCTION)
        with step("uploading and reading the documents"):
            _progress("Uploading: " + ", ".join(document.name for document in documents))
            await client.upload(project, documents)
        with step("creating a conversation"):
            conversation = await client.create_conversation(project)
        for number, question in enumerate((questions.first, questions.second, questions.follow_up), 1):
            with step(f"asking question {number}"):
                report = await _ask(client, conversation, number, question)
        with step("checking that the third answer used the conversation"):
            if not _included(report)["history"]:
                raise DemoFailed("its context has no history.")
        with step("downloading the conversation"):
            text = await client.download(conversation)
            _say(f"\nThe conversation as Markdown has {len(text.splitlines())} lines.")
            if save is not None:
                await asyncio.to_thread(save.write_text, text, encoding="utf-8")
                _say(f"It is in {save}.")


async def _ask(client: Client, conversation: str, number: int, question: str) -> Mapping[str, Any]:
    _say(f"\n{number}. {question}\n")
    shown = 0
    async for event in client.ask(conversation, question):
        if event["type"] == "delta":
            _write(event["content"])
            shown = event["offset"] + len(event["content"])
        elif event["type"] == "bot_message":
            _write(event["content"][shown:] + "\n")
            if event["status"] != "complete":
                raise DemoFailed(f"the answer ended as {event['status']}.")
            if not event["content"].strip():
                raise DemoFailed("the answer is empty.")
            report = await client.report(event["message_id"])
            _say_sources(event["citations"], report)
    return report


def _say_sources(citations: Sequence[Mapping[str, Any]], report: Mapping[str, Any]) -> None:
    segments = report["segments"]
    sources: dict[str, str] = {}
    for citation in citations:
        index = citation["segment"]
        source = segments[index]["origin"]["name"] if index is not None and index < len(segments) else "no source"
        sources.setdefault(f"[{citation['id']}] {source}", citation["verdict"])
    for source, verdict in sources.items():
        _say(f"   {source} ({verdict})")
    parts = ", ".join(f"{count} {kind}" for kind, count in _included(report).items())
    left = sum(not segment["included"] for segment in segments)
    left += sum(entry["count"] for entry in report.get("left_out", ()))
    tokens, window = report["estimated_prompt_tokens"], report["budget"]["window"]
    _say(f"   Context: {parts}; {tokens} of {window} tokens; {left} passages left out.")


def _included(report: Mapping[str, Any]) -> Counter[str]:
    return Counter(segment["kind"] for segment in report["segments"] if segment["included"])


def _say(line: str) -> None:
    _write(line + "\n")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _progress(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
