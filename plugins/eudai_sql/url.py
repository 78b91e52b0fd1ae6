"""Database URLs as people write them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from eudai_core.errors import ConfigError

__all__ = ["DatabaseUrl", "Dialect", "parse_url"]

Dialect = Literal["postgresql", "sqlite"]

_POSTGRESQL: Final = frozenset({"postgresql", "postgres"})
_ADVICE: Final = "use postgresql://user:password@host/name or sqlite:////absolute/path.db"


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A database: ``dsn`` is what asyncpg understands (PostgreSQL), ``path`` the file (SQLite).

    ``description`` says where it is, for people, without credentials.
    """

    dialect: Dialect
    description: str
    dsn: str = ""
    path: Path = Path()


def parse_url(url: str) -> DatabaseUrl:
    """Understand ``postgresql://``, ``postgres://`` and ``sqlite:///`` URLs, with or without ``+driver``.

    Parameters of libpq such as ``sslmode`` and ``host`` are left to asyncpg, which knows them.

    Raises:
        ConfigError: it is none of these; the message does not repeat it, since it may hold a password.
    """
    scheme, colon, rest = url.strip().partition("://")
    name = scheme.partition("+")[0].lower()
    if colon and name in _POSTGRESQL:
        return _postgresql(f"postgresql://{rest}")
    if colon and name == "sqlite":
        return _sqlite(rest)
    raise ConfigError(f"The database URL is of no kind that is understood here: {_ADVICE}.")


def _postgresql(dsn: str) -> DatabaseUrl:
    try:
        parts = urlsplit(dsn)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"The database URL cannot be read: {_ADVICE}.") from error
    host = parts.hostname or parse_qs(parts.query).get("host", ["localhost"])[0]
    where = f"{host}:{port}" if port else host
    name = unquote(parts.path.lstrip("/")) or "the user's own"
    return DatabaseUrl("postgresql", f"PostgreSQL database {name} at {where}", dsn=dsn)


def _sqlite(rest: str) -> DatabaseUrl:
    path = unquote(rest.partition("?")[0].removeprefix("/"))
    if not path or path == ":memory:":
        raise ConfigError(f"The SQLite URL names no file, and a database in memory would be lost: {_ADVICE}.")
    return DatabaseUrl("sqlite", f"SQLite at {path}", path=Path(path))
