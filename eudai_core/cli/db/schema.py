"""Bring the tables up to date, and check them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from eudai_core.cli.options import database_options, json_option
from eudai_core.cli.running import opened_storage, print_json, quiet, run_async

if TYPE_CHECKING:
    from eudai_core.model import Health
    from eudai_core.plugin_tables import Migrated

__all__ = ["check", "upgrade"]


@click.command()
@database_options
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@json_option
@click.pass_context
def upgrade(context: click.Context, overrides: Mapping[str, str], dry_run: bool, as_json: bool) -> None:
    """Bring the tables of the core and of all plugins to their newest revision; safe to repeat.

    An embedded database is copied first, into `backups` beside it. Exit code 1 when the tables of a plugin could not
    be brought up to date: they are as they were, and the others are done.
    """
    quiet()
    where, result = run_async(_upgrade(overrides, dry_run))
    if as_json:
        print_json(
            {
                "database": where,
                "dry_run": dry_run,
                "revisions": list(result.revisions),
                "failed": dict(result.failed),
            }
        )
    else:
        click.echo(f"Database: {where}", err=True)
        for revision in result.revisions:
            click.echo(f"{'would apply' if dry_run else 'applied'} {revision}")
        if not result.revisions and not result.failed:
            click.echo("The database is up to date.")
    _tell_failed(result)
    if result.failed:
        context.exit(1)


@click.command()
@database_options
@json_option
@click.pass_context
def check(context: click.Context, overrides: Mapping[str, str], as_json: bool) -> None:
    """Tell whether the database answers and its tables are the ones needed; exit code 1 when not, 5 without answer."""
    from eudai_core.errors import StorageUnavailable
    from eudai_core.model import HealthStatus

    quiet()
    where, health, result = run_async(_check(overrides))
    pending = result.revisions
    if health.status is HealthStatus.DOWN and not pending:
        raise StorageUnavailable(f"The database ({where}) cannot be used: {health.detail}")
    if as_json:
        print_json(
            {
                "database": where,
                "status": health.status.value,
                "detail": health.detail,
                "pending": list(pending),
                "failed": dict(result.failed),
            }
        )
    else:
        click.echo(f"{where}: {health.status.value}{f' ({health.detail})' if health.detail else ''}")
        for revision in pending:
            click.echo(f"missing {revision}: run `eudai db upgrade`")
    _tell_failed(result)
    if pending or result.failed or health.status is not HealthStatus.OK:
        context.exit(1)


def _tell_failed(result: Migrated) -> None:
    for branch, reason in result.failed.items():
        click.echo(f"The tables of {branch} cannot be used: {reason}", err=True)


async def _upgrade(overrides: Mapping[str, str], dry_run: bool) -> tuple[str, Migrated]:
    from eudai_core.plugin_tables import migrate_all
    from eudai_core.plugins import PluginHost

    host = PluginHost.compose(overrides=overrides)
    async with opened_storage(host) as storage:
        return storage.description, await migrate_all(storage, host.migrations(), dry_run=dry_run)


async def _check(overrides: Mapping[str, str]) -> tuple[str, Health, Migrated]:
    from eudai_core.errors import StorageUnavailable
    from eudai_core.model import Health, HealthStatus
    from eudai_core.plugin_tables import CORE_BRANCH, Migrated, migrate_all
    from eudai_core.plugins import PluginHost

    host = PluginHost.compose(overrides=overrides)
    async with opened_storage(host) as storage:
        try:
            result = await migrate_all(storage, host.migrations(), dry_run=True)
        except StorageUnavailable:
            result = Migrated(())  # health says the same, and why
        if CORE_BRANCH in result.lacking():
            # Not asked any further: to look into an embedded database would make its file.
            health = Health(HealthStatus.DOWN, "its tables are not those that are needed")
        else:
            health = await storage.health()
        return storage.description, health, result
