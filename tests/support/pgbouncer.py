"""A real PgBouncer in transaction mode, before a PostgreSQL server of the tests.

Without the program the tests are skipped, and fail when ``EUDAI_REQUIRE_PGBOUNCER=1``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest

from support.postgres_server import as_nobody, execute, run_apart

__all__ = ["pgbouncer"]

_PORT: Final = 6432
_CONFIG: Final = """\
[databases]
* = host={server} user=postgres

[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {directory}
auth_type = any
pool_mode = transaction
default_pool_size = 2
max_client_conn = 200
logfile = {directory}/log
pidfile = {directory}/pid
"""


@contextmanager
def pgbouncer(url: str) -> Iterator[str]:
    """Run PgBouncer before the server of a socket URL, and give the same database's URL through it."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        reason = "there is no PgBouncer: install the distribution's package `pgbouncer`"
        (pytest.fail if os.environ.get("EUDAI_REQUIRE_PGBOUNCER") == "1" else pytest.skip)(reason)
    parts = urlsplit(url)
    # The socket's path must be short (107 bytes on Linux), so pytest's own directories will not do.
    directory = Path(tempfile.mkdtemp(prefix="eudai-pgb-"))
    try:
        directory.chmod(0o777)
        config = directory / "ini"
        server = parse_qs(parts.query)["host"][0]
        config.write_text(_CONFIG.format(server=server, directory=directory, port=_PORT))
        process = subprocess.Popen([program, "-q", str(config)], cwd="/", stderr=subprocess.DEVNULL, **as_nobody())
        try:
            pooled = parts._replace(query=f"host={directory}&port={_PORT}").geturl()
            _wait(pooled, process)
            yield pooled
        finally:
            process.terminate()
            process.wait(10)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            run_apart(execute(url))
            return
        except Exception:  # whatever it is, a program that starts may answer so
            if process.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.02)
