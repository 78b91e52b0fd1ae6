"""Keys for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from eudai_core.model import ApiKey, User
from eudai_sql.repository import Repository, missing
from eudai_sql.tables import api_keys as table
from eudai_sql.tables import users
from eudai_sql.users import USER_COLUMNS

__all__ = ["SqlApiKeys"]

_columns: Final = (
    table.c.id,
    table.c.user_id,
    table.c.name,
    table.c.scopes,
    table.c.created_at,
    table.c.expires_at,
    table.c.last_used_at,
)
_this: Final = table.c.id == sa.bindparam("key_id")
_add: Final = table.insert()
_get: Final = sa.select(*_columns).where(_this)
_find: Final = (
    sa.select(*_columns, table.c.sha256, *USER_COLUMNS)
    .join_from(table, users, users.c.id == table.c.user_id)
    .where(_this)
)
_list: Final = (
    sa.select(*_columns)
    .where(table.c.user_id == sa.bindparam("user_id"))
    .order_by(table.c.created_at.desc(), table.c.id.desc())
)
# Requests at once may come here in any order.
_used: Final = (
    table.update()
    .where(_this, sa.or_(table.c.last_used_at.is_(None), table.c.last_used_at < sa.bindparam("at")))
    .values(last_used_at=sa.bindparam("at"))
)
_delete: Final = table.delete().where(_this)


class SqlApiKeys(Repository):
    """See eudai_core.contracts.ApiKeys."""

    __slots__ = ()

    async def add(self, key: ApiKey, sha256: str) -> None:
        """Add a key."""
        values: dict[str, Any] = {column.name: getattr(key, column.name) for column in _columns}
        await self._tx.run(_add, values | {"scopes": sorted(key.scopes), "sha256": sha256})

    async def find(self, key_id: UUID) -> tuple[ApiKey, str, User] | None:
        """Return a key, its hash and its user as they are now; None when there is none."""
        row = await self._tx.row(_find, {"key_id": key_id})
        if row is None:
            return None
        size = len(_columns)
        return _key(row[:size]), row[size], User(*row[size + 1 :])

    async def list(self, user_id: UUID) -> Sequence[ApiKey]:
        """Return a user's keys, newest first."""
        return [_key(row) for row in await self._tx.rows(_list, {"user_id": user_id})]

    async def used(self, key_id: UUID, at: datetime) -> None:
        """Note when a key was used last."""
        await self._tx.run(_used, {"key_id": key_id, "at": at})

    async def delete(self, key_id: UUID) -> None:
        """Revoke a key."""
        if not await self._tx.run(_delete, {"key_id": key_id}):
            raise missing("API key", key_id)

    async def get(self, key_id: UUID) -> ApiKey:
        """Return a key."""
        row = await self._tx.row(_get, {"key_id": key_id})
        if row is None:
            raise missing("API key", key_id)
        return _key(row)


def _key(row: tuple[Any, ...]) -> ApiKey:
    key_id, user_id, name, scopes, *times = row
    return ApiKey(key_id, user_id, name, frozenset(scopes), *times)
