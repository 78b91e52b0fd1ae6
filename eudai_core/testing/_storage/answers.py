"""What requests under idempotency keys were answered."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from eudai_core.errors import NotFound
from eudai_core.ids import new_id
from eudai_core.model import StoredAnswer
from eudai_core.testing._storage.keeping import must, must_equal
from eudai_core.testing._storage.rows import NOW, Rows, at
from eudai_core.testing._storage.values import AWKWARD

__all__ = [
    "check_answers",
    "check_answers_begun_once",
    "check_answers_given_back",
    "check_forgetting_answers",
    "check_stale_answers",
]

_BEGUN: Final = StoredAnswer("a" * 64, at(1))
_BODY: Final = bytes(range(256)) * 9
_ANSWERED: Final = replace(
    _BEGUN,
    request_hash="d" * 64,
    status=201,
    headers={"location": "/x", **{text: text for text in AWKWARD}},
    body=_BODY,
)


async def check_answers(rows: Rows) -> None:
    """A request begins once under a key of its user, and its answer comes back whole."""
    bob = await rows.add_user("bob")
    again = StoredAnswer("b" * 64, at(2))
    async with rows.writing() as work:
        begun = await work.answers.begin(rows.user.id, "key", _BEGUN, stale_before=NOW)
        must(begun is None, "a key that is free is taken")
    async with rows.writing() as work:
        kept = await work.answers.begin(rows.user.id, "key", again, stale_before=NOW)
        must_equal(kept, _BEGUN, "a key that is taken tells what is kept under it, also while it is being answered")
        for user, key in ((bob, "key"), *((rows.user, text) for text in AWKWARD)):
            free = await work.answers.begin(user.id, key, again, stale_before=NOW)
            must(free is None, "a key belongs to its user, and is told apart exactly")
        await work.answers.finish(rows.user.id, "key", _ANSWERED)
    async with rows.writing() as work:
        kept = await work.answers.begin(rows.user.id, "key", again, stale_before=at(9))
        must_equal(kept, _ANSWERED, "an answer comes back whole, and is never taken over")
        other = await work.answers.begin(bob.id, "key", _BEGUN, stale_before=NOW)
        must_equal(other, again, "an answer is kept under one user's key")
    await rows.refused(
        NotFound,
        lambda work: work.answers.begin(new_id(), "key", _BEGUN, stale_before=NOW),
        "a key of nobody is NotFound",
    )


async def check_answers_given_back(rows: Rows) -> None:
    """A key may be given back until it has an answer; the first answer stays."""
    async with rows.writing() as work:
        await work.answers.begin(rows.user.id, "key", _BEGUN, stale_before=NOW)
        await work.answers.drop(rows.user.id, "key")
        begun = await work.answers.begin(rows.user.id, "key", _BEGUN, stale_before=NOW)
        must(begun is None, "a key that was given back is free")
        await work.answers.finish(rows.user.id, "key", _ANSWERED)
        await work.answers.finish(rows.user.id, "key", replace(_ANSWERED, status=500))
        await work.answers.drop(rows.user.id, "key")
        kept = await work.answers.begin(rows.user.id, "key", _BEGUN, stale_before=NOW)
        must_equal(kept, _ANSWERED, "an answer that is there stays")
        await work.answers.drop(rows.user.id, "other")
        await work.answers.finish(rows.user.id, "other", _ANSWERED)
        begun = await work.answers.begin(rows.user.id, "other", _BEGUN, stale_before=NOW)
        must(begun is None, "what was never begun has no answer, and giving it back is no error")


async def check_stale_answers(rows: Rows) -> None:
    """A key whose process died is taken over by the next request."""
    later = StoredAnswer("b" * 64, at(5))
    async with rows.writing() as work:
        await work.answers.begin(rows.user.id, "key", _BEGUN, stale_before=NOW)
        kept = await work.answers.begin(rows.user.id, "key", later, stale_before=at(1))
        must_equal(kept, _BEGUN, "a request that began at that time or later is waited for")
        taken = await work.answers.begin(rows.user.id, "key", later, stale_before=at(2))
        must(taken is None, "a request that began before and has no answer is taken over")
        kept = await work.answers.begin(rows.user.id, "key", _BEGUN, stale_before=at(2))
        must_equal(kept, later, "a key that was taken over is the new request's")


async def check_answers_begun_once(rows: Rows) -> None:
    """Of many callers at once one is given a key: a free one, a stale one, and one that is given back meanwhile."""
    for key, at_first in (("free", None), ("stale", StoredAnswer("c" * 64, at(-9)))):
        if at_first is not None:
            async with rows.writing() as work:
                await work.answers.begin(rows.user.id, key, at_first, stale_before=at(-99))
        found = await asyncio.gather(*(_begin(rows, number, key) for number in range(8)))
        must_equal(sum(one is None for one in found), 1, "of several callers one is given the key")
        winner = StoredAnswer(str(found.index(None)), at(1))
        must_equal([one for one in found if one], [winner] * 7, "the others are told what the one began")

    async def give_back(number: int) -> None:
        if await _begin(rows, number, "handed on") is None:
            async with rows.writing(rows.handle(number)) as work:
                await work.answers.drop(rows.user.id, "handed on")

    await asyncio.gather(*map(give_back, range(8)))
    must(await _begin(rows, 8, "handed on") is None, "a key that is given back is free for the next")


async def check_forgetting_answers(rows: Rows) -> None:
    """Answers are forgotten with time."""
    async with rows.writing() as work:
        for number in range(3):
            answer = StoredAnswer("a" * 64, at(number))
            await work.answers.begin(rows.user.id, str(number), answer, stale_before=NOW)
        await work.answers.finish(rows.user.id, "0", _ANSWERED)
        must_equal(
            await work.answers.forget(begun_before=at(2)), 2, "answers to requests that began before are counted"
        )
        for number, known in enumerate((False, False, True)):
            kept = await work.answers.begin(rows.user.id, str(number), _BEGUN, stale_before=NOW)
            must_equal(kept is not None, known, "answers to requests that began before are forgotten, others kept")


async def _begin(rows: Rows, number: int, key: str) -> StoredAnswer | None:
    async with rows.writing(rows.handle(number)) as work:
        return await work.answers.begin(rows.user.id, key, StoredAnswer(str(number), at(1)), stale_before=NOW)
