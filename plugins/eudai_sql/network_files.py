"""Where an SQLite file cannot live: file systems of other machines, as far as Linux tells.

SQLite's write-ahead log needs memory that all connections share and locks that hold; over a network neither is sure,
and the file is damaged in silence (https://www.sqlite.org/wal.html, https://www.sqlite.org/howtocorrupt.html).
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from eudai_core.errors import ConfigError

__all__ = ["Mount", "mount_of", "require_local"]

_MOUNTS: Final = Path("/proc/self/mountinfo")
_NETWORK: Final = frozenset(
    {
        "9p",
        "acfs",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "pvfs2",
        "smb2",
        "smb3",
        "smbfs",
        "vboxsf",
    }
)
_NETWORK_FUSE: Final = frozenset(
    {
        "ceph",
        "ceph-fuse",
        "curlftpfs",
        "davfs2",
        "gcsfuse",
        "glusterfs",
        "goofys",
        "juicefs",
        "moosefs",
        "mfs",
        "rclone",
        "s3fs",
        "seaweedfs",
        "sshfs",
        "vmhgfs-fuse",
    }
)
_ESCAPE: Final = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """A mounted file system: its type, such as ``nfs4``, and the directory it is mounted at."""

    type: str
    directory: str

    @property
    def is_network(self) -> bool:
        """Whether it is known to be of another machine."""
        kind, _, helper = self.type.partition(".")
        return helper in _NETWORK_FUSE if kind == "fuse" and helper else kind in _NETWORK


def mount_of(path: PurePosixPath, mountinfo: str) -> Mount | None:
    """Return the mount that an absolute path is on, by the text of ``/proc/self/mountinfo`` (proc(5)), or None."""
    found: Mount | None = None
    for line in mountinfo.splitlines():
        before, dash, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if not dash or len(fields) < 5:
            continue
        # Space, tab, newline and backslash are written as three octal digits, of the name's bytes.
        directory = _ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[4])
        # Of two mounts on one directory the later one covers the other.
        if path.is_relative_to(directory) and (found is None or len(directory) >= len(found.directory)):
            found = Mount(rest[0], directory)
    return found


def require_local(path: Path) -> None:
    """See that an SQLite file at ``path``, which need not be there yet, is on a file system of this machine.

    Where the system does not tell, nothing is refused.

    Raises:
        ConfigError: it is on a network file system.
    """
    try:
        mountinfo = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
        mount = mount_of(PurePosixPath(path.resolve()), mountinfo)
    except (OSError, RuntimeError):  # no Linux, or links that go round in circles: opening the file will tell
        return
    if mount is not None and mount.is_network:
        raise ConfigError(
            f"The embedded database would be on a network file system ({mount.type} at {mount.directory}), which would "
            "damage it. Choose a directory of this machine with EUDAI_DATA_DIR or --data-dir, or use PostgreSQL "
            "(EUDAI_DATABASE_URL)."
        )
