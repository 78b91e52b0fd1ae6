"""Show the whole job on real documents, in a server of its own."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["demo"]


@click.command()
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--save", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Keep the conversation.")
def demo(paths: tuple[Path, ...], save: Path | None) -> None:
    """Show the whole job on real documents: yours, or eudai's own.

    Starts a server on a free port over a temporary directory, signs up, uploads the documents, asks three questions
    over a WebSocket, shows the answers with what they were made of, and stops. Asks nothing; needs no network.
    """
    import asyncio

    from eudai_quart.demo.tour import tour

    asyncio.run(tour(paths, save))
