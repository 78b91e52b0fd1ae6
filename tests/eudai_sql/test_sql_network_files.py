"""Where an SQLite file cannot live."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from eudai_core.errors import ConfigError
from eudai_sql import network_files
from eudai_sql.network_files import Mount, mount_of, require_local

MOUNTS = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
31 27 0:44 / /home rw,relatime shared:17 - nfs4 filer:/export/home rw,vers=4.2,addr=192.0.2.7
32 31 0:45 / /home/ada/local rw,relatime shared:18 master:3 - btrfs /dev/sdb1 rw,subvol=/x
33 27 0:46 / /srv/my\\040files\\134x rw - cifs //filer/share rw,vers=3.1.1
34 27 0:47 / /mnt/c rw,noatime - 9p drvfs rw,trans=fd
35 27 0:48 / /media/over rw - ext4 /dev/sdc1 rw
36 27 0:49 / /media/over rw - fuse.sshfs ada@host:/data rw,user_id=0
37 27 0:50 / /media/drive rw - fuseblk /dev/sdd1 rw
38 27 0:51 / /media/mine rw - fuse.encfs encfs rw
39 27 0:52 / /containers rw - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
40 27 0:53 / /homestead rw - tmpfs tmpfs rw
41 27 0:54 / /ceph rw - ceph 192.0.2.1:/ rw
half a line
"""


@pytest.mark.parametrize(
    ("path", "mount", "network"),
    [
        ("/var/lib/eudai", Mount("ext4", "/"), False),
        ("/home/ada", Mount("nfs4", "/home"), True),
        ("/home", Mount("nfs4", "/home"), True),
        ("/homestead/ada", Mount("tmpfs", "/homestead"), False),
        ("/home/ada/local/data", Mount("btrfs", "/home/ada/local"), False),
        ("/srv/my files\\x/data", Mount("cifs", "/srv/my files\\x"), True),
        ("/srv/my files", Mount("ext4", "/"), False),
        ("/mnt/c/Users", Mount("9p", "/mnt/c"), True),
        ("/media/over/data", Mount("fuse.sshfs", "/media/over"), True),
        ("/media/drive/data", Mount("fuseblk", "/media/drive"), False),
        ("/media/mine/data", Mount("fuse.encfs", "/media/mine"), False),
        ("/containers/data", Mount("overlay", "/containers"), False),
        ("/ceph/data", Mount("ceph", "/ceph"), True),
    ],
)
def test_the_longest_mount_point_counts(path: str, mount: Mount, network: bool) -> None:
    found = mount_of(PurePosixPath(path), MOUNTS)
    assert found == mount
    assert found.is_network is network


def test_what_is_not_told_is_not_known() -> None:
    assert mount_of(PurePosixPath("/var"), "") is None
    assert mount_of(PurePosixPath("/var"), "no mounts at all") is None


def test_a_network_file_system_is_refused_by_what_it_really_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    monkeypatch.setattr(network_files, "_MOUNTS", mounts)
    (tmp_path / "share").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "share")
    mounts.write_text(f"{MOUNTS}50 27 0:60 / {tmp_path / 'share'} rw - nfs filer:/x rw\n")
    require_local(tmp_path / "data" / "eudai.db")
    for path in (tmp_path / "share", tmp_path / "share" / "not" / "there.db", tmp_path / "link" / "eudai.db"):
        with pytest.raises(ConfigError, match=rf"nfs at {tmp_path / 'share'}.*EUDAI_DATA_DIR.*PostgreSQL"):
            require_local(path)


def test_where_the_system_does_not_tell_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_files, "_MOUNTS", tmp_path / "missing")
    require_local(tmp_path)
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    monkeypatch.undo()
    require_local(tmp_path / "a" / "eudai.db")
