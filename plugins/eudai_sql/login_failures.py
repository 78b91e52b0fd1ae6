"""Log-ins that failed. Whoever changes several rows takes them in the order of their keys: nobody waits in a circle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from eudai_core.model import Failures
from eudai_sql.json_rows import rows_source
from eudai_sql.repository import Repository
from eudai_sql.tables import login_failures as table
from eudai_sql.types import dump_json
from eudai_sql.url import Dialect

__all__ = ["SqlLoginFailures"]

_keys: Final[sa.BindParameter[Any]] = sa.bindparam("keys", expanding=True)
_get: Final = sa.select(table.c.key, table.c.count, table.c.last_at).where(table.c.key.in_(_keys))
_lock: Final = sa.select(table.c.key).where(table.c.key.in_(_keys)).order_by(table.c.key).with_for_update()
_clear: Final = table.delete().where(table.c.key.in_(_keys))
_forget: Final = table.delete().where(
    table.c.key.in_(
        sa.select(table.c.key).where(table.c.last_at < sa.bindparam("before")).with_for_update(skip_locked=True)
    )
)


def _add_statement(dialect: Dialect) -> sa.TextualSelect:
    given = rows_source(dialect, "failed", {"key": "text"})
    text = f"""
        insert into login_failures (key, count, last_at)
        select given.key, 1, :at from {given} where true order by given.key
        on conflict (key) do update set
            count = case when login_failures.last_at < :forget_before then 1 else login_failures.count + 1 end,
            last_at = case when login_failures.last_at > excluded.last_at
                then login_failures.last_at else excluded.last_at end
        returning key, count, last_at
    """  # noqa: S608 -- made of constants
    times = (sa.bindparam(name, type_=table.c.last_at.type) for name in ("at", "forget_before"))
    return sa.text(text).bindparams(*times).columns(table.c.key, table.c.count, table.c.last_at)


_add: Final[Mapping[Dialect, sa.TextualSelect]] = {
    "postgresql": _add_statement("postgresql"),
    "sqlite": _add_statement("sqlite"),
}


class SqlLoginFailures(Repository):
    """See eudai_core.contracts.LoginFailures."""

    __slots__ = ()

    async def get(self, keys: Sequence[str]) -> dict[str, Failures]:
        """Return what is known of several keys; those without failures are missing."""
        if not keys:
            return {}
        rows = await self._tx.rows(_get, {"keys": list(keys)})
        return {key: Failures(count, last_at) for key, count, last_at in rows}

    async def add(self, keys: Sequence[str], *, at: datetime, forget_before: datetime) -> dict[str, Failures]:
        """Count one more failure for each key and return the counts; a count whose last is older begins anew."""
        if not keys:
            return {}
        failed = dump_json([{"key": key} for key in sorted(set(keys))])
        rows = await self._tx.rows(_add[self._tx.dialect], {"failed": failed, "at": at, "forget_before": forget_before})
        return {key: Failures(count, last_at) for key, count, last_at in rows}

    async def clear(self, keys: Sequence[str]) -> None:
        """Forget the failures of some keys."""
        there = [row[0] for row in await self._tx.rows(_lock, {"keys": list(keys)})] if keys else []
        if there:
            await self._tx.run(_clear, {"keys": there})

    async def forget(self, *, before: datetime) -> int:
        """Forget all whose last failure is older; return how many."""
        return await self._tx.run(_forget, {"before": before}, slow=True)
