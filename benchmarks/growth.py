"""What a conversation of 10,000 messages and a list of 100,000 conversations cost, against 100 of each.

Both sizes are in one database and are measured alternately, in the storage and over HTTP (a real server process on the
loopback), on SQLite and on PostgreSQL. The figures are medians; the ratio should be near 1.

    python benchmarks/growth.py --conversations 100000 --messages 10000 --rounds 40
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from eudai_core.contracts import Storage
from eudai_sql.storage import open_storage
from support.client import Client, client
from support.growing import Grown, grow
from support.postgres import migrate, sqlite_file_url
from support.postgres_server import own_server
from support.server import server_process

PAGE = 50
Step = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Figure:
    """Medians in milliseconds."""

    dialect: str
    what: str
    small_ms: float
    large_ms: float

    @property
    def ratio(self) -> float:
        """How many times as dear the large one is."""
        return self.large_ms / self.small_ms


@contextmanager
def databases(directory: Path) -> Iterator[Mapping[str, str]]:
    """Give a migrated database of each dialect."""
    urls = {"sqlite": sqlite_file_url(directory / "eudai.db")}
    with contextmanager(own_server)() as server:
        urls["postgresql"] = server.create_database()
        for url in urls.values():
            asyncio.run(migrate(url))
        yield urls


async def medians(small: Step, large: Step, rounds: int) -> tuple[float, float]:
    """Return the median milliseconds of each, done alternately."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 3):  # the first three warm the caches
        for step, kept in zip((small, large), times, strict=True):
            begun = time.perf_counter()
            await step()
            if number >= 3:
                kept.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times[0]), statistics.median(times[1])


def storage_steps(storage: Storage, grown: Grown) -> dict[str, tuple[Step, Step]]:
    """Return what is measured in the storage, by name: small and large."""

    def opening(conversation_id: UUID) -> Step:
        async def run() -> None:
            async with storage.unit_of_work(readonly=True) as unit:
                conversation = await unit.conversations.get(conversation_id)
                assert conversation.active_message_id is not None
                assert len(await unit.messages.path(conversation.active_message_id, limit=PAGE)) == PAGE

        return run

    def older(message_id: UUID) -> Step:
        async def run() -> None:
            async with storage.unit_of_work(readonly=True) as unit:
                assert await unit.messages.path(message_id, limit=PAGE)

        return run

    def listing(owner_id: UUID, project_id: UUID | None, cursor: str | None) -> Step:
        async def run() -> None:
            async with storage.unit_of_work(readonly=True) as unit:
                page = await unit.conversations.list(owner_id, project_id=project_id, cursor=cursor, limit=PAGE)
                assert len(page.items) >= PAGE - 1

        return run

    small, large = grown.small, grown.large
    return {
        "open: the newest page": (opening(small.conversation), opening(large.conversation)),
        "open: the oldest page": (older(small.early), older(large.early)),
        "list all own": (listing(small.user, None, None), listing(large.user, None, None)),
        "list all own, half-way": (listing(small.user, None, small.cursor), listing(large.user, None, large.cursor)),
        "list a project": (listing(small.user, small.project, None), listing(large.user, large.project, None)),
        "list a project, half-way": (
            listing(small.user, small.project, small.cursor),
            listing(large.user, large.project, large.cursor),
        ),
        "list a small project of an owner with many": (
            listing(small.user, small.project, None),
            listing(large.user, large.other_project, None),
        ),
    }


def http_steps(small: Client, large: Client, grown: Grown) -> dict[str, tuple[Step, Step]]:
    """Return what is measured over HTTP, by name: small and large."""
    one, other = grown.small, grown.large
    paths = {
        "GET a conversation": (f"/api/conversations/{one.conversation}", f"/api/conversations/{other.conversation}"),
        "GET conversations": ("/api/conversations", "/api/conversations"),
        "GET conversations, half-way": (
            f"/api/conversations?cursor={one.cursor}",
            f"/api/conversations?cursor={other.cursor}",
        ),
        "GET a project's conversations": (
            f"/api/projects/{one.project}/conversations",
            f"/api/projects/{other.project}/conversations",
        ),
        "GET projects": ("/api/projects", "/api/projects"),
        "GET a project": (f"/api/projects/{one.project}", f"/api/projects/{other.project}"),
    }
    return {name: (_get(small, first), _get(large, second)) for name, (first, second) in paths.items()}


def _get(user: Client, path: str) -> Step:
    return lambda: user.call("GET", path)


@asynccontextmanager
async def serving(data: Path, url: str) -> AsyncIterator[tuple[Client, Client]]:
    """Start a server on a database and give two users of it."""
    async with AsyncExitStack() as stack:
        environ = {"EUDAI_DATABASE_URL": url, "EUDAI_LOG_LEVEL": "error", "EUDAI_ACCESS_TOKEN_MINUTES": "600"}
        server = await stack.enter_async_context(server_process(data, environ=environ))
        small, large = [await stack.enter_async_context(client(server.url)) for _ in range(2)]
        yield small, large


async def measure(dialect: str, url: str, directory: Path, options: argparse.Namespace) -> list[Figure]:
    """Fill a database and return the figures."""
    figures = []
    async with AsyncExitStack() as stack:
        storage = open_storage(url)
        stack.push_async_callback(storage.aclose)
        small, large = await stack.enter_async_context(serving(directory / f"data-{dialect}", url))
        users = [UUID(user.tokens["user"]["id"]) for user in (small, large)]
        grown = await grow(url, *users, conversations=options.conversations, messages=options.messages)
        steps = storage_steps(storage, grown) | http_steps(small, large, grown)
        for what, (one, other) in steps.items():
            figures.append(Figure(dialect, what, *await medians(one, other, options.rounds)))
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, databases(Path(name)) as urls:
        found = [
            figure
            for dialect, url in urls.items()
            for figure in asyncio.run(measure(dialect, url, Path(name), options))
        ]
    if options.json:
        rows = [
            {"dialect": f.dialect, "what": f.what, "small_ms": f.small_ms, "large_ms": f.large_ms, "ratio": f.ratio}
            for f in found
        ]
        print(json.dumps(rows))
        return
    print("| dialect | what | 100 (ms) | many (ms) | ratio |\n|---|---|---:|---:|---:|")
    for f in found:
        print(f"| {f.dialect} | {f.what} | {f.small_ms:.2f} | {f.large_ms:.2f} | {f.ratio:.2f} |")


if __name__ == "__main__":
    main()
