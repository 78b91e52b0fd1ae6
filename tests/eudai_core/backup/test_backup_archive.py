"""The file of a backup: what is in it, and that nothing else is taken for one."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from eudai_core.backup import lines, reading
from eudai_core.backup.lines import RowSum, line_of, row_of
from eudai_core.backup.manifest import Manifest, manifest_limit
from eudai_core.backup.progress import Silent
from eudai_core.backup.reading import ArchiveReader
from eudai_core.backup.writing import ArchiveWriter
from eudai_core.contracts import TableShape
from eudai_core.errors import BadFile, ConfigError

USERS = TableShape("users", ("id", "name"))
ROWS: list[list[Any]] = [["1", "Ada \n é"], ["2", None]]
BODY = bytes(range(256)) * 5000
AT = datetime(2026, 11, 25, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A small backup."""
    path = tmp_path / "backups" / "a.zip"
    writer = ArchiveWriter(path)
    writer.begin_table("users")
    writer.add_rows(ROWS[:1])
    writer.add_rows(ROWS[1:])
    users = writer.end_table(USERS)
    writer.begin_table("empty")
    empty = writer.end_table(TableShape("empty", ("id",)))
    writer.begin_blob("blob/1")
    writer.add(BODY[:1000])
    writer.add(BODY[1000:])
    blob = writer.end_blob("blob/1")
    tables = {"users": users, "empty": empty}
    keys, flawed = {"passages": 9}, {"gone/2": "missing"}
    writer.publish(Manifest("1.0", "SQLite", AT, {"core": "0001"}, tables, keys, blobs=(blob,), flawed=flawed))
    return path


def check(path: Path) -> None:
    reader = ArchiveReader(path)
    try:
        reader.verify(Silent())
        for table in reader.manifest.tables:
            list(reader.rows(table))
    finally:
        reader.close()


def rewrite(path: Path, change: Callable[[dict[str, tuple[bytes, int]]], object]) -> None:
    """Write the archive again with other members."""
    with zipfile.ZipFile(path) as file:
        members = {info.filename: (file.read(info), info.compress_type) for info in file.infolist()}
    change(members)
    with zipfile.ZipFile(path, "w") as file:
        for name, (data, compression) in members.items():
            file.writestr(name, data, compression)


