"""The job runner over jobs in memory and a clock that the tests move."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from eudai_core.errors import PluginFault, StorageUnavailable, Unavailable
from eudai_core.jobs import TRIES, JobRunner
from eudai_core.jobs.runner import CONCURRENCY, LEASE_SECONDS
from eudai_core.model import Job, JobState
from eudai_core.testing.clock import FrozenClock
from support.memory_jobs import JobHostDouble, MemoryJobs


class Recorder:
    """A handler that notes what it is given, fails with ``errors`` first, and waits for ``gate`` when closed."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.done: list[str] = []
        self.given_up: list[tuple[str, str]] = []
        self.started: asyncio.Queue[str] = asyncio.Queue()
        self.gate = asyncio.Event()
        self.gate.set()
        self.at_once = self.most_at_once = 0

    async def run(self, job: Job) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.started.put_nowait(job.key)
        try:
            await self.gate.wait()
            if self.errors:
                raise self.errors.pop(0)
        finally:
            self.at_once -= 1
        self.done.append(job.key)

    async def give_up(self, job: Job, error: str) -> None:
        self.given_up.append((job.key, error))


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def jobs() -> MemoryJobs:
    return MemoryJobs()


@pytest.fixture
async def runner(jobs: MemoryJobs, clock: FrozenClock) -> AsyncIterator[JobRunner]:
    made = JobRunner(JobHostDouble(jobs), clock, "this")
    yield made
    await made.aclose()


async def advance(clock: FrozenClock, seconds: float, *, sleepers: int = 2) -> None:
    """Let both loops of a runner fall asleep, then move the clock in steps as short as their rests."""
    left = seconds
    while left > 0:
        await clock.sleeping(sleepers)
        step = min(left, 1.0)
        clock.advance(step)
        left -= step
        await asyncio.sleep(0)
    await clock.sleeping(sleepers)


async def test_a_job_is_done_once_and_gone(runner: JobRunner, jobs: MemoryJobs) -> None:
    handler = Recorder()
    runner.add("greet", handler)
    async with runner.running():
        await runner.enqueue("greet", "a", {"n": 1})
        await runner.idle()
    assert handler.done == ["a"]
    assert jobs.rows == {}


async def test_jobs_that_wait_before_the_start_are_done(runner: JobRunner, jobs: MemoryJobs) -> None:
    handler = Recorder()
    runner.add("greet", handler)
    await runner.enqueue("greet", "early", {})
    async with runner.running():
        await runner.idle()
    assert handler.done == ["early"]


async def test_one_that_waits_under_the_same_key_is_left_alone(runner: JobRunner) -> None:
    handler = Recorder()
    runner.add("greet", handler)
    await runner.enqueue("greet", "a", {})
    await runner.enqueue("greet", "a", {})
    async with runner.running():
        await runner.idle()
    assert handler.done == ["a"]


async def test_a_kind_without_a_handler_is_left_for_others(runner: JobRunner, jobs: MemoryJobs) -> None:
    runner.add("greet", Recorder())
    await runner.enqueue("unknown", "a", {})
    async with runner.running():
        await runner.idle()
    assert jobs.by_key("a").state is JobState.WAITING
    assert jobs.by_key("a").attempts == 0


async def test_concurrency_is_bounded_and_everything_is_done(runner: JobRunner) -> None:
    handler = Recorder()
    handler.gate.clear()
    runner.add("greet", handler)
    for number in range(20):
        await runner.enqueue("greet", str(number), {})
    async with runner.running():
        for _ in range(CONCURRENCY):
            await handler.started.get()
        assert handler.at_once == CONCURRENCY
        handler.gate.set()
        await runner.idle()
    assert handler.most_at_once == CONCURRENCY
    assert sorted(handler.done, key=int) == [str(number) for number in range(20)]


async def test_a_delayed_job_waits_for_its_time(runner: JobRunner, clock: FrozenClock) -> None:
    handler = Recorder()
    runner.add("greet", handler)
    async with runner.running():
        await runner.enqueue("greet", "later", {}, delay=60.0)
        await runner.idle()
        await advance(clock, 59)
        assert handler.done == []
        await advance(clock, 1)
        await runner.idle()
        assert handler.done == ["later"]


