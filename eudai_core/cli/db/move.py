"""Move everything into another database."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import click

from eudai_core.cli.db.shared import leave_out_option, no_server, progress_bars, table_rows, tell_left_out
from eudai_core.cli.options import database_options, database_settings, json_option
from eudai_core.cli.running import opened_storage, print_json, quiet, run_async

if TYPE_CHECKING:
    from eudai_core.backup.moving import MoveReport

__all__ = ["move"]


@click.command()
@click.option(
    "--to",
    "target",
    metavar="URL",
    required=True,
    help="The new database: postgresql://… or sqlite:////absolute/path.db; - reads it from the input's first line.",
)
@click.option("--dry-run", is_flag=True, help="Only tell what would be moved.")
@leave_out_option
@database_options
@json_option
def move(target: str, dry_run: bool, leave_out: bool, overrides: Mapping[str, str], as_json: bool) -> None:
    """Copy everything from the configured database into another, empty one, and compare what arrived.

    Between SQLite and PostgreSQL in either direction, with the tables of plugins. Stop every server first; the old
    database stays as it is, and uploaded files stay where they are. A move that was interrupted leaves the new
    database empty: run it again.
    """
    quiet()
    url = sys.stdin.readline().strip() if target == "-" else target
    report, here, there = run_async(_move(url, overrides, dry_run=dry_run, leave_out=leave_out))
    if as_json:
        print_json(
            {
                "from": here,
                "to": there,
                "dry_run": dry_run,
                "rows": dict(report.rows),
                "tables": table_rows(report.tables),
                "left_out": list(report.left_out),
                "applied": list(report.applied),
                "failed": dict(report.failed),
            }
        )
        return
    tell_left_out(report.left_out)
    for branch, reason in report.failed.items():
        click.echo(f"The tables of {branch} were moved, and cannot be used: {reason}", err=True)
    rows = sum(report.rows.values())
    if dry_run:
        click.echo(f"Would move {rows} rows in {len(report.rows)} tables from {here} to {there}.")
        return
    click.echo(f"Moved {rows} rows in {len(report.rows)} tables from {here} to {there}; all of them were compared.")
    click.echo("Now set EUDAI_DATABASE_URL to the new database, and start the server.", err=True)


async def _move(
    url: str, overrides: Mapping[str, str], *, dry_run: bool, leave_out: bool
) -> tuple[MoveReport, str, str]:
    from eudai_core.backup.moving import move_database
    from eudai_core.plugins import PluginHost
    from eudai_core.settings import CoreSettings

    host = PluginHost.compose(overrides=overrides)
    core = host.settings.section(CoreSettings)
    other = PluginHost.compose(overrides={**overrides, **database_settings(url)})
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(opened_storage(host))
        there = await stack.enter_async_context(opened_storage(other))
        embedded = here.single_process or there.single_process
        stack.enter_context(no_server(core, embedded=embedded, dry_run=dry_run))
        progress = stack.enter_context(progress_bars())
        report = await move_database(
            here, there, host.migrations(), dry_run=dry_run, leave_out=leave_out, progress=progress
        )
        return report, here.description, there.description