def change_manifest(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    def apply(members: dict[str, tuple[bytes, int]]) -> None:
        told = json.loads(members["manifest.json"][0])
        change(told)
        members["manifest.json"] = (json.dumps(told).encode(), zipfile.ZIP_DEFLATED)

    rewrite(path, apply)


def test_a_backup_is_a_private_zip_file_that_anybody_can_read(archive: Path) -> None:
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert stat.S_IMODE(archive.parent.stat().st_mode) == 0o700
    assert [path.name for path in archive.parent.iterdir()] == ["a.zip"]
    with zipfile.ZipFile(archive) as file:
        assert file.testzip() is None
        told = json.loads(file.read("manifest.json"))
        users = file.read("tables/users.jsonl")
        assert users.decode() == '["1","Ada \\n é"]\n["2",null]\n'
        assert file.read("blobs/blob/1") == BODY
        assert file.getinfo("blobs/blob/1").compress_type == zipfile.ZIP_STORED
    assert told == {
        "format": 1,
        "program": "1.0",
        "database": "SQLite",
        "created_at": "2026-11-25T12:00:00.123456Z",
        "revisions": {"core": "0001"},
        "tables": {
            "users": {
                "columns": ["id", "name"],
                "rows": 2,
                "size": len(users),
                "sha256": hashlib.sha256(users).hexdigest(),
            },
            "empty": {"columns": ["id"], "rows": 0, "size": 0, "sha256": hashlib.sha256().hexdigest()},
        },
        "last_keys": {"passages": 9},
        "files": True,
        "blobs": [{"key": "blob/1", "size": len(BODY), "sha256": hashlib.sha256(BODY).hexdigest()}],
        "flawed": {"gone/2": "missing"},
    }


def test_what_was_written_is_read(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for piece in (1, 7, 1 << 20):
        monkeypatch.setattr(reading, "_PIECE", piece)
        reader = ArchiveReader(archive)
        assert [row for batch in reader.rows("users") for row in batch] == ROWS
        assert list(reader.rows("empty")) == []
        assert b"".join(reader.blob(reader.manifest.blobs[0])) == BODY
        assert (reader.manifest.rows, reader.manifest.blob_bytes) == (2, len(BODY))
        assert Manifest.from_json(reader.manifest.to_json()) == reader.manifest
        reader.close()
    check(archive)


def test_every_byte_counts(archive: Path) -> None:
    """Whichever byte is flipped, the backup is refused, or (in what no reader looks at) still the same."""
    whole = archive.read_bytes()
    with zipfile.ZipFile(archive) as file:
        blob = file.getinfo("blobs/blob/1")
    inside = range(blob.header_offset + 200, blob.header_offset + blob.file_size - 200)
    refused = 0
    places = [place for place in range(len(whole)) if place not in inside or place % 50_000 == 0]
    for place in places:
        archive.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        try:
            check(archive)
        except BadFile:
            refused += 1
            continue
        reader = ArchiveReader(archive)
        assert [row for batch in reader.rows("users") for row in batch] == ROWS
        assert reader.manifest.flawed == {"gone/2": "missing"}
        reader.close()
    assert refused > len(places) * 0.6  # the rest are dates, system numbers and the like of the zip format


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.9, -1])
def test_a_truncated_backup_is_refused(archive: Path, kept: float) -> None:
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(kept * len(whole)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(BadFile, match="no whole backup"):
        check(archive)


@pytest.mark.parametrize("name", ["manifest.json", "tables/users.jsonl", "tables/empty.jsonl", "blobs/blob/1"])
def test_a_missing_member_is_noticed(archive: Path, name: str) -> None:
    rewrite(archive, lambda members: members.pop(name))
    with pytest.raises(BadFile):
        check(archive)


@pytest.mark.parametrize(
    "name", ["more", "../outside", "/etc/passwd", "tables/../../x", "blobs/blob/2", "tables/x.jsonl"]
)
def test_a_member_more_is_noticed(archive: Path, name: str) -> None:
    rewrite(archive, lambda members: members.update({name: (b"", zipfile.ZIP_STORED)}))
    with pytest.raises(BadFile, match="members"):
        check(archive)


def test_a_member_that_is_there_twice_is_noticed(archive: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(archive, "a") as file:
        file.writestr("tables/users.jsonl", b'["3","Eve"]\n')
    with pytest.raises(BadFile, match="members"):
        check(archive)


@pytest.mark.parametrize(
    "key", ["../outside", "/absolute", "a/../b", "a//b", "", "a\\b", "a.b", "a\n", "é", "x" * 201, "C:x", 5, None]
)
def test_a_key_that_leads_elsewhere_is_refused(archive: Path, key: object) -> None:
    def change(members: dict[str, tuple[bytes, int]]) -> None:
        members[f"blobs/{key}"] = members.pop("blobs/blob/1")

    rewrite(archive, change)
    change_manifest(archive, lambda told: told["blobs"][0].update(key=key))
    with pytest.raises(BadFile):
        check(archive)


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told["tables"]["users"].update(rows=3),
        lambda told: told["tables"]["users"].update(rows=-1),
        lambda told: told["tables"]["users"].update(rows=True),
        lambda told: told["tables"]["users"].update(rows="2"),
        lambda told: told["tables"]["users"].update(size=1),
        lambda told: told["tables"]["users"].update(sha256="0" * 64),
        lambda told: told["tables"]["users"].update(sha256="0"),
        lambda told: told["tables"]["users"].update(columns=["id"]),
        lambda told: told["tables"]["users"].update(columns=[1, 2]),
        lambda told: told["tables"].update({"../x": told["tables"].pop("users")}),
        lambda told: told["tables"].update(users=None),
        lambda told: told["blobs"][0].update(size=5),
        lambda told: told["blobs"][0].update(sha256="0" * 64),
        lambda told: told["blobs"].append(told["blobs"][0]),
        lambda told: told.pop("revisions"),
        lambda told: told.update(revisions=[]),
        lambda told: told.update(created_at="yesterday"),
        lambda told: told.pop("format"),
        lambda told: told.update(flawed={"../x": "missing"}),
        lambda told: told.update(revisions={"tally": "0001"}),
        lambda told: told.update(last_keys={"passages": 1 << 63}),
        lambda told: told.update(last_keys={"passages": -1}),
        lambda told: told.update(last_keys={"../x": 1}),
    ],
)
def test_a_manifest_that_tells_something_else_is_refused(
    archive: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    change_manifest(archive, change)
    with pytest.raises(BadFile):
        check(archive)


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"\xff", b"{" * 100_000])
def test_a_manifest_that_is_none_is_refused(archive: Path, text: bytes) -> None:
    rewrite(archive, lambda members: members.update({"manifest.json": (text, zipfile.ZIP_DEFLATED)}))
    with pytest.raises(BadFile):
        check(archive)


