"""The settings of the database."""

from __future__ import annotations

from dataclasses import dataclass

from eudai_core.settings import Secret, setting

__all__ = ["DatabaseSettings"]


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Section ``database``."""

    url: Secret[str] | None = setting(
        None,
        "Database, as postgresql://user:password@host/name or sqlite:////absolute/path.db; "
        "not set means an SQLite file in the data directory.",
        aliases=("DATABASE_URL",),
    )
    direct_url: Secret[str] | None = setting(
        None,
        "The same PostgreSQL database without the connection pooler that url leads through: for migrations and for "
        "events between processes.",
    )
    pooler: bool | None = setting(
        None,
        "Whether url leads through a connection pooler in transaction mode, so that no prepared statement is kept; "
        "not set means: when direct_url is given.",
    )
    pool_size: int = setting(10, "PostgreSQL connections that are kept open.", minimum=1)
    pool_overflow: int = setting(10, "PostgreSQL connections opened beyond those under load.", minimum=0)
    readers: int = setting(4, "Connections that read an SQLite database at the same time.", minimum=1)

    def __post_init__(self) -> None:
        """Refuse a pooler without a way around it."""
        if self.pooler and self.direct_url is None:
            raise ValueError(
                "EUDAI_DATABASE_POOLER needs EUDAI_DATABASE_DIRECT_URL: migrations and events between processes do "
                "not work through a connection pooler"
            )
