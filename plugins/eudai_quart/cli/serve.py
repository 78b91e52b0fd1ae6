"""Start the server."""

from __future__ import annotations

import click

__all__ = ["serve"]


@click.command()
@click.option("--host", metavar="ADDRESS", help="Address to listen on; 127.0.0.1 by default.")
@click.option("--port", metavar="PORT", type=click.IntRange(0, 65535), help="Port; 8000 by default, 0 for a free one.")
@click.option("--data-dir", metavar="DIR", help="Directory of the embedded database, files and the secret key.")
@click.option("--database-url", metavar="URL", help="PostgreSQL instead of the embedded database.")
@click.option("--safe-mode", is_flag=True, help="Load the plugins of the eudai distribution only.")
@click.option("--server", type=click.Choice(["hypercorn", "uvicorn"]), default="hypercorn", show_default=True)
def serve(
    host: str | None, port: int | None, data_dir: str | None, database_url: str | None, safe_mode: bool, server: str
) -> None:
    """Start the server.

    Prints where it listens, once it answers there, where the data is, and which model answers. Stop it with Ctrl-C or
    SIGTERM: answers that are being written get a moment to end. A second signal ends it at once.
    """
    from eudai_core.cli.options import database_settings
    from eudai_quart.process import run

    given = {
        "EUDAI_HOST": host,
        "EUDAI_PORT": None if port is None else str(port),
        "EUDAI_DATA_DIR": data_dir,
        "EUDAI_SAFE_MODE": "true" if safe_mode else None,
        **(database_settings(database_url) if database_url else {}),
    }
    run({name: value for name, value in given.items() if value is not None}, server)