async def test_back_off_then_give_up(runner: JobRunner, jobs: MemoryJobs, clock: FrozenClock) -> None:
    handler = Recorder(*(ValueError("secret detail") for _ in range(TRIES)))
    runner.add("greet", handler)
    async with runner.running():
        await runner.enqueue("greet", "a", {})
        for tries, wait in enumerate((1, 4, 16, 64), 1):
            await runner.idle()
            job = jobs.by_key("a")
            assert (job.state, job.attempts) == (JobState.WAITING, tries)
            assert job.run_after - clock.now() == timedelta(seconds=wait)
            clock.advance(wait)
        await runner.idle()
    ((key, reason),) = handler.given_up
    assert key == "a"
    assert "ValueError" in reason
    assert "secret detail" not in reason
    assert jobs.by_key("a").state is JobState.FAILED
    assert jobs.by_key("a").error == reason


async def test_an_error_can_choose_when_to_try_again(runner: JobRunner, jobs: MemoryJobs, clock: FrozenClock) -> None:
    handler = Recorder(Unavailable("Busy.", retry_after=42))
    runner.add("greet", handler)
    async with runner.running():
        await runner.enqueue("greet", "a", {})
        await runner.idle()
        assert jobs.by_key("a").run_after - clock.now() == timedelta(seconds=42)
        assert jobs.by_key("a").error == "Busy."
        clock.advance(42)
        await runner.idle()
    assert handler.done == ["a"]


async def test_a_failed_job_can_be_asked_for_again(runner: JobRunner, jobs: MemoryJobs, clock: FrozenClock) -> None:
    handler = Recorder(*(ValueError() for _ in range(TRIES)))
    runner.add("greet", handler)
    async with runner.running():
        await runner.enqueue("greet", "a", {})
        for wait in (1, 4, 16, 64, 0):
            await runner.idle()
            clock.advance(wait)
        await runner.enqueue("greet", "a", {})
        await runner.idle()
    assert handler.done == ["a"]


async def test_leases_are_renewed_while_a_job_runs(runner: JobRunner, jobs: MemoryJobs, clock: FrozenClock) -> None:
    handler = Recorder()
    handler.gate.clear()
    runner.add("greet", handler)
    async with runner.running():
        await runner.enqueue("greet", "slow", {})
        await handler.started.get()
        await advance(clock, LEASE_SECONDS * 3)
        lease = jobs.by_key("slow").lease_until
        assert lease is not None
        assert lease > clock.now()
        handler.gate.set()
        await runner.idle()
    assert handler.done == ["slow"]


async def test_a_job_of_a_process_that_died_is_taken_over(
    runner: JobRunner, jobs: MemoryJobs, clock: FrozenClock
) -> None:
    handler = Recorder()
    runner.add("greet", handler)
    await runner.enqueue("greet", "orphan", {})
    async with jobs.unit_of_work() as unit:  # another process claims it, and is never heard of again
        until = clock.now() + timedelta(seconds=LEASE_SECONDS)
        await unit.jobs.claim(["greet"], owner="dead", now=clock.now(), until=until, limit=1)
        await unit.commit()
    async with runner.running():
        await runner.idle()
        assert handler.done == []
        await advance(clock, LEASE_SECONDS + 2)
        await runner.idle()
    assert handler.done == ["orphan"]


async def test_a_job_that_always_kills_its_process_is_given_up(
    runner: JobRunner, jobs: MemoryJobs, clock: FrozenClock
) -> None:
    handler = Recorder()
    runner.add("greet", handler)
    await runner.enqueue("greet", "poison", {})
    for _ in range(TRIES):
        async with jobs.unit_of_work() as unit:
            await unit.jobs.claim(["greet"], owner="dead", now=clock.now(), until=clock.now(), limit=1)
            await unit.commit()
    async with runner.running():
        await runner.idle()
    assert handler.done == []
    assert [key for key, _ in handler.given_up] == ["poison"]
    assert jobs.by_key("poison").state is JobState.FAILED


async def test_a_lost_lease_cancels_the_job_and_leaves_the_new_owner_alone(
    runner: JobRunner, jobs: MemoryJobs, clock: FrozenClock
) -> None:
    handler = Recorder()
    handler.gate.clear()
    runner.add("greet", handler)
    async with runner.running():
        await runner.enqueue("greet", "a", {})
        await handler.started.get()
        async with jobs.unit_of_work() as unit:  # as if this process had been frozen for a long time
            long_ago = clock.now() + timedelta(days=1)
            (taken,) = await unit.jobs.claim(
                ["greet"], owner="other", now=long_ago, until=long_ago + timedelta(days=1), limit=1
            )
            await unit.commit()
        await advance(clock, LEASE_SECONDS / 3)
        await runner.idle()
        assert handler.at_once == 0
        assert jobs.by_key("a") == taken


