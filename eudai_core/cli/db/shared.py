"""What the commands that carry whole databases share."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from eudai_core.backup.progress import Progress, Silent

if TYPE_CHECKING:
    from eudai_core.settings import CoreSettings

__all__ = ["leave_out_option", "megabytes", "no_server", "progress_bars", "table_rows", "tell_left_out"]

leave_out_option: Final = click.option(
    "--leave-out-unknown", "leave_out", is_flag=True, help="Leave out tables of plugins that are not installed."
)


@contextmanager
def no_server(core: CoreSettings, *, embedded: bool, dry_run: bool) -> Iterator[None]:
    """Hold the data directory of an embedded database, so that no server starts on it; a dry run makes no lock file.

    Raises:
        ConfigError: a server runs on it.
    """
    from eudai_core.schema import LOCK_NAME, single_server

    if not embedded or (dry_run and not (core.data_dir / LOCK_NAME).exists()):
        yield
        return
    with single_server(core.data_dir):
        yield


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Give progress bars on a terminal's stderr, and nothing elsewhere."""
    if not _on_terminal():
        yield Silent()
        return
    bars = _Bars()
    try:
        yield bars
    finally:
        bars.end()


def megabytes(size: int) -> str:
    """Return a size for people."""
    return f"{size / 1e6:.1f} MB"


def tell_left_out(tables: Sequence[str]) -> None:
    """Tell which tables were left out."""
    for name in tables:
        click.echo(f"left out {name}: its plugin is not installed", err=True)


def table_rows(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return carried tables for JSON."""
    return {name: {"rows": table.rows, "sha256": table.sha256} for name, table in tables.items()}


def _on_terminal() -> bool:
    return sys.stderr.isatty()


class _Bars:
    """One bar after the other."""

    def __init__(self) -> None:
        self._bar: Any = None

    def begin(self, stage: str, total: int) -> None:
        """End the bar that is shown and begin another one."""
        self.end()
        if total:
            self._bar = click.progressbar(length=total, label=f"{stage:<10}", file=sys.stderr)
            self._bar.render_progress()

    def advance(self, steps: int) -> None:
        """Move on."""
        if self._bar is not None:
            self._bar.update(steps)

    def end(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.render_finish()
            self._bar = None
