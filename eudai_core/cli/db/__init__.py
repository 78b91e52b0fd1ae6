"""Look after the database: upgrade, check, back up, restore, move."""

from __future__ import annotations

import click

from eudai_core.cli.db.backup import backup
from eudai_core.cli.db.move import move
from eudai_core.cli.db.restore import restore
from eudai_core.cli.db.schema import check, upgrade

__all__ = ["db"]


@click.group()
def db() -> None:
    """Look after the database: upgrade, check, back up, restore, move."""


for _command in (upgrade, check, backup, restore, move):
    db.add_command(_command)
