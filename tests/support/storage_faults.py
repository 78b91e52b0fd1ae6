"""How a storage in memory can be made to break its contract: replacements for single methods."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from eudai_core.model import Lease, MessageStatus, Page

__all__ = [
    "LATER",
    "Unfair",
    "adds_any_job",
    "after_or_at",
    "answers",
    "append_replaces",
    "becomes",
    "claims_no_stopped",
    "claims_regardless",
    "finish_twice",
    "given",
    "keeps_uncommitted",
    "latest_saved",
    "lease_from_anyone",
    "lease_overlaps",
    "lease_skips",
    "locks_nobody",
    "marks_any_length",
    "name_first",
    "never_ends",
    "nothing",
    "oldest_records",
    "page_by_time",
    "page_repeats",
    "path_from_root",
    "puts_down_any",
    "release_forgets_stops",
    "releases_to_the_end",
    "releases_with_a_try",
    "reopens_all",
    "reopens_without_usage",
    "revokes_again",
    "saves_or_fails",
    "saves_to_all",
    "spends_late",
    "stop_returns_always",
    "touch_counts",
    "touch_keeps_place",
    "unindexed_and_pending",
    "untrimmed",
    "without_turn",
    "without_zone",
]

LATER = timedelta(days=9)


def nothing(value: object = None) -> Callable[[Any], Any]:
    """Do nothing, and return ``value``."""

    async def instead(*_: object, **__: object) -> object:
        return value

    return lambda _: instead


def given(**changes: Any) -> Callable[[Any], Any]:
    """Call with other keyword arguments; a function is given the old one."""

    def make(original: Any) -> Any:
        async def instead(*arguments: Any, **options: Any) -> Any:
            other = {key: value(options[key]) if callable(value) else value for key, value in changes.items()}
            return await original(*arguments, **(options | other))

        return instead

    return make


def answers(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return something else."""

    def make(original: Any) -> Any:
        async def instead(*arguments: Any, **options: Any) -> Any:
            return change(await original(*arguments, **options))

        return instead

    return make


def becomes(function: Callable[..., Any]) -> Callable[[Any], Any]:
    """Be another function, that is given what it was first."""

    def make(original: Any) -> Any:
        def instead(*arguments: Any, **options: Any) -> Any:
            return function(original, *arguments, **options)

        return instead

    return make


class Unfair(Counter[Any]):
    """Counts everything but the answers of users."""

    def __getitem__(self, key: object) -> int:
        return 0 if isinstance(key, UUID) else super().__getitem__(key)


class NoTurn(asyncio.Lock):
    """A lock that everybody gets."""

    async def acquire(self) -> Any:
        return True

    def release(self) -> None:
        pass


def keeps_uncommitted(original: Any, tx: Any) -> None:
    if tx._state is not None and not tx._readonly:
        tx._database.state = tx._state
    original(tx)


def never_ends(original: Any, tx: Any) -> None:
    original(tx)
    tx._ended = False


def without_turn(original: Any, database: Any) -> None:
    original(database)
    database.turn = NoTurn()


def page_by_time(original: Any, items: Any, key: Any, **options: Any) -> Any:
    return original(items, lambda item: (key(item)[0], UUID(int=0)), **options)


def page_repeats(original: Any, items: Any, key: Any, *, cursor: str | None, limit: int) -> Page[Any]:
    page = original(items, key, cursor=cursor, limit=limit + 1)
    return Page(page.items, original(items, key, cursor=cursor, limit=limit).next)


async def lease_overlaps(original: Any, self: Any, key: Any, **options: Any) -> Any:
    lease = await original(self, key, **options)
    return lease and Lease(key, 0, options["headroom"])


async def lease_from_anyone(original: Any, self: Any, key: Any, **options: Any) -> Any:
    return await original(self, key, **(options | {"now": options["now"] + LATER}))


async def lease_skips(original: Any, self: Any, key: Any, **options: Any) -> Any:
    rows = (await self._tx.writing()).numbering
    if key in rows:
        rows[key] = replace(rows[key], ceiling=rows[key].ceiling + 1)
    return await original(self, key, **options)


async def releases_to_the_end(original: Any, self: Any, run_id: Any, *, owner: str) -> Any:
    done = await original(self, run_id, owner=owner)
    rows = (await self._tx.writing()).runs
    if done:
        rows[run_id] = replace(rows[run_id], queued_at=rows[run_id].queued_at + LATER)
    return done


async def release_forgets_stops(original: Any, self: Any, run_id: Any, *, owner: str) -> Any:
    done = await original(self, run_id, owner=owner)
    rows = (await self._tx.writing()).runs
    if done:
        rows[run_id] = replace(rows[run_id], stop_requested=False)
    return done


async def claims_no_stopped(original: Any, self: Any, **options: Any) -> Any:
    rows = (await self._tx.writing()).runs
    stopped = {key: row for key, row in rows.items() if row.stop_requested}
    for key in stopped:
        del rows[key]
    found = await original(self, **options)
    rows.update(stopped)
    return found