async def test_closing_puts_running_jobs_down(runner: JobRunner, jobs: MemoryJobs) -> None:
    handler = Recorder()
    handler.gate.clear()
    runner.add("greet", handler)
    async with runner.running():
        await runner.enqueue("greet", "a", {})
        await handler.started.get()
    job = jobs.by_key("a")
    assert (job.state, job.attempts, job.owner) == (JobState.WAITING, 0, None)
    assert handler.at_once == 0


async def test_an_outage_pauses_the_runner_and_nothing_is_lost(
    runner: JobRunner, jobs: MemoryJobs, clock: FrozenClock
) -> None:
    handler = Recorder()
    runner.add("greet", handler)
    await runner.enqueue("greet", "a", {})
    jobs.down = True
    async with runner.running():
        await jobs.failed.wait()
        await advance(clock, 30)
        assert 3 <= jobs.failures <= 10  # with growing pauses, not in a tight loop
        jobs.down = False
        await advance(clock, 20)
        await runner.idle()
    assert handler.done == ["a"]


async def test_enqueue_says_when_storage_is_down(runner: JobRunner, jobs: MemoryJobs) -> None:
    jobs.down = True
    with pytest.raises(StorageUnavailable):
        await runner.enqueue("greet", "a", {})


async def test_an_outcome_that_could_not_be_stored_means_another_try(
    runner: JobRunner, jobs: MemoryJobs, clock: FrozenClock
) -> None:
    handler = Recorder()
    handler.gate.clear()
    runner.add("greet", handler)
    async with runner.running():
        await runner.enqueue("greet", "a", {})
        await handler.started.get()
        jobs.down = True
        handler.gate.set()
        await jobs.failed.wait()
        await advance(clock, 3)
        jobs.down = False
        await advance(clock, LEASE_SECONDS)
        await runner.idle()
    assert handler.done == ["a", "a"]
    assert jobs.rows == {}


async def test_a_claim_whose_answer_was_lost_is_given_back(
    runner: JobRunner, jobs: MemoryJobs, clock: FrozenClock
) -> None:
    handler = Recorder()
    runner.add("greet", handler)
    await runner.enqueue("greet", "a", {})
    jobs.lose_next_commit = True
    async with runner.running():
        await jobs.failed.wait()
        assert jobs.by_key("a").state is JobState.RUNNING  # by us, who do not know it
        await advance(clock, LEASE_SECONDS / 3 + 2)
        await runner.idle()
    assert handler.done == ["a"]


async def test_closing_gives_back_a_claim_whose_answer_was_lost(runner: JobRunner, jobs: MemoryJobs) -> None:
    runner.add("greet", Recorder())
    await runner.enqueue("greet", "a", {})
    jobs.lose_next_commit = True
    async with runner.running():
        await jobs.failed.wait()
    assert jobs.by_key("a").state is JobState.WAITING


async def test_an_idle_runner_asks_seldom(runner: JobRunner, jobs: MemoryJobs, clock: FrozenClock) -> None:
    runner.add("greet", Recorder())
    async with runner.running():
        await runner.idle()
        before = jobs.transactions
        await advance(clock, 60)
        assert jobs.transactions - before <= 62  # two transactions each two seconds


async def test_giving_up_that_fails_ends_the_job_all_the_same(
    runner: JobRunner, jobs: MemoryJobs, clock: FrozenClock
) -> None:
    class Hopeless(Recorder):
        async def give_up(self, job: Job, error: str) -> None:
            raise KeyError("nothing works")

    runner.add("greet", Hopeless(*(ValueError() for _ in range(TRIES))))
    async with runner.running():
        await runner.enqueue("greet", "a", {})
        for wait in (1, 4, 16, 64, 0):
            await runner.idle()
            clock.advance(wait)
        await runner.idle()
    assert jobs.by_key("a").state is JobState.FAILED


