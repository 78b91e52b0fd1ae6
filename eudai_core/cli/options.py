"""Options that several commands have, each with its setting."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

import click

__all__ = ["database_options", "database_settings", "json_option"]

_DATA_DIR: Final = click.option(
    "--data-dir", metavar="DIR", help="Directory of the embedded database, files and the secret key."
)
_DATABASE_URL: Final = click.option(
    "--database-url", metavar="URL", help="PostgreSQL instead of the embedded database."
)

json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def database_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say where the data is, as one parameter ``overrides``: settings by name."""

    @wraps(command)
    def call(*args: Any, data_dir: str | None, database_url: str | None, **options: Any) -> Any:
        overrides = {"EUDAI_DATA_DIR": data_dir} if data_dir else {}
        if database_url:
            overrides |= database_settings(database_url)
        return command(*args, overrides=overrides, **options)

    return _DATA_DIR(_DATABASE_URL(call))


def database_settings(url: str) -> dict[str, str]:
    """Return the settings that make ``url`` the only way to the database, whatever else is set."""
    return {"EUDAI_DATABASE_URL": url, "EUDAI_DATABASE_DIRECT_URL": url, "EUDAI_DATABASE_POOLER": "false"}