def test_a_newer_format_is_named(archive: Path) -> None:
    change_manifest(archive, lambda told: told.update(format=2, tables="something new"))
    with pytest.raises(BadFile, match=r"format 2.*reads format 1"):
        check(archive)


@pytest.mark.parametrize(
    "text", [b"{}\n", b"[1,2\n", b'["only one"]\n', b'["1","2","3"]\n', b"\n", b"\xff\n", b"[" * 5000]
)
def test_a_line_that_is_no_row_is_refused(archive: Path, text: bytes) -> None:
    text = text + b"\n" * (text.count(b"\n") == 0)

    def apply(members: dict[str, tuple[bytes, int]]) -> None:
        members["tables/users.jsonl"] = (text, zipfile.ZIP_DEFLATED)

    rewrite(archive, apply)
    digest = hashlib.sha256(text).hexdigest()
    change_manifest(archive, lambda told: told["tables"]["users"].update(rows=1, size=len(text), sha256=digest))
    with pytest.raises(BadFile, match="the table users"):
        check(archive)


def test_a_file_that_was_squeezed_is_refused(archive: Path) -> None:
    """Files are stored as they are, so that none can grow beyond what the archive has."""
    rewrite(archive, lambda members: members.update({"blobs/blob/1": (BODY, zipfile.ZIP_DEFLATED)}))
    with pytest.raises(BadFile, match="not as it was written"):
        check(archive)


