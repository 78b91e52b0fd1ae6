"""Subscribers as cursors: the same events for all, exact resume, and text placed by offsets, whatever was missed."""

from __future__ import annotations

import asyncio
import random

import pytest

from eudai_core.chat import Frame
from eudai_core.testing.scripted_ollama import Gate, Piece, Reply
from support.chatting import Chatting, Follower, place

WORDS = [f"word{number} " for number in range(40)]


def gated(words: list[str], every: int, prefix: str = "gate") -> tuple[Reply, list[str]]:
    """Return a reply that stands at a gate after every few words, and the names of the gates."""
    steps: list[Piece | Gate] = []
    gates = []
    for number, word in enumerate(words):
        if number and number % every == 0:
            gates.append(f"{prefix}{number}")
            steps.append(Gate(gates[-1]))
        steps.append(Piece(word))
    return Reply(steps=tuple(steps)), gates


async def test_two_subscribers_see_the_same_events_with_the_same_numbers(chat: Chatting) -> None:
    chat.ollama.script(Reply.of(*WORDS))
    async with chat.follow() as one, chat.follow() as two:
        await chat.ask()
        await asyncio.gather(one.until("bot_message"), two.until("bot_message"))
    assert [(frame.seq, frame.payload) for frame in one.frames] == [(frame.seq, frame.payload) for frame in two.frames]


async def test_a_frame_is_encoded_once_for_all_subscribers(chat: Chatting) -> None:
    encoded: list[object] = []

    def encode(payload: object) -> bytes:
        encoded.append(payload)
        return b""

    async with chat.follow() as one, chat.follow() as two:
        await chat.ask()
        await asyncio.gather(one.until("bot_message"), two.until("bot_message"))
    for frame in (*one.frames, *two.frames):
        frame.encoded(encode)
    assert len(encoded) == len(one.frames)


@pytest.mark.parametrize("seed", range(4))
async def test_cuts_and_resumes_lose_and_double_nothing(chat: Chatting, seed: int) -> None:
    dice = random.Random(seed)
    reply, gates = gated(WORDS, 4)
    for gate in gates:
        chat.ollama.hold(gate)
    chat.ollama.script(reply)
    accepted = None
    seen: list[Frame] = []
    after: int | None = None
    for gate in [*gates, "the end"]:
        async with chat.follow(after) as follower:
            if accepted is None:
                accepted = await chat.ask()
            if gate == "the end":
                seen += await follower.until("bot_message")
            else:
                await chat.ollama.standing(gate)
                if dice.random() < 0.7:
                    await follower.until(lambda frame: True)
                seen += follower.frames
                chat.ollama.release(gate)
        if seen:
            # A client may come back with any number it had: here sometimes an older one than the newest.
            after = (dice.choice(seen[-3:]).seq if dice.random() < 0.5 else seen[-1].seq) or 0
    assert accepted is not None
    answer = await chat.answer(accepted)
    assert answer.text == "".join(WORDS)
    assert place([frame for frame in seen if frame.type != "bot_message"], accepted.answer_id) == answer.text


async def test_a_resume_after_the_end_gives_what_was_missed_and_nothing_twice(chat: Chatting) -> None:
    chat.ollama.script(Reply.of(*WORDS))
    async with chat.follow() as follower:
        accepted = await chat.ask()
        all_frames = list(await follower.until("bot_message"))
    half = len(all_frames) // 2
    middle = all_frames[half].seq or 0
    async with chat.follow(middle) as again:
        await again.until("bot_message")
    assert all((frame.seq or 0) > middle for frame in again.frames)
    assert place([*all_frames[: half + 1], *again.frames[:-1]], accepted.answer_id) == "".join(WORDS)
    async with chat.follow(all_frames[-1].seq) as nothing, asyncio.timeout(5):
        await chat.ask("Next?")
        await nothing.until("bot_message")
    assert nothing.frames[0].type == "user_message"


async def test_who_joins_in_the_middle_gets_a_snapshot_then_the_rest(chat: Chatting) -> None:
    chat.ollama.hold("gate")
    chat.ollama.script(Reply(steps=(Piece("One, "), Gate("gate"), Piece("two."))))
    async with chat.follow() as first:
        accepted = await chat.ask()
        await first.until("delta")
        async with chat.follow() as late:
            await late.until("snapshot")
            assert late.frames[0].payload["content"] == "One, "
            chat.ollama.release("gate")
            frames = await late.until("bot_message")
    deltas = [frame for frame in frames if frame.type == "delta"]
    assert [delta.payload["offset"] for delta in deltas] == [len("One, ")]
    assert place(frames, accepted.answer_id) == "One, two."


async def test_a_slow_reader_gets_merged_pieces_and_the_others_do_not_wait(chat: Chatting) -> None:
    reply, gates = gated(WORDS, 5)
    for gate in gates:
        chat.ollama.hold(gate)
    chat.ollama.script(reply)
    async with chat.follow() as slow, chat.follow() as fast:
        accepted = await chat.ask()
        await asyncio.gather(slow.until("delta"), fast.until("delta"))
        for number, gate in enumerate(gates):
            await chat.ollama.standing(gate)
            await fast.until(lambda frame: frame.type == "delta", number + 1)
            chat.ollama.release(gate)
        await fast.until("bot_message")
        await slow.until("bot_message")
    deltas = [frame for frame in slow.frames if frame.type == "delta"]
    assert len(deltas) == 2
    assert place(slow.frames, accepted.answer_id) == place(fast.frames, accepted.answer_id) == "".join(WORDS)
    assert "".join(delta.payload["content"] for delta in deltas) == "".join(WORDS)


async def test_a_live_subscriber_can_seek(chat: Chatting) -> None:
    chat.ollama.script(Reply.of(*WORDS))
    async with chat.follow() as follower:
        accepted = await chat.ask()
        await follower.until("bot_message")
        before = list(follower.frames)
        await follower.subscription.seek(0)
        again = Follower(follower.subscription)
        await again.until("bot_message")
    assert place(again.frames, accepted.answer_id) == place(before, accepted.answer_id)
    assert again.frames[0].seq == before[0].seq
