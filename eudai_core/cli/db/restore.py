"""Restore a backup into an empty database."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eudai_core.cli.db.shared import leave_out_option, megabytes, no_server, progress_bars, table_rows, tell_left_out
from eudai_core.cli.options import database_options, json_option
from eudai_core.cli.running import opened_host, print_json, quiet, run_async

if TYPE_CHECKING:
    from eudai_core.backup.restoring import RestoreReport

__all__ = ["restore"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Only check the backup and whether it could be restored.")
@leave_out_option
@database_options
@json_option
def restore(file: Path, dry_run: bool, leave_out: bool, overrides: Mapping[str, str], as_json: bool) -> None:
    """Restore the backup FILE into an empty database and the data directory; no server may run.

    All of FILE is checked before anything is touched. A restore that was interrupted leaves the database empty: run it
    again. Put the secret key back as well, or everybody has to sign in again.
    """
    quiet()
    report, where = run_async(_restore(file, overrides, dry_run=dry_run, leave_out=leave_out))
    manifest = report.manifest
    if as_json:
        print_json(
            {
                "file": str(file),
                "database": where,
                "dry_run": dry_run,
                "created_at": manifest.created_at.isoformat().replace("+00:00", "Z"),
                "tables": table_rows(manifest.tables if dry_run else report.tables),
                "files": len(manifest.blobs) if manifest.files else None,
                "file_bytes": manifest.blob_bytes,
                "flawed": dict(manifest.flawed),
                "left_out": list(report.left_out),
                "applied": list(report.applied),
                "failed": dict(report.failed),
            }
        )
        return
    tell_left_out(report.left_out)
    for branch, reason in report.failed.items():
        click.echo(f"The tables of {branch} are those of the backup, and cannot be used: {reason}", err=True)
    for key, how in manifest.flawed.items():
        click.echo(f"{how} when the backup was made: file {key}", err=True)
    files = f"{len(manifest.blobs)} files ({megabytes(manifest.blob_bytes)})" if manifest.files else "no files"
    did = "Would restore" if dry_run else "Restored"
    click.echo(f"{did} {manifest.rows} rows in {len(manifest.tables)} tables and {files} into {where}.")
    for revision in report.applied:
        click.echo(f"applied {revision}")
    if not manifest.files:
        click.echo("The backup has no files: put those of its time into the data directory.", err=True)


async def _restore(
    file: Path, overrides: Mapping[str, str], *, dry_run: bool, leave_out: bool
) -> tuple[RestoreReport, str]:
    from eudai_core.backup.restoring import restore_backup
    from eudai_core.plugins import BLOB_STORES, STORAGE, PluginHost
    from eudai_core.settings import CoreSettings

    host = PluginHost.compose(overrides=overrides)
    core = host.settings.section(CoreSettings)
    async with opened_host(host, STORAGE, BLOB_STORES):
        storage = host.one(STORAGE)
        with no_server(core, embedded=storage.single_process, dry_run=dry_run), progress_bars() as progress:
            report = await restore_backup(
                file,
                storage,
                host.find(BLOB_STORES),
                host.migrations(),
                dry_run=dry_run,
                leave_out=leave_out,
                progress=progress,
            )
        return report, storage.description
