"""What ``GET /api/conversations?limit=20`` costs, against the same query on a bare stack.

The bare route is Quart on uvicorn with asyncpg and nothing else: it checks an HS256 token, runs one statement and
encodes the rows. Both servers work on one PostgreSQL with 20,000 conversations of 200 users, one after the other,
under 16 keep-alive clients. Processor time is that of the server process alone, read from /proc (Linux only).

    python benchmarks/conversations.py --requests 3000 --rounds 3
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import UUID

import aiohttp
import jwt

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.client import client
from support.growing import grow
from support.postgres import migrate
from support.postgres_server import own_server
from support.server import server_process

CLIENTS = 16
TICKS = os.sysconf("SC_CLK_TCK")
KEY = "a key of the bare server, longer than 32 bytes"
BARE = """
import asyncio, asyncpg, jwt, msgspec, sys, uvicorn
from quart import Quart, Response, request
app, pool = Quart("bare"), None
LIST = ("select id, project_id, title, model, active_message_id, created_at, updated_at from conversations "
        "where owner_id = $1 order by updated_at desc, id desc limit 20")
@app.before_serving
async def connect():
    global pool
    pool = await asyncpg.create_pool(sys.argv[1], min_size=10, max_size=10)
@app.get("/api/conversations")
async def conversations():
    token = request.headers["Authorization"].removeprefix("Bearer ")
    owner = jwt.decode(token, sys.argv[2], algorithms=["HS256"])["sub"]
    rows = await pool.fetch(LIST, owner)
    return Response(msgspec.json.encode({"items": [dict(row) for row in rows]}), content_type="application/json")
async def main():
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", access_log=False))
    async def tell():
        while not server.started:
            await asyncio.sleep(0.01)
        print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await asyncio.gather(server.serve(), tell())
import uvloop
asyncio.run(main(), loop_factory=uvloop.new_event_loop) if sys.version_info >= (3, 12) else uvloop.run(main())
"""


def cpu_of(pid: int) -> float:
    """Return the processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def per_cpu_second(pid: int, url: str, token: str, requests: int) -> float:
    """Return how many requests a processor second of the server answers."""
    connector = aiohttp.TCPConnector(limit=CLIENTS)
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def ask(count: int) -> None:
            for _ in range(count):
                async with session.get(f"{url}/api/conversations?limit=20") as answer:
                    assert answer.status == 200, await answer.text()
                    assert len((await answer.json())["items"]) == 20

        await asyncio.gather(*(ask(5) for _ in range(CLIENTS)))
        before = cpu_of(pid)
        await asyncio.gather(*(ask(requests // CLIENTS) for _ in range(CLIENTS)))
        return requests // CLIENTS * CLIENTS / (cpu_of(pid) - before)


@asynccontextmanager
async def bare_server(database: str) -> AsyncIterator[tuple[int, str]]:
    """Run the bare server; give its process id and address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BARE, database, KEY, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield process.pid, f"http://127.0.0.1:{int(await process.stdout.readline())}"
    finally:
        process.kill()
        await process.wait()


async def measure(database: str, directory: Path, server: str, requests: int, rounds: int) -> dict[str, float]:
    """Return requests per processor second of both, as medians of alternating rounds."""
    environ = {"EUDAI_DATABASE_URL": database, "EUDAI_SIGNUP": "open"}
    figures: dict[str, list[float]] = {"eudai": [], "bare": []}
    async with (
        server_process(directory / "data", environ=environ, arguments=["--server", server]) as ours,
        client(ours.url) as user,
        client(ours.url) as other,
        bare_server(database) as (bare_pid, bare_url),
    ):
        ids = [UUID((await one.call("GET", "/api/users/me"))["id"]) for one in (other, user)]
        await grow(database, ids[0], ids[1], conversations=20_000, messages=100)
        token = jwt.encode({"sub": str(ids[1])}, KEY, "HS256")
        for _ in range(rounds):
            figures["eudai"].append(await per_cpu_second(ours.process.pid, ours.url, user.token, requests))
            figures["bare"].append(await per_cpu_second(bare_pid, bare_url, token, requests))
    return {name: statistics.median(values) for name, values in figures.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    with contextmanager(own_server)() as postgres:
        for server in ("hypercorn", "uvicorn"):
            database = postgres.create_database()
            asyncio.run(migrate(database))
            with tempfile.TemporaryDirectory() as directory:
                begun = time.monotonic()
                found[server] = asyncio.run(measure(database, Path(directory), server, given.requests, given.rounds))
                print(f"{server}: {time.monotonic() - begun:.0f} s", file=sys.stderr)
    if given.json:
        print(json.dumps(found))
        return
    print("| eudai on | requests per CPU second | bare stack | ratio |\n|---|---:|---:|---:|")
    for server, figures in found.items():
        ratio = figures["eudai"] / figures["bare"]
        print(f"| {server} | {figures['eudai']:.0f} | {figures['bare']:.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
