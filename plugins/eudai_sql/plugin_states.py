"""How the plugins of each server process are doing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from eudai_core.model import PluginState, PluginStatus
from eudai_sql.repository import Repository
from eudai_sql.tables import plugin_states as table
from eudai_sql.transaction import Row

__all__ = ["SqlPluginStates"]

_FORGET_AFTER: Final = timedelta(days=1)

_columns: Final = (
    table.c.name,
    table.c.distribution,
    table.c.version,
    table.c.status,
    table.c.detail,
    table.c.import_ms,
    table.c.hooks,
    table.c.faults,
)
# Processes that ended leave their rows; a day later nobody asks for them.
_clear: Final = table.delete().where(
    sa.or_(table.c.instance == sa.bindparam("reporter"), table.c.reported_at < sa.bindparam("forgotten"))
)
_add: Final = table.insert()
_newest: Final = (
    sa.select(table.c.instance).order_by(table.c.reported_at.desc(), table.c.instance).limit(1).scalar_subquery()
)
_latest: Final = sa.select(*_columns).where(table.c.instance == _newest).order_by(table.c.name)


class SqlPluginStates(Repository):
    """See eudai_core.contracts.PluginStates."""

    __slots__ = ()

    async def save(self, instance: str, states: Sequence[PluginState], *, at: datetime) -> None:
        """Replace the states that one server process reported."""
        await self._tx.run(_clear, {"reporter": instance, "forgotten": at - _FORGET_AFTER})
        if states:
            await self._tx.run(_add, [_row(state) | {"instance": instance, "reported_at": at} for state in states])

    async def latest(self) -> list[PluginState]:
        """Return the states that the process that reported last saw."""
        return [_state(row) for row in await self._tx.rows(_latest)]


def _row(state: PluginState) -> dict[str, Any]:
    values: dict[str, Any] = {column.name: getattr(state, column.name) for column in _columns}
    return values | {"status": state.status.value, "hooks": list(state.hooks), "faults": dict(state.faults)}


def _state(row: Row) -> PluginState:
    name, distribution, version, status, detail, import_ms, hooks, faults = row
    return PluginState(name, distribution, version, PluginStatus(status), detail, import_ms, hooks, faults)
