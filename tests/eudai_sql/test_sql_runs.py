"""What the tables themselves hold of the queue. What runs do is checked by the conformance suite."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eudai_core.errors import Conflict
from eudai_core.model import RunStatus
from eudai_sql.storage import SqlStorage
from support.sql_rows import Rows


async def test_database_itself_refuses_a_second_running_run(storage: SqlStorage, rows: Rows) -> None:
    async with storage.unit_of_work() as work:
        await work.runs.add(replace(rows.run(), status=RunStatus.RUNNING), None)
        with pytest.raises(Conflict):
            await work.runs.add(replace(rows.run(), status=RunStatus.RUNNING), None)
