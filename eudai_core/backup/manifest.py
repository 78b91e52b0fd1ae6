"""What is in a backup: the member ``manifest.json``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

from eudai_core.errors import BadFile
from eudai_core.plugin_tables import CORE_BRANCH

__all__ = ["FORMAT", "BlobEntry", "Manifest", "TableEntry", "blob_member", "damaged", "manifest_limit", "table_member"]

FORMAT: Final = 1
"""The format that this program writes, and the newest that it reads."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
# As contracts.BlobStore has it, so that no key leads anywhere else.
_KEY: Final = re.compile(r"(?=.{1,200}\Z)[A-Za-z0-9-]+(?:/[A-Za-z0-9-]+)*", re.ASCII)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_LARGEST_KEY: Final = (1 << 63) - 1
_BYTES: Final = 16 << 20
_BYTES_OF_MEMBER: Final = 1 << 10


@dataclass(frozen=True, slots=True)
class TableEntry:
    """A table: its columns, and its member's rows, bytes before compression, and SHA-256."""

    columns: tuple[str, ...]
    rows: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BlobEntry:
    """The bytes of an uploaded file."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that a backup holds.

    ``last_keys`` are the last generated keys of tables, which must not be given again.
    ``files`` says whether the bytes of uploaded files are in it; ``flawed`` are keys of bytes that were ``missing`` or
    ``changed`` already when the backup was made: of the changed ones it has what there was.
    """

    program: str
    database: str
    created_at: datetime
    revisions: Mapping[str, str]
    tables: Mapping[str, TableEntry]
    last_keys: Mapping[str, int] = field(default_factory=dict)
    files: bool = True
    blobs: Sequence[BlobEntry] = ()
    flawed: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows all tables have."""
        return sum(table.rows for table in self.tables.values())

    @property
    def blob_bytes(self) -> int:
        """How many bytes all files have."""
        return sum(blob.size for blob in self.blobs)

    def to_json(self) -> bytes:
        """Return the member's bytes."""
        told = {"format": FORMAT, **asdict(self), "created_at": self.created_at.isoformat().replace("+00:00", "Z")}
        return json.dumps(told, indent=1, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Manifest:
        """Read the member.

        Raises:
            BadFile: it is none, or of a newer format.
        """
        try:
            told = json.loads(text)
            found = told["format"]
            if found == FORMAT:
                return _manifest(told)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise damaged("its list of contents cannot be read") from error
        raise BadFile(
            f"The backup has format {found}, and this version of eudai reads format {FORMAT}: use the version that "
            "made the backup, or a newer one."
        )


def damaged(what: str) -> BadFile:
    """Return the error of a file that is no backup as it was made."""
    return BadFile(f"This is no whole backup: {what}; use another copy.")


def manifest_limit(members: int) -> int:
    """Return how many bytes the manifest of an archive of so many members may have: it is read as a whole."""
    return _BYTES + members * _BYTES_OF_MEMBER


def table_member(name: str) -> str:
    """Return the name of a table's member."""
    return f"tables/{name}.jsonl"


def blob_member(key: str) -> str:
    """Return the name of a blob's member."""
    return f"blobs/{key}"


def _manifest(told: Mapping[str, Any]) -> Manifest:
    if CORE_BRANCH not in told["revisions"]:
        raise ValueError("no revision of the core's tables")
    return Manifest(
        program=_text(told["program"]),
        database=_text(told["database"]),
        created_at=datetime.fromisoformat(told["created_at"]),
        revisions={_checked(_NAME, branch): _text(revision) for branch, revision in told["revisions"].items()},
        tables={_checked(_NAME, name): _table(entry) for name, entry in told["tables"].items()},
        last_keys={_checked(_NAME, name): _key(last) for name, last in told.get("last_keys", {}).items()},
        files=bool(told["files"]),
        blobs=tuple(map(_blob, told["blobs"])),
        flawed={_checked(_KEY, key): _text(how) for key, how in told["flawed"].items()},
    )


def _table(told: Mapping[str, Any]) -> TableEntry:
    columns = tuple(_text(name) for name in told["columns"])
    return TableEntry(columns, _count(told["rows"]), _count(told["size"]), _checked(_SHA256, told["sha256"]))


def _blob(told: Mapping[str, Any]) -> BlobEntry:
    return BlobEntry(_checked(_KEY, told["key"]), _count(told["size"]), _checked(_SHA256, told["sha256"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError("not a count")
    return value


def _key(value: object) -> int:
    if (key := _count(value)) > _LARGEST_KEY:
        raise ValueError("not a key of a database")
    return key


def _checked(pattern: re.Pattern[str], value: object) -> str:
    if not pattern.fullmatch(_text(value)):
        raise ValueError("not a name that is written here")
    return str(value)
