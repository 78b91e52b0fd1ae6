"""The embedded database's place: private, and clear about it when it cannot be used."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from eudai_core.app import Application
from eudai_core.errors import ConfigError
from support.chatting import chatting


async def test_the_database_is_its_user_s_alone_also_in_an_open_directory(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    async with chatting(data):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data.glob("eudai.db*")}
        assert modes["eudai.db"] == modes["eudai.db-wal"] == 0o600


async def test_a_data_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    settings = {"EUDAI_DATA_DIR": str(tmp_path / "file" / "data")}
    with pytest.raises(ConfigError, match="EUDAI_DATA_DIR"):
        async with Application.open(overrides=settings, environ={}, dotenv=None):
            pass
