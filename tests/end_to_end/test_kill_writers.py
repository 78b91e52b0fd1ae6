"""kill -9 at moments drawn by lot while eight users write: every acknowledged write is there, and nothing half done."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.crash_rounds import kill_rounds

SEED = 20261125
MOST_LOST_S = 1.5
"""Five times the 300 ms that are aimed at; benchmarks/endurance counts what is late."""


@pytest.mark.timeout(240)
async def test_every_acknowledged_write_survives_five_kills(tmp_path: Path, database_url: str) -> None:
    figures = await kill_rounds(tmp_path / "data", database_url, seed=SEED, rounds=5, most_lost_s=MOST_LOST_S)
    assert all(found.acknowledged for found in figures)
    assert sum(found.answers["complete"] for found in figures)
    assert sum(found.answers["interrupted"] for found in figures)
