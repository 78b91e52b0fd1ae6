"""The lock that keeps an embedded database to one server."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import NoReturn

import pytest

from eudai_core.errors import ConfigError
from eudai_core.schema import LOCK_NAME, single_server


def test_a_second_server_is_refused_and_the_first_named(tmp_path: Path) -> None:
    with single_server(tmp_path), pytest.raises(ConfigError, match=rf"Another eudai server \(process {os.getpid()}\)"):
        single_server(tmp_path).__enter__()
    with single_server(tmp_path):
        assert (tmp_path / LOCK_NAME).read_text() == str(os.getpid())


def test_a_directory_that_it_makes_is_its_user_s_alone(tmp_path: Path) -> None:
    with single_server(tmp_path / "new"):
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO])
def test_a_file_that_cannot_be_locked_is_no_other_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    # Stands in for a file system without locks, which this machine cannot be relied on to have.
    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(ConfigError, match=f"{os.strerror(number)}.*EUDAI_DATA_DIR") as caught:
        single_server(tmp_path).__enter__()
    assert "Another" not in str(caught.value)


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(ConfigError, match="cannot be locked"):
        single_server(tmp_path / "file" / "data").__enter__()
