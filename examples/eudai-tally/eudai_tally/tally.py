"""The counts, in the table ``p_tally_answers``: one row for each answer, added up when they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date
from typing import Final
from uuid import UUID

from eudai_core.contracts import OffersSql, Sql, Storage, UnitOfWork
from eudai_core.errors import NotFound, PluginError
from eudai_core.model import Event, Usage

__all__ = ["Day", "Tally"]

# An event may come twice: the key is the run's, and the second row is not added.
_COUNT: Final = """
    insert into p_tally_answers (run_id, user_id, day, prompt_tokens, answer_tokens)
    values (:run_id, :user_id, :day, :prompt_tokens, :answer_tokens)
    on conflict (run_id) do nothing
"""
_DAYS: Final = """
    select day, count(*) as answers, sum(prompt_tokens) as prompt_tokens, sum(answer_tokens) as answer_tokens
    from p_tally_answers where user_id = :user_id
    group by day order by day desc limit :days
"""
_DAY_TYPES: Final = {"day": date, "answers": int, "prompt_tokens": int, "answer_tokens": int}


@dataclass(frozen=True, slots=True)
class Day:
    """What a user had on one day (UTC); tokens are those that the model's server told."""

    day: date
    answers: int
    prompt_tokens: int
    answer_tokens: int


class Tally:
    """Counts into one storage, and reads from it."""

    def __init__(self, storage: Storage) -> None:
        """Keep the storage."""
        self._storage = storage

    async def check(self) -> None:
        """Find out whether the storage can do it. Raises PluginError when not."""
        async with self._storage.unit_of_work(readonly=True) as unit:
            _sql(unit)

    async def hear(self, event: Event) -> None:
        """Count the answer of a run that ended well; other events, and runs that are not there, are nothing to it."""
        if (event.type, event.action) != ("run", "ended") or event.data.get("status") not in {"complete", "stopped"}:
            return
        try:
            await self._count(event)
        except NotFound:
            return  # the conversation or the user was deleted meanwhile

    async def days(self, user_id: UUID, *, limit: int = 30) -> Sequence[Day]:
        """Return a user's last days with answers, the newest first."""
        async with self._storage.unit_of_work(readonly=True) as unit:
            rows = await _sql(unit).rows(_DAYS, {"user_id": user_id, "days": limit}, types=_DAY_TYPES)
        return [Day(**row) for row in rows]

    async def _count(self, event: Event) -> None:
        async with self._storage.unit_of_work() as unit:
            run = await unit.runs.get(event.object_id)
            usage = (await unit.messages.get(run.answer_id)).usage or Usage()
            await _sql(unit).run(
                _COUNT,
                {
                    "run_id": run.id,
                    "user_id": event.user_id,
                    "day": event.at.astimezone(UTC).date(),
                    "prompt_tokens": usage.prompt_tokens or 0,
                    "answer_tokens": usage.completion_tokens or 0,
                },
            )
            await unit.commit()


def _sql(unit: UnitOfWork) -> Sql:
    if not isinstance(unit, OffersSql):
        raise PluginError("eudai-tally keeps its counts in a table: it needs a storage with SQL, such as eudai-sql")
    return unit.sql
