"""The names and times of the keys that sign tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from eudai_core.errors import NotFound
from eudai_core.model import SigningKeyRecord
from eudai_sql.repository import Repository
from eudai_sql.tables import signing_keys as table

__all__ = ["SqlSigningKeys"]

_list: Final = sa.select(table.c.kid, table.c.created_at, table.c.retires_at).order_by(
    table.c.created_at.desc(), table.c.kid.desc()
)
_add: Final = table.insert()
_this: Final = table.c.kid == sa.bindparam("key")
_exists: Final = sa.select(table.c.kid).where(_this)
_retire: Final = (
    table.update()
    .where(_this, sa.or_(table.c.retires_at.is_(None), table.c.retires_at > sa.bindparam("at")))
    .values(retires_at=sa.bindparam("at"))
)
_forget: Final = table.delete().where(table.c.retires_at < sa.bindparam("before"))


class SqlSigningKeys(Repository):
    """See eudai_core.contracts.SigningKeys."""

    __slots__ = ()

    async def list(self) -> Sequence[SigningKeyRecord]:
        """Return all, newest first."""
        return [SigningKeyRecord(*row) for row in await self._tx.rows(_list)]

    async def add(self, key: SigningKeyRecord) -> None:
        """Add a key."""
        values = {"kid": key.kid, "created_at": key.created_at, "retires_at": key.retires_at}
        await self._tx.run(_add, values)

    async def retire(self, kid: str, at: datetime) -> None:
        """Accept a key until a time only; one that retires earlier stays as it is."""
        if await self._tx.run(_retire, {"key": kid, "at": at}):
            return
        if await self._tx.row(_exists, {"key": kid}) is None:
            raise NotFound(f"There is no signing key {kid}.")

    async def forget(self, *, retired_before: datetime) -> int:
        """Remove keys that retired before a time; return how many."""
        return await self._tx.run(_forget, {"before": retired_before})