async def locks_nobody(_: Any, self: Any, key: Any) -> Any:
    found = await self.get(key)
    self._tx.end()
    self._tx._ended = False
    for _ in range(9):
        await asyncio.sleep(0)
    return found


async def stop_returns_always(original: Any, self: Any, run_id: Any, **options: Any) -> Any:
    return await original(self, run_id, **options) or await self.get(run_id)


async def append_replaces(_: Any, self: Any, batch: Any) -> None:
    rows = (await self._tx.writing()).events
    rows.update({(event.conversation_id, event.seq): event for event in batch})


async def after_or_at(original: Any, self: Any, key: Any, seq: int, *, limit: int) -> Any:
    return await original(self, key, seq - 1, limit=limit)


async def finish_twice(original: Any, self: Any, key: Any, **options: Any) -> None:
    rows = (await self._tx.writing()).messages
    if key in rows:
        rows[key] = replace(rows[key], status=MessageStatus.PENDING)
    await original(self, key, **options)


async def saves_to_all(_: Any, self: Any, texts: Any) -> None:
    rows = (await self._tx.writing()).messages
    for key, text, thinking in texts:
        if key in rows:
            rows[key] = replace(rows[key], text=text, thinking=thinking)


async def saves_or_fails(original: Any, self: Any, texts: Any) -> None:
    for key, _, _ in texts:
        await self.get(key)
    await original(self, texts)


async def path_from_root(original: Any, self: Any, leaf: Any, *, limit: int) -> Any:
    return (await original(self, leaf, limit=99))[:limit]


async def unindexed_and_pending(original: Any, self: Any, *, limit: int) -> Any:
    rows = (await self._tx.reading()).messages
    pending = [row for row in rows.values() if row.status is MessageStatus.PENDING]
    homes = (await self._tx.reading()).conversations
    return [*await original(self, limit=limit), *((row, homes[row.conversation_id]) for row in pending)]


async def marks_any_length(_: Any, self: Any, lengths: Any) -> None:
    (await self._tx.writing()).indexed.update(dict.fromkeys(lengths))


async def reopens_all(_: Any, self: Any, key: Any) -> None:
    rows = (await self._tx.writing()).messages
    rows[key] = replace(await self.get(key), status=MessageStatus.PENDING, siblings=())


async def reopens_without_usage(original: Any, self: Any, key: Any) -> None:
    await original(self, key)
    rows = (await self._tx.writing()).messages
    rows[key] = replace(rows[key], usage=None)


async def touch_keeps_place(original: Any, self: Any, key: Any, *, active_message_id: Any, at: datetime) -> None:
    before = await self.get(key)
    await original(self, key, active_message_id=active_message_id, at=before.updated_at)


async def touch_counts(original: Any, self: Any, key: Any, **options: Any) -> None:
    await original(self, key, **options)
    rows = (await self._tx.writing()).conversations
    rows[key] = replace(rows[key], version=rows[key].version + 1)


async def name_first(original: Any, self: Any, login: str) -> Any:
    rows = (await self._tx.reading()).users.values()
    return next((row for row in rows if row[0].username == login), None) or await original(self, login)


async def revokes_again(_: Any, self: Any, key: Any, at: datetime) -> None:
    rows = (await self._tx.writing()).sessions
    rows[key] = replace(await self.get(key), revoked_at=at)


async def spends_late(original: Any, self: Any, token: str, at: datetime) -> Any:
    return await original(self, token, at - LATER)


async def adds_any_job(original: Any, self: Any, job: Any) -> bool:
    if not await original(self, job):
        (await self._tx.writing()).jobs[job.id] = job
    return True


async def puts_down_any(original: Any, self: Any, job_id: Any, owner: str, **options: Any) -> None:
    job = (await self._tx.reading()).jobs.get(job_id)
    await original(self, job_id, job.owner if job else owner, **options)


async def releases_with_a_try(_: Any, self: Any, job_id: Any, *, owner: str) -> None:
    await self._put_down(job_id, owner)


async def latest_saved(_: Any, self: Any) -> Any:
    reports = list((await self._tx.reading()).plugin_states.values())
    return reports[-1][1] if reports else ()


async def oldest_records(_: Any, self: Any, answer_ids: Any) -> Any:
    rows = (await self._tx.reading()).contexts
    newest_first = (rows[key] for key in sorted(rows, reverse=True))
    return {row.message_id: row for row in newest_first if row.message_id in answer_ids}


async def claims_regardless(original: Any, self: Any, **options: Any) -> Any:
    return await original(self, **(options | {"capacity": defaultdict(lambda: 99, {})}))


def without_zone(original: Any, value: Any) -> Any:
    found = original(value)
    return found.replace(microsecond=0) if isinstance(found, datetime) else found


def untrimmed(rows: Any) -> Any:
    """Return a state that does not know up to where logs were trimmed."""
    copy = rows.copy()
    copy.numbering = {key: replace(row, trimmed=0) for key, row in rows.numbering.items()}
    return copy
