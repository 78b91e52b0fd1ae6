"""Change the keys that sign tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

import click

from eudai_core.cli.options import database_options, json_option
from eudai_core.cli.running import opened_storage, print_json, quiet, run_async

if TYPE_CHECKING:
    from eudai_core.model import SigningKeyRecord

__all__ = ["auth"]

_DURATION: Final = re.compile(r"(\d{1,6})([smhd])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _duration(_context: click.Context, _option: click.Parameter, value: str) -> timedelta:
    """Return a number with its unit as a duration."""
    match = _DURATION.fullmatch(value)
    if match is None:
        raise click.BadParameter(f"{value!r} is no duration such as 30m, 24h or 7d.")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


@click.group()
def auth() -> None:
    """Change the keys that sign tokens."""


@auth.command("rotate-key")
@click.option(
    "--retire-after",
    callback=_duration,
    default="24h",
    metavar="DURATION",
    show_default=True,
    help="How long tokens of the keys before it are accepted; 0s ends them at once.",
)
@database_options
@json_option
def rotate_key(retire_after: timedelta, overrides: Mapping[str, str], as_json: bool) -> None:
    """Have tokens signed with a new key.

    Works while servers run: they accept the new key at once and sign with it within a minute. Sessions and refresh
    tokens stay. A browser whose page was not opened since logs in again once its cookie's key has retired. When the
    secret itself has leaked, set another EUDAI_SECRET_KEY instead.
    """
    key = run_async(_rotate(retire_after, overrides))
    if as_json:
        created = key.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        print_json({"kid": key.kid, "created_at": created, "retire_after_s": int(retire_after.total_seconds())})
    else:
        click.echo(f"Tokens are signed with the new key {key.kid}.")


async def _rotate(retire_after: timedelta, overrides: Mapping[str, str]) -> SigningKeyRecord:
    from eudai_core.plugins import PluginHost
    from eudai_core.schema import prepare_schema
    from eudai_core.services.signing_keys import SigningKeyNames
    from eudai_core.settings import CoreSettings, secret_key

    quiet()
    host = PluginHost.compose(overrides=overrides)
    secret = secret_key(host.settings.section(CoreSettings))
    async with opened_storage(host) as storage:
        await prepare_schema(storage, host)
        return await SigningKeyNames(storage, host.clock, secret).rotate(retire_after=retire_after)