def test_a_line_without_an_end_is_not_held_in_memory(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LINE_LIMIT", 1000)
    monkeypatch.setattr(reading, "_PIECE", 100)
    endless = b"[" + b" " * 5000

    def apply(members: dict[str, tuple[bytes, int]]) -> None:
        members["tables/users.jsonl"] = (endless, zipfile.ZIP_DEFLATED)

    rewrite(archive, apply)
    digest = hashlib.sha256(endless).hexdigest()
    change_manifest(archive, lambda told: told["tables"]["users"].update(rows=0, size=len(endless), sha256=digest))
    monkeypatch.setattr(reading, "LINE_LIMIT", 4000)
    reader = ArchiveReader(archive)
    with pytest.raises(BadFile, match="too long"):
        list(reader.rows("users"))
    reader.close()


def test_a_list_of_contents_that_is_too_long_is_neither_read_nor_written(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swell(members: dict[str, tuple[bytes, int]]) -> None:
        members["manifest.json"] = (members["manifest.json"][0] + b" " * manifest_limit(4), zipfile.ZIP_DEFLATED)

    rewrite(archive, swell)

    def read(*_: object) -> bytes:
        raise AssertionError("it was read all the same")

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipExtFile, "read", read)
        with pytest.raises(BadFile, match="too long"):
            ArchiveReader(archive)
    writer = ArchiveWriter(tmp_path / "b.zip")
    flawed = {"x" * 200: "y" * manifest_limit(0)}
    with pytest.raises(ConfigError, match="too long"):
        writer.publish(Manifest("1.0", "SQLite", AT, {"core": "0001"}, {}, flawed=flawed))
    writer.discard()


def test_the_pieces_of_a_long_line_are_put_together_once(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred thousand pieces: put together anew with each one, they would be moved by the gigabyte."""
    monkeypatch.setattr(reading, "_PIECE", 20)
    line = json.dumps(["1", "x" * 2_000_000]).encode() + b"\n"

    def apply(members: dict[str, tuple[bytes, int]]) -> None:
        members["tables/users.jsonl"] = (line + line, zipfile.ZIP_DEFLATED)

    rewrite(archive, apply)
    digest = hashlib.sha256(line + line).hexdigest()
    change_manifest(archive, lambda told: told["tables"]["users"].update(rows=2, size=2 * len(line), sha256=digest))
    reader = ArchiveReader(archive)
    begun = time.process_time()
    assert [len(row[1]) for batch in reader.rows("users") for row in batch] == [2_000_000] * 2
    assert time.process_time() - begun < 10
    reader.close()


def test_a_row_that_no_backup_can_hold_is_refused_when_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LINE_LIMIT", 1000)
    with pytest.raises(ConfigError, match="longer than"):
        line_of(["x" * 1000])
    for value in ("\ud800", float("nan"), b"bytes"):
        with pytest.raises(ConfigError, match="cannot be written"):
            line_of([value])


def test_a_discarded_backup_leaves_nothing(tmp_path: Path) -> None:
    writer = ArchiveWriter(tmp_path / "a.zip")
    writer.begin_table("users")
    writer.add_rows(ROWS)
    (draft,) = tmp_path.iterdir()
    assert (draft.name[:6], draft.suffix) == ("a.zip.", ".partial")
    writer.discard()
    writer.discard()
    assert list(tmp_path.iterdir()) == []


def test_what_killed_backups_left_is_removed(tmp_path: Path) -> None:
    stale, young, other = (tmp_path / f"{name}.a1.partial" for name in ("eudai-1.zip", "eudai-2.zip", "other.zip"))
    for path in (stale, young, other):
        path.write_text("half a backup")
    for path in (stale, other):
        os.utime(path, (0, 0))
    ArchiveWriter(tmp_path / "a.zip").discard()
    assert set(tmp_path.iterdir()) == {young, other}


def test_a_file_that_is_no_backup_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with pytest.raises(BadFile, match="cannot be read"):
        ArchiveReader(path)
    path.write_bytes(b"PK is not enough")
    with pytest.raises(BadFile, match="no zip file"):
        ArchiveReader(path)


def test_sums_do_not_depend_on_order_and_tell_rows_apart() -> None:
    def sum_of(*rows: list[object]) -> str:
        found = RowSum()
        for row in rows:
            found.add_rows([row])
        return found.hexdigest

    assert sum_of([1], [2], [3]) == sum_of([3], [1], [2])
    assert len({sum_of(), sum_of([1]), sum_of([1], [1]), sum_of(["1"]), sum_of([None]), sum_of([1.0])}) == 6
    assert sum_of([{"b": 1, "a": 2}]) == sum_of([{"a": 2, "b": 1}])


def test_a_line_is_the_row_again() -> None:
    row = ["\u2028\n", 2**63 - 1, 5e-324, True, None, [None], [{"é": [1, 2.5]}]]
    assert row_of(line_of(row)) == row
    assert line_of(row).count(b"\n") == 1
