"""The key that tokens are signed with: given by a setting, or made once and kept in the data directory."""

from __future__ import annotations

import base64
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from eudai_core.errors import ConfigError
from eudai_core.settings.core import MIN_SECRET_BYTES, CoreSettings

__all__ = ["KEY_FILE", "secret_key"]

KEY_FILE: Final = "secret-key"
"""The file's name in the data directory."""


def secret_key(core: CoreSettings) -> bytes:
    """Return the secret key; the first call on a new data directory makes it. Blocks on the disk for a moment.

    Raises:
        ConfigError: the data directory cannot be written, or the key's file is unusable or readable by others.
    """
    if core.secret_key is not None:
        return core.secret_key.reveal().encode()
    path = core.data_dir / KEY_FILE
    try:
        core.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _create(path)
        return _read(path)
    except OSError as error:
        raise ConfigError(
            f"The secret key cannot be kept in {path} ({error.strerror}): make the directory writable, "
            "choose another one with EUDAI_DATA_DIR, or set EUDAI_SECRET_KEY."
        ) from error


def _create(path: Path) -> None:
    """Make the key under another name and link it, so that no other process ever reads half a key."""
    text = base64.urlsafe_b64encode(secrets.token_bytes(32))
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        _link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _link(draft: Path, path: Path) -> None:
    """Give the draft its name, unless another process was first: then its key is the one."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    except OSError:
        # Some file systems know no hard links; O_EXCL still lets one writer win.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(draft.read_bytes())


def _read(path: Path) -> bytes:
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path} can be read by other users: run `chmod 600 {path}`, or delete it to get a new key.")
    key = path.read_bytes().strip()
    if len(key) < MIN_SECRET_BYTES:
        raise ConfigError(f"{path} holds no usable key (fewer than {MIN_SECRET_BYTES} bytes): delete it for a new one.")
    return key
