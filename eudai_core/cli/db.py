"""Bring the database up to date and check it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from eudai_core.cli.running import opened_storage, print_json, quiet, run_async

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eudai_core.model import Health

__all__ = ["db"]


@click.group()
def db() -> None:
    """Bring the database up to date and check it."""


@db.command()
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def upgrade(dry_run: bool, as_json: bool) -> None:
    """Bring the tables of the core and of all plugins to their newest revision; safe to repeat."""
    quiet()
    where, revisions = run_async(_upgrade(dry_run))
    if as_json:
        print_json({"database": where, "dry_run": dry_run, "revisions": list(revisions)})
        return
    click.echo(f"Database: {where}", err=True)
    for revision in revisions:
        click.echo(f"{'would apply' if dry_run else 'applied'} {revision}")
    if not revisions:
        click.echo("The database is up to date.")


@db.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def check(context: click.Context, as_json: bool) -> None:
    """Tell whether the database answers and its tables are the ones needed; exit code 1 when not, 5 without answer."""
    from eudai_core.errors import StorageUnavailable
    from eudai_core.model import HealthStatus

    quiet()
    where, health, pending = run_async(_check())
    if health.status is HealthStatus.DOWN and not pending:
        raise StorageUnavailable(f"The database ({where}) cannot be used: {health.detail}")
    if as_json:
        print_json(
            {"database": where, "status": health.status.value, "detail": health.detail, "pending": list(pending)}
        )
    else:
        click.echo(f"{where}: {health.status.value}{f' ({health.detail})' if health.detail else ''}")
        for revision in pending:
            click.echo(f"missing {revision}: run `eudai db upgrade`")
    if pending or health.status is not HealthStatus.OK:
        context.exit(1)


async def _upgrade(dry_run: bool) -> tuple[str, Sequence[str]]:
    from eudai_core.plugins import PluginHost

    host = PluginHost.compose()
    async with opened_storage(host) as storage:
        return storage.description, await storage.migrate(host.migrations(), dry_run=dry_run)


async def _check() -> tuple[str, Health, Sequence[str]]:
    from eudai_core.errors import StorageUnavailable
    from eudai_core.plugins import PluginHost

    host = PluginHost.compose()
    async with opened_storage(host) as storage:
        try:
            pending = await storage.migrate(host.migrations(), dry_run=True)
        except StorageUnavailable:
            pending = ()  # health says the same, and why
        return storage.description, await storage.health(), pending
