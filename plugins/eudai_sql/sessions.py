"""Sign-ins and refresh tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from eudai_core.model import RefreshUse, Session, User
from eudai_sql.repository import Repository, missing
from eudai_sql.tables import refresh_tokens, sessions, users
from eudai_sql.users import USER_COLUMNS

__all__ = ["SqlSessions"]

_columns: Final = (
    sessions.c.id,
    sessions.c.user_id,
    sessions.c.created_at,
    sessions.c.expires_at,
    sessions.c.revoked_at,
)
_add: Final = sessions.insert()
_get: Final = sa.select(*_columns).where(sessions.c.id == sa.bindparam("session_id"))
_with_user: Final = (
    sa.select(*_columns, *USER_COLUMNS)
    .join_from(sessions, users, users.c.id == sessions.c.user_id)
    .where(sessions.c.id == sa.bindparam("session_id"))
)
_spared: Final = sa.bindparam("spared", type_=sa.Uuid())
_revoke_all: Final = (
    sessions.update()
    .where(
        sessions.c.user_id == sa.bindparam("of_user"),
        sessions.c.revoked_at.is_(None),
        sa.or_(_spared.is_(None), sessions.c.id != _spared),
    )
    .values(revoked_at=sa.bindparam("at"))
    .returning(sessions.c.id)
)
_before: Final = sa.bindparam("before", type_=sessions.c.expires_at.type)
# Rows that somebody else is at are left for the next time: waiting for several could go in a circle.
_forget: Final = sessions.delete().where(
    sessions.c.id.in_(
        sa.select(sessions.c.id)
        .where(sa.or_(sessions.c.expires_at < _before, sessions.c.revoked_at < _before))
        .limit(sa.bindparam("limit", type_=sa.Integer()))
        .with_for_update(skip_locked=True)
    )
)
_revoke: Final = (
    sessions.update()
    .where(sessions.c.id == sa.bindparam("session_id"), sessions.c.revoked_at.is_(None))
    .values(revoked_at=sa.bindparam("at"))
)
_add_token: Final = refresh_tokens.insert()
_known: Final = (refresh_tokens.c.sha256 == sa.bindparam("token"), refresh_tokens.c.expires_at > sa.bindparam("at"))
# The database lets one of several callers change the row: that one spent the token, all others reused it.
_spend: Final = (
    refresh_tokens.update()
    .where(*_known, refresh_tokens.c.spent_at.is_(None))
    .values(spent_at=sa.bindparam("at"))
    .returning(refresh_tokens.c.session_id)
)
_spent: Final = sa.select(refresh_tokens.c.session_id).where(*_known)


class SqlSessions(Repository):
    """See eudai_core.contracts.Sessions."""

    __slots__ = ()

    async def add(self, session: Session) -> None:
        """Add a session."""
        values = {
            "id": session.id,
            "user_id": session.user_id,
            "created_at": session.created_at,
            "expires_at": session.expires_at,
            "revoked_at": session.revoked_at,
        }
        await self._tx.run(_add, values)

    async def get(self, session_id: UUID) -> Session:
        """Return a session, revoked or not."""
        row = await self._tx.row(_get, {"session_id": session_id})
        if row is None:
            raise missing("session", session_id)
        return Session(*row)

    async def with_user(self, session_id: UUID) -> tuple[Session, User]:
        """Return a session, revoked or not, and its user as they are now."""
        row = await self._tx.row(_with_user, {"session_id": session_id})
        if row is None:
            raise missing("session", session_id)
        return Session(*row[: len(_columns)]), User(*row[len(_columns) :])

    async def revoke_all(self, user_id: UUID, at: datetime, *, but: UUID | None = None) -> Sequence[UUID]:
        """End a user's sessions, except ``but``; return the ids of those that this ended."""
        values = {"of_user": user_id, "at": at, "spared": but}
        return [row[0] for row in await self._tx.rows(_revoke_all, values)]

    async def forget(self, *, expired_before: datetime, limit: int) -> int:
        """Remove up to ``limit`` sessions that expired or were revoked before a time; return how many."""
        return await self._tx.run(_forget, {"before": expired_before, "limit": limit}, slow=True)

    async def revoke(self, session_id: UUID, at: datetime) -> None:
        """End a session; one that has ended stays as it is."""
        if not await self._tx.run(_revoke, {"session_id": session_id, "at": at}):
            await self.get(session_id)

    async def add_refresh_token(self, token_sha256: str, session_id: UUID, expires_at: datetime) -> None:
        """Keep a refresh token of a session."""
        values = {"sha256": token_sha256, "session_id": session_id, "expires_at": expires_at, "spent_at": None}
        await self._tx.run(_add_token, values)

    async def spend_refresh_token(self, token_sha256: str, at: datetime) -> RefreshUse | None:
        """Spend a token and tell its session; None when it is unknown or expired."""
        values = {"token": token_sha256, "at": at}
        session_id = await self._tx.value(_spend, values)
        if session_id is not None:
            return RefreshUse(session_id, reused=False)
        session_id = await self._tx.value(_spent, values)
        return None if session_id is None else RefreshUse(session_id, reused=True)
