"""How a storage in memory can break what is promised of accounts, their credentials and stored answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from eudai_core.ids import new_id
from eudai_core.model import Failures

__all__ = [
    "a_bit_later",
    "answers_again",
    "begins_for_all",
    "counts_repeats",
    "deletes_user_alone",
    "drops_answers",
    "invites_by_any_code",
    "keeps_answers",
    "keeps_tokens",
    "last_as_told",
    "retires_again",
    "revokes_all_again",
    "spends_again",
    "updates_all",
    "used_as_told",
    "with_first_user",
]


def a_bit_later(at: datetime) -> datetime:
    """Return the time of which what happens at ``at`` is just before."""
    return at + timedelta(microseconds=1)


async def updates_all(original: Any, self: Any, user: Any) -> None:
    await original(self, user)
    rows = (await self._tx.writing()).users
    rows[user.id] = (user, rows[user.id][1])


async def with_first_user(original: Any, self: Any, session_id: Any) -> Any:
    session, user = await original(self, session_id)
    return session, replace(user, disabled=False)


async def revokes_all_again(original: Any, self: Any, user_id: Any, at: datetime, **options: Any) -> Any:
    rows = (await self._tx.writing()).sessions
    for session in [row for row in rows.values() if row.user_id == user_id]:
        rows[session.id] = replace(session, revoked_at=None)
    return await original(self, user_id, at, **options)


def keeps_tokens(original: Any, state: Any, keys: Any) -> None:
    tokens = state.refresh_tokens
    original(state, keys)
    state.refresh_tokens = tokens


async def deletes_user_alone(_: Any, self: Any, user_id: Any) -> Sequence[str]:
    del (await self._tx.writing()).users[user_id]
    return []


async def keeps_answers(original: Any, self: Any, user_id: Any) -> Any:
    state = await self._tx.writing()
    answers = state.answers
    keys = await original(self, user_id)
    state.answers = answers
    return keys


async def used_as_told(original: Any, self: Any, key_id: Any, at: datetime) -> None:
    rows = (await self._tx.writing()).api_keys
    if key_id in rows:
        rows[key_id] = (replace(rows[key_id][0], last_used_at=at), rows[key_id][1])


async def invites_by_any_code(original: Any, self: Any, invite: Any, code_sha256: str) -> None:
    await original(self, invite, f"{code_sha256} {new_id()}")
    rows = (await self._tx.writing()).invites
    rows[invite.id] = (rows[invite.id][0], code_sha256)


async def spends_again(original: Any, self: Any, code_sha256: str, **options: Any) -> Any:
    rows = (await self._tx.writing()).invites
    for invite, code in list(rows.values()):
        rows[invite.id] = (replace(invite, used_at=None), code)
    return await original(self, code_sha256, **options)


async def retires_again(_: Any, self: Any, kid: str, at: datetime) -> None:
    rows = (await self._tx.writing()).signing_keys
    rows[kid] = replace(rows[kid], retires_at=at)


async def counts_repeats(original: Any, self: Any, keys: Sequence[str], **options: Any) -> Any:
    counted: dict[str, Failures] = {}
    for key in keys:
        counted |= await original(self, [key], **options)
    return counted


async def last_as_told(original: Any, self: Any, keys: Sequence[str], **options: Any) -> Any:
    rows = (await self._tx.writing()).login_failures
    for key in await original(self, keys, **options):
        rows[key] = replace(rows[key], last_at=options["at"])
    return await self.get(keys)


async def begins_for_all(original: Any, self: Any, user_id: Any, key: str, answer: Any, **options: Any) -> Any:
    for owner, name in (await self._tx.reading()).answers:
        if name == key:
            return await original(self, owner, key, answer, **options)
    return await original(self, user_id, key, answer, **options)


async def drops_answers(_: Any, self: Any, user_id: Any, key: str) -> None:
    (await self._tx.writing()).answers.pop((user_id, key), None)


async def answers_again(original: Any, self: Any, user_id: Any, key: str, answer: Any) -> None:
    rows = (await self._tx.writing()).answers
    if (user_id, key) in rows:
        rows[user_id, key] = replace(rows[user_id, key], status=None)
    await original(self, user_id, key, answer)
