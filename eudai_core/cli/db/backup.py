"""Back everything up into one file, while the server runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eudai_core.cli.db.shared import megabytes, progress_bars, table_rows
from eudai_core.cli.options import database_options, json_option
from eudai_core.cli.running import opened_host, print_json, quiet, run_async

if TYPE_CHECKING:
    from eudai_core.backup.making import BackupReport

__all__ = ["backup"]


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--no-files", is_flag=True, help="Leave out the bytes of uploaded files: the database only.")
@database_options
@json_option
@click.pass_context
def backup(
    context: click.Context, file: Path | None, no_files: bool, overrides: Mapping[str, str], as_json: bool
) -> None:
    """Back up the database and all uploaded files into FILE, while the server runs.

    Without FILE it goes to `backups` in the data directory, under its time in UTC. The secret key is not in it: it
    signs what lets people in, so keep it elsewhere. Exit code 1 when files were missing or damaged already; all else
    is in the backup then.
    """
    quiet()
    report = run_async(_backup(file, overrides, no_files))
    manifest = report.manifest
    if as_json:
        print_json(
            {
                "file": str(report.path),
                "size": report.size,
                "created_at": manifest.created_at.isoformat().replace("+00:00", "Z"),
                "revisions": dict(manifest.revisions),
                "tables": table_rows(manifest.tables),
                "files": len(manifest.blobs) if manifest.files else None,
                "file_bytes": manifest.blob_bytes,
                "flawed": dict(manifest.flawed),
            }
        )
    else:
        _tell(report)
    for key, how in manifest.flawed.items():
        click.echo(f"{how} before the backup: file {key}", err=True)
    if manifest.flawed:
        context.exit(1)


def _tell(report: BackupReport) -> None:
    from eudai_core.settings.secret_key import KEY_FILE

    manifest = report.manifest
    files = f"{len(manifest.blobs)} files ({megabytes(manifest.blob_bytes)})" if manifest.files else "without files"
    click.echo(f"{report.path}")
    click.echo(
        f"Backed up {manifest.rows} rows in {len(manifest.tables)} tables, {files}: {megabytes(report.size)}. The "
        f"secret key (EUDAI_SECRET_KEY, or {KEY_FILE} in the data directory) is not in it: keep it as well.",
        err=True,
    )


async def _backup(file: Path | None, overrides: Mapping[str, str], no_files: bool) -> BackupReport:
    from eudai_core.backup.making import make_backup
    from eudai_core.errors import ConfigError
    from eudai_core.plugins import BLOB_STORES, STORAGE, PluginHost
    from eudai_core.settings import CoreSettings

    host = PluginHost.compose(overrides=overrides)
    core = host.settings.section(CoreSettings)
    async with opened_host(host, STORAGE, BLOB_STORES):
        blobs = None if no_files else host.find(BLOB_STORES)
        if blobs is None and not no_files:
            raise ConfigError("No blob store is loaded: see `eudai plugins list`, or use --no-files.")
        path = file or core.data_dir / "backups" / f"eudai-{host.clock.now():%Y%m%d-%H%M%S}.zip"
        with progress_bars() as progress:
            return await make_backup(host.one(STORAGE), blobs, path, host.clock, progress)
