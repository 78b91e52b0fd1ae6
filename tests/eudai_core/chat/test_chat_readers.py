"""Readers that are slow, far behind, or cut off anywhere: none of them misses an event."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from uuid import UUID

import pytest

from eudai_core.chat import Frame, channel, replay
from eudai_core.chat.replay import merged
from eudai_core.ids import new_id
from eudai_core.model import EventRecord
from eudai_core.testing.scripted_ollama import Gate, Piece, Reply
from support.chat_faults import orders
from support.chatting import Chatting, Follower, place

RUN = new_id()
CONVERSATION = new_id()


def others(frames: Sequence[Frame]) -> list[tuple[int | None, str]]:
    """Return what is no piece of a text."""
    return [(frame.seq, frame.type) for frame in frames if frame.type not in {"delta", "thinking"}]


async def test_a_reader_that_is_far_behind_gets_every_event(chat: Chatting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "KEPT_FRAMES", 4)
    async with chat.follow() as slow, chat.follow() as fast:
        accepted = [await chat.ask(f"Question {number}?") for number in range(4)]
        await fast.until("bot_message", 4)
        await slow.until("bot_message", 4)
    assert others(slow.frames) == others(fast.frames)
    assert orders([frame.seq for frame in slow.frames])
    for one in accepted:
        pieces = [frame for frame in slow.frames if frame.type == "delta"]
        assert place(pieces, one.answer_id) == (await chat.answer(one)).text


async def test_a_reader_that_falls_behind_while_it_reads_the_past_gets_every_event(
    chat: Chatting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "KEPT_FRAMES", 4)
    monkeypatch.setattr(replay, "PAGE", 3)
    chat.ollama.script(Reply(steps=(Piece("The past, "), Gate("gate"), Piece("and on."))))
    accepted = await chat.ask("The past?")
    await chat.ollama.standing("gate")
    async with chat.follow(0) as slow, chat.follow(0) as fast:
        slow.frames += await slow.subscription.next()
        chat.ollama.release("gate")
        await chat.answer(accepted)
        for number in range(3):
            await chat.said(f"Question {number}?")
        await fast.until("bot_message", 4)
        await slow.until("bot_message", 4)
    assert others(slow.frames) == others(fast.frames)
    assert orders([frame.seq for frame in slow.frames])


@pytest.mark.parametrize("past", [None, 0], ids=["live", "from the log"])
async def test_a_reader_may_be_cut_off_after_any_event(chat: Chatting, past: int | None) -> None:
    chat.ollama.script(
        Reply(
            steps=(
                Piece(thinking="Hm, "),
                Gate("one"),
                Piece(thinking="well. "),
                Piece("One, "),
                Gate("two"),
                Piece("two, "),
                Piece(thinking="And? "),
                Piece("three."),
            )
        )
    )
    async with chat.follow() as slow, chat.follow() as fast:
        accepted = await chat.ask()
        for gate, count in (("one", 1), ("two", 2)):
            await chat.ollama.standing(gate)
            await fast.until(lambda frame: frame.type in {"delta", "thinking"}, count)
            chat.ollama.release(gate)
        await fast.until("bot_message")
        await slow.until("bot_message")
    if past is not None:
        async with chat.follow(past) as slow:
            await slow.until("bot_message")
    answer = await chat.answer(accepted)
    assert (answer.text, answer.thinking) == ("One, two, three.", "Hm, well. And? ")
    for cut in range(len(slow.frames)):
        had = slow.frames[: cut + 1]
        async with chat.follow(had[-1].seq) as rest:
            if cut < len(slow.frames) - 1:
                await rest.until("bot_message")
        assert whole([*had, *rest.frames], accepted.answer_id) == (answer.text, answer.thinking)
        assert orders([frame.seq for frame in (*had, *rest.frames)])


def whole(frames: Sequence[Frame], answer_id: UUID) -> tuple[str, str]:
    pieces = [frame for frame in frames if frame.type != "bot_message"]
    return place(pieces, answer_id), place(pieces, answer_id, "thinking")


async def test_a_long_past_comes_page_by_page_and_then_the_present(
    chat: Chatting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "PAGE", 4)
    for number in range(3):
        await chat.said(f"Question {number}?")
    async with chat.follow(0) as follower:
        parts = [list(await follower.subscription.next())]
        accepted = await chat.ask("Now?")
        while sum(frame.type == "bot_message" for part in parts for frame in part) < 4:
            parts.append(list(await follower.subscription.next()))
    frames = [frame for part in parts for frame in part]
    assert len(parts[0]) <= 4
    assert orders([frame.seq for frame in frames])
    assert [frame.type for frame in frames].count("user_message") == 4
    pieces = [frame for frame in frames if frame.type == "delta"]
    assert place(pieces, accepted.answer_id) == (await chat.answer(accepted)).text


async def test_a_reader_of_the_past_that_seeks_elsewhere_gets_nothing_twice(
    chat: Chatting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "PAGE", 2)
    for number in range(2):
        await chat.said(f"Question {number}?")
    async with chat.follow(0) as follower:
        await follower.until("user_message")
        last = follower.frames[-1].seq
        await follower.subscription.seek(last)
        again = Follower(follower.subscription)
        await again.until("bot_message", 2)
    assert orders([frame.seq for frame in (*follower.frames, *again.frames)])


def piece(seq: int, offset: int, content: str, kind: str = "delta") -> EventRecord:
    return EventRecord(CONVERSATION, seq, RUN, kind, {"offset": offset, "content": content})


def test_neighbouring_pieces_of_the_log_are_given_as_one() -> None:
    status = EventRecord(CONVERSATION, 5, RUN, "status", {"phase": "answering"})
    records = [
        piece(1, 0, "Hm", "thinking"),
        piece(2, 2, "m.", "thinking"),
        piece(3, 0, "One"),
        piece(4, 3, ", two"),
        status,
        piece(6, 8, ", three"),
        piece(7, 3, ", two, three"),
    ]
    frames = deque(merged(records))
    assert [(frame.type, frame.seq) for frame in frames] == [
        ("thinking", 2),
        ("delta", 4),
        ("status", 5),
        ("delta", 6),
        ("delta", 7),
    ]
    assert [frame.payload.get("content") for frame in frames] == ["Hmm.", "One, two", None, ", three", ", two, three"]
    assert frames[1].payload["offset"] == 0
