from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eudai_core.errors import ConfigError
from eudai_core.settings import SECRET_KEY_PLACEHOLDER, CoreSettings, Settings, secret_key

posix = pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX")
GIVEN = "0123456789abcdef0123456789abcdef"


def core(**environ: str) -> CoreSettings:
    return Settings.load(environ=environ, dotenv=None).section(CoreSettings)


def test_a_key_that_is_given_is_used(tmp_path: Path) -> None:
    assert secret_key(core(EUDAI_SECRET_KEY=GIVEN, EUDAI_DATA_DIR=str(tmp_path))) == GIVEN.encode()
    assert list(tmp_path.iterdir()) == []


def test_a_key_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"{GIVEN}\n")
    assert secret_key(core(EUDAI_SECRET_KEY_FILE=str(path))) == GIVEN.encode()


@pytest.mark.parametrize(
    ("key", "message"), [("short", "has fewer than 32 bytes"), (SECRET_KEY_PLACEHOLDER, "is the placeholder")]
)
def test_a_key_that_is_too_short_or_known_to_all_is_refused(key: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        core(EUDAI_SECRET_KEY=key)
    assert key not in caught.value.detail


def test_the_first_call_makes_a_key_and_the_next_ones_find_it(tmp_path: Path) -> None:
    settings = core(EUDAI_DATA_DIR=str(tmp_path / "new" / "data"))
    key = secret_key(settings)
    assert len(key) >= 43
    assert secret_key(settings) == key
    assert [one.name for one in settings.data_dir.iterdir()] == ["secret-key"]


def test_two_data_directories_have_two_keys(tmp_path: Path) -> None:
    assert secret_key(core(EUDAI_DATA_DIR=str(tmp_path / "a"))) != secret_key(core(EUDAI_DATA_DIR=str(tmp_path / "b")))


@posix
def test_the_key_and_its_directory_are_the_users_alone(tmp_path: Path) -> None:
    settings = core(EUDAI_DATA_DIR=str(tmp_path / "data"))
    secret_key(settings)
    assert settings.data_dir.stat().st_mode & 0o777 == 0o700
    assert (settings.data_dir / "secret-key").stat().st_mode & 0o777 == 0o600


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    settings = core(EUDAI_DATA_DIR=str(tmp_path))
    key = secret_key(settings)
    (tmp_path / "secret-key").chmod(mode)
    with pytest.raises(ConfigError, match=r"can be read by other users: run `chmod 600 .*secret-key`") as caught:
        secret_key(settings)
    assert key.decode() not in caught.value.detail


def test_a_truncated_key_is_refused(tmp_path: Path) -> None:
    settings = core(EUDAI_DATA_DIR=str(tmp_path))
    secret_key(settings)
    (tmp_path / "secret-key").write_bytes(b"stump")
    with pytest.raises(ConfigError, match="holds no usable key"):
        secret_key(settings)


def test_a_directory_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="choose another one with EUDAI_DATA_DIR"):
        secret_key(core(EUDAI_DATA_DIR=str(tmp_path / "file" / "data")))


def test_callers_at_once_agree_on_one_key(tmp_path: Path) -> None:
    settings = core(EUDAI_DATA_DIR=str(tmp_path))
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: secret_key(settings), range(32)))
    assert len(keys) == 1
