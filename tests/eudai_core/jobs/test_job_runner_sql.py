"""The job runner over real databases, and over the death of a process."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from eudai_core.clock import SystemClock
from eudai_core.jobs import JobRunner
from eudai_core.jobs.runner import LEASE_SECONDS
from eudai_core.model import Job
from eudai_core.testing.clock import FrozenClock
from eudai_sql.storage import SqlStorage, open_storage
from support.memory_jobs import JobHostDouble


class Counter:
    """Counts how often each job was done."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}

    async def run(self, job: Job) -> None:
        self.done[job.key] = self.done.get(job.key, 0) + 1

    async def give_up(self, job: Job, error: str) -> None:
        raise AssertionError(error)


@pytest.fixture
async def storage(database_url: str) -> AsyncIterator[SqlStorage]:
    opened = open_storage(database_url)
    yield opened
    await opened.aclose()


async def test_every_job_is_done_once(storage: SqlStorage) -> None:
    counter = Counter()
    runner = JobRunner(JobHostDouble(storage), SystemClock(), "this")
    runner.add("count", counter)
    async with runner.running():
        await asyncio.gather(*(runner.enqueue("count", str(number % 30), {"n": number}) for number in range(60)))
        await runner.idle()
        await runner.enqueue("count", "last", {})
        await runner.idle()
    assert set(counter.done) == {*map(str, range(30)), "last"}
    assert counter.done["last"] == 1


async def test_two_processes_never_do_a_job_twice(database_url: str) -> None:
    counter = Counter()
    storages = [open_storage(database_url) for _ in range(2)]
    runners = [JobRunner(JobHostDouble(one), SystemClock(), f"process {one}") for one in storages]
    for runner in runners:
        runner.add("count", counter)
    for number in range(40):
        await runners[0].enqueue("count", str(number), {})
    async with runners[0].running(), runners[1].running():
        await asyncio.gather(runners[0].idle(), runners[1].idle())
        await asyncio.gather(runners[0].idle(), runners[1].idle())
    assert counter.done == {str(number): 1 for number in range(40)}
    for one in storages:
        await one.aclose()


DIES = """
import asyncio, sys
sys.path.insert(0, sys.argv[2])
from eudai_core.clock import SystemClock
from eudai_core.jobs import JobRunner
from eudai_sql.storage import open_storage
from support.memory_jobs import JobHostDouble

class Hanging:
    async def run(self, job):
        print(job.key, flush=True)
        await asyncio.Event().wait()

    async def give_up(self, job, error):
        pass

async def main():
    runner = JobRunner(JobHostDouble(open_storage(sys.argv[1])), SystemClock(), "dies")
    runner.add("count", Hanging())
    async with runner.running():
        await asyncio.Event().wait()

asyncio.run(main())
"""


def killed_in_the_middle(url: str) -> str:
    tests = next(path for path in sys.path if path.endswith("tests"))
    child = subprocess.Popen([sys.executable, "-c", DIES, url, tests], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child.stdout:
        key = child.stdout.readline().strip()
        child.send_signal(signal.SIGKILL)
    child.wait()
    return key


async def test_the_job_of_a_killed_process_is_done_by_another(storage: SqlStorage, database_url: str) -> None:
    counter = Counter()
    now = SystemClock().now()
    early = FrozenClock(now + timedelta(seconds=1))
    runner = JobRunner(JobHostDouble(storage), early, "survivor")
    runner.add("count", counter)
    await JobRunner(JobHostDouble(storage), SystemClock(), "other").enqueue("count", "a", {})
    assert await asyncio.to_thread(killed_in_the_middle, database_url) == "a"
    async with runner.running():
        await runner.idle()
        assert counter.done == {}
        early.advance(LEASE_SECONDS + 120)
        await runner.idle()
    assert counter.done == {"a": 1}
