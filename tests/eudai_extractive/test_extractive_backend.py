"""The backend without a model: quotes, cites, follows up, streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from eudai_context.paragraphs import ParagraphChunker
from eudai_core.context import check_citations
from eudai_core.context.render import render
from eudai_core.contracts import LLMBackend
from eudai_core.ids import new_id
from eudai_core.model import (
    ChatRequest,
    Chunk,
    HealthStatus,
    Origin,
    Phase,
    PromptMessage,
    Segment,
    SegmentKind,
    Stability,
)
from eudai_extractive.backend import NOTHING, NOTICE, ExtractiveBackend

LICENSE = Path(__file__).parents[2] / "LICENSE"
MANUAL = """# Running the server

The server listens on port 8000 of the loopback address. When that port is taken, another free one is proposed.

To change the port, give the option --port or set the variable EUDAI_PORT.

## Data

All data is kept in one directory below the home directory. It is made readable for its owner only.
Backups are made with `eudai db backup`, also while the server runs.

## Models

The server looks for Ollama at its usual address and picks DeepSeek when it is installed.
"""


def passages(text: str, name: str, identifier: str) -> list[Segment]:
    return [
        Segment(
            SegmentKind.FILE,
            passage.text,
            Origin("file", name, name, 1, passage.start, passage.end),
            Stability.TURN,
            id=f"{identifier}:{passage.number}",
        )
        for passage in ParagraphChunker().split(text, name=name, media_type="text/markdown")
    ]


async def make_blocking(function: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.to_thread(function, *arguments)


@pytest.fixture
def backend() -> ExtractiveBackend:
    return ExtractiveBackend(make_blocking)


@pytest.fixture
def material() -> list[Segment]:
    found = passages(MANUAL, "manual.md", "f1111111")
    return found + passages(LICENSE.read_text(encoding="utf-8"), "LICENSE", "f2222222")


async def request(
    backend: LLMBackend,
    question: str,
    segments: Sequence[Segment],
    *earlier: tuple[str, str],
    begun: str = "",
    limit: int = 2048,
) -> ChatRequest:
    messages = [PromptMessage("system", "rules")]
    for asked, answered in earlier:
        # As the assembler renders it: evidence in front of the user's words.
        content = "\n\n".join([*(render(segment) for segment in segments[:2]), asked])
        messages += [PromptMessage("user", content), PromptMessage("assistant", answered)]
    messages.append(PromptMessage("user", question))
    if begun:
        messages.append(PromptMessage("assistant", begun))
    (model,) = await backend.models()
    return ChatRequest(new_id(), new_id(), model, tuple(messages), question, limit, segments=tuple(segments))


async def chunks_of(backend: LLMBackend, asked: ChatRequest) -> list[Chunk]:
    return [chunk async for chunk in backend.stream(asked)]


async def answer(backend: LLMBackend, question: str, segments: Sequence[Segment], *earlier: tuple[str, str]) -> str:
    chunks = await chunks_of(backend, await request(backend, question, segments, *earlier))
    return "".join(chunk.text for chunk in chunks)


async def test_it_says_that_it_is_no_language_model(backend: ExtractiveBackend) -> None:
    assert isinstance(backend, LLMBackend)
    (model,) = await backend.models()
    assert not model.is_language_model
    assert (model.name, model.backend, model.window) == ("extractive", "extractive", 32_768)
    assert (await backend.health()).status is HealthStatus.OK


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Which port does the server listen on?", "listens on port 8000"),
        ("How do I make a backup?", "Backups are made with `eudai db backup`"),
        ("Is there any warranty?", "WITHOUT WARRANTY OF ANY KIND"),
        ("Does it find deepseek by itself?", "picks DeepSeek when it is installed"),
    ],
)
async def test_the_first_quotation_answers(
    backend: ExtractiveBackend, material: list[Segment], question: str, expected: str
) -> None:
    lines = (await answer(backend, question, material)).split("\n\n")
    assert lines[0] == NOTICE
    assert expected in lines[1]


async def test_every_quotation_is_cited_and_verified(backend: ExtractiveBackend, material: list[Segment]) -> None:
    text = await answer(backend, "Which port does the server listen on?", material)
    citations = check_citations(text, material)
    assert len(citations) == len(text.split("\n\n")) - 1 >= 1
    assert {citation.verdict for citation in citations} == {"verified"}


async def test_a_follow_up_is_understood_from_the_history(backend: ExtractiveBackend, material: list[Segment]) -> None:
    follow_up = "And how do I change that?"
    with_history = await answer(
        backend, follow_up, material, ("Which port does the server listen on?", f"{NOTICE}\n\n“port 8000”")
    )
    assert "To change the port" in with_history.split("\n\n")[1]
    elsewhere = await answer(backend, "And where are they kept?", material, ("How are backups and data made?", "…"))
    assert "port" not in elsewhere.split("\n\n")[1]
    assert "directory" in elsewhere


async def test_the_evidence_of_earlier_turns_is_not_taken_for_a_question(
    backend: ExtractiveBackend, material: list[Segment]
) -> None:
    # The replayed blocks speak of ports; the users never did.
    text = await answer(backend, "What about it?", material, ("Tell me of the warranty.", "…"))
    assert "WARRANTY" in text.split("\n\n")[1].upper()


async def test_nothing_found_says_so_and_what_to_do(backend: ExtractiveBackend, material: list[Segment]) -> None:
    for segments in (material, []):
        text = await answer(backend, "Zebra xylophone quicksand?", segments)
        assert text == f"{NOTICE}\n\n{NOTHING}"
    assert "ollama pull deepseek-r1" in NOTHING


async def test_instructions_are_quoted_and_the_conversation_is_not(backend: ExtractiveBackend) -> None:
    instruction = Segment(
        SegmentKind.INSTRUCTION, "Call every user captain.", Origin("instruction", "1"), Stability.STATIC, id="i1234567"
    )
    spoken = Segment(SegmentKind.HISTORY, "The captain was here.", Origin("message", "2", "llm"), Stability.TURN)
    text = await answer(backend, "Who is a captain?", [instruction, spoken])
    assert "“Call every user captain.” [i1234567]" in text
    assert "was here" not in text


async def test_the_stream_has_phases_words_and_one_end(backend: ExtractiveBackend, material: list[Segment]) -> None:
    chunks = await chunks_of(backend, await request(backend, "Which port?", material))
    assert [chunk.phase for chunk in chunks if chunk.phase] == [Phase.READING, Phase.ANSWERING]
    assert [bool(chunk.done) for chunk in chunks].count(True) == 1
    done = chunks[-1].done
    assert done is not None
    assert done.reason == "stop"
    assert done.prompt_tokens
    assert done.completion_tokens
    words = [chunk.text for chunk in chunks if chunk.text]
    assert len(words) > 10
    assert all(len(word.split()) == 1 for word in words)


async def test_the_answer_stops_at_its_limit(backend: ExtractiveBackend, material: list[Segment]) -> None:
    chunks = await chunks_of(backend, await request(backend, "Which port?", material, limit=5))
    done = chunks[-1].done
    assert done is not None
    assert (done.reason, done.completion_tokens) == ("length", 4)  # the next word has two
    assert NOTICE.startswith("".join(chunk.text for chunk in chunks))


async def test_a_stopped_answer_is_continued_where_it_ended(
    backend: ExtractiveBackend, material: list[Segment]
) -> None:
    whole = await answer(backend, "Which port?", material)
    asked = await request(backend, "Which port?", material, begun=whole[:120])
    rest = "".join(chunk.text for chunk in await chunks_of(backend, asked))
    assert whole[:120] + rest == whole
    asked = await request(backend, "Which port?", material, begun="Something else.")
    rest = "".join(chunk.text for chunk in await chunks_of(backend, asked))
    assert NOTICE not in rest
    assert "port" in rest


async def test_closing_the_stream_ends_it(backend: ExtractiveBackend, material: list[Segment]) -> None:
    seen: list[Chunk] = []
    async with aclosing(backend.stream(await request(backend, "Which port?", material))) as stream:
        async for chunk in stream:
            seen.append(chunk)
            if chunk.text:
                break
    assert [chunk.done for chunk in seen if chunk.done] == []
    assert [chunk async for chunk in stream] == []


async def test_answers_take_turns(material: list[Segment]) -> None:
    order: list[str] = []
    both_are_ready = asyncio.Barrier(2)

    async def meet(function: Callable[..., Any], *arguments: Any) -> Any:
        result = await asyncio.to_thread(function, *arguments)
        await both_are_ready.wait()
        return result

    backend = ExtractiveBackend(meet)

    async def run(name: str) -> None:
        async for chunk in backend.stream(await request(backend, "Which port?", material)):
            if chunk.text:
                order.append(name)

    await asyncio.gather(run("a"), run("b"))
    half = len(order) // 2
    assert len(set(order[:half])) == len(set(order[half:])) == 2


async def test_other_alphabets_are_quoted_too(backend: ExtractiveBackend) -> None:
    text = "サーバーは八千番のポートで待ちます。データは一つのフォルダーにあります。"
    found = await answer(backend, "データはどこですか", passages(text, "日本語.md", "f3333333"))
    assert "データは一つのフォルダーにあります。" in found.split("\n\n")[1]