async def test_giving_up_waits_for_storage(runner: JobRunner, jobs: MemoryJobs, clock: FrozenClock) -> None:
    class NeedsStorage(Recorder):
        async def give_up(self, job: Job, error: str) -> None:
            if not self.given_up:
                self.given_up.append(("first", error))
                raise StorageUnavailable("The database does not answer.")
            await super().give_up(job, error)

    handler = NeedsStorage(*(ValueError() for _ in range(TRIES + 1)))
    runner.add("greet", handler)
    async with runner.running():
        await runner.enqueue("greet", "a", {})
        for wait in (1, 4, 16, 64, 0):
            await runner.idle()
            clock.advance(wait)
        await advance(clock, LEASE_SECONDS)
        await runner.idle()
    assert [key for key, _ in handler.given_up] == ["first", "a"]
    assert jobs.by_key("a").state is JobState.FAILED


async def test_handlers_of_plugins_are_guarded(jobs: MemoryJobs, clock: FrozenClock) -> None:
    handler = Recorder(ValueError("broken plugin"))
    host = JobHostDouble(jobs, {"greet": handler})
    runner = JobRunner(host, clock, "this")
    async with runner.running():
        await runner.enqueue("greet", "a", {})
        await runner.idle()
        assert sum(host.ledger.counts("a-plugin").values()) == 1
        reason = jobs.by_key("a").error
        assert reason is not None
        assert reason.startswith("a-plugin failed in job greet")
        clock.advance(1)
        await runner.idle()
    assert handler.done == ["a"]


async def test_the_core_comes_before_a_plugin_with_the_same_kind(jobs: MemoryJobs, clock: FrozenClock) -> None:
    core, other = Recorder(), Recorder(PluginFault("never called"))
    runner = JobRunner(JobHostDouble(jobs, {"greet": other}), clock, "this")
    runner.add("greet", core)
    async with runner.running():
        await runner.enqueue("greet", "a", {})
        await runner.idle()
    assert core.done == ["a"]
    assert other.started.empty()


async def test_waiting_for_a_runner_that_does_not_run_is_refused(runner: JobRunner) -> None:
    with pytest.raises(RuntimeError, match="start it"):
        await runner.idle()


async def test_two_runners_share_the_work(jobs: MemoryJobs, clock: FrozenClock) -> None:
    handler = Recorder()
    runners = [JobRunner(JobHostDouble(jobs), clock, name) for name in ("one", "two")]
    for one in runners:
        one.add("greet", handler)
    for number in range(30):
        await runners[0].enqueue("greet", str(number), {})
    async with runners[0].running(), runners[1].running():
        await runners[0].idle()
        await runners[1].idle()
    assert sorted(handler.done, key=int) == [str(number) for number in range(30)]


async def test_a_job_that_others_finished_meanwhile_is_let_go(
    runner: JobRunner, jobs: MemoryJobs, clock: FrozenClock
) -> None:
    handler = Recorder(ValueError())
    handler.gate.clear()
    runner.add("greet", handler)
    async with runner.running():
        await runner.enqueue("greet", "a", {})
        await handler.started.get()
        jobs.rows.clear()
        handler.gate.set()
        await runner.idle()
    assert jobs.rows == {}


async def test_a_fault_of_storage_without_a_name_means_another_try(
    runner: JobRunner, jobs: MemoryJobs, clock: FrozenClock
) -> None:
    handler = Recorder()
    handler.gate.clear()
    runner.add("greet", handler)
    async with runner.running():
        await runner.enqueue("greet", "a", {})
        await handler.started.get()
        jobs.fault = RuntimeError("a bug in the storage plugin")
        handler.gate.set()
        await jobs.failed.wait()
        await advance(clock, 3)
        jobs.fault = None
        await advance(clock, LEASE_SECONDS)
        await runner.idle()
    assert handler.done == ["a", "a"]


async def test_closing_while_storage_is_down_ends_all_the_same(runner: JobRunner, jobs: MemoryJobs) -> None:
    handler = Recorder()
    handler.gate.clear()
    runner.add("greet", handler)
    async with runner.running():
        await runner.enqueue("greet", "a", {})
        await handler.started.get()
        waiting = asyncio.create_task(runner.idle())
        await asyncio.sleep(0)
        jobs.down = True
    assert jobs.by_key("a").state is JobState.RUNNING  # until its lease runs out
    assert handler.at_once == 0
    with pytest.raises(asyncio.CancelledError):
        await waiting
