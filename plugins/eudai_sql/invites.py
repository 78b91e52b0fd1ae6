"""Invitations to sign up."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from eudai_core.model import Invite, Page
from eudai_sql import keyset
from eudai_sql.repository import Repository, missing
from eudai_sql.tables import invites as table

__all__ = ["SqlInvites"]

_columns: Final = (
    table.c.id,
    table.c.created_by,
    table.c.created_at,
    table.c.expires_at,
    table.c.note,
    table.c.used_by,
    table.c.used_at,
)
_add: Final = table.insert()
_first_page: Final = (
    sa.select(*_columns)
    .order_by(table.c.created_at.desc(), table.c.id.desc())
    .limit(sa.bindparam("limit", type_=sa.Integer()))
)
_next_page: Final = _first_page.where(keyset.after(table.c.created_at, table.c.id))
_open: Final = (
    table.c.code_sha256 == sa.bindparam("code"),
    table.c.used_at.is_(None),
    table.c.expires_at > sa.bindparam("at"),
)
_usable: Final = sa.select(table.c.id).where(*_open)
# The database lets one of several callers change the row.
_spend: Final = table.update().where(*_open).values(used_by=sa.bindparam("user_id"), used_at=sa.bindparam("at"))
_delete: Final = table.delete().where(table.c.id == sa.bindparam("invite_id"))


class SqlInvites(Repository):
    """See eudai_core.contracts.Invites."""

    __slots__ = ()

    async def add(self, invite: Invite, code_sha256: str) -> None:
        """Add an invitation."""
        values: dict[str, Any] = {column.name: getattr(invite, column.name) for column in _columns}
        await self._tx.run(_add, values | {"code_sha256": code_sha256})

    async def list(self, *, cursor: str | None, limit: int) -> Page[Invite]:
        """List invitations."""
        values: dict[str, Any] = {"limit": limit + 1}
        statement = _first_page
        if cursor is not None:
            statement = _next_page
            values |= keyset.position(cursor)
        found = [Invite(*row) for row in await self._tx.rows(statement, values)]
        return keyset.page(found, limit, lambda invite: (invite.created_at, invite.id))

    async def usable(self, code_sha256: str, *, at: datetime) -> bool:
        """Tell whether an invitation could be used now."""
        return await self._tx.row(_usable, {"code": code_sha256, "at": at}) is not None

    async def spend(self, code_sha256: str, *, user_id: UUID, at: datetime) -> bool:
        """Use an invitation for a user; False when it is unknown, used or expired."""
        return await self._tx.run(_spend, {"code": code_sha256, "user_id": user_id, "at": at}) == 1

    async def delete(self, invite_id: UUID) -> None:
        """Withdraw an invitation; used ones too."""
        if not await self._tx.run(_delete, {"invite_id": invite_id}):
            raise missing("invitation", invite_id)
