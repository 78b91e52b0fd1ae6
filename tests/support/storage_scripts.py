"""Scripts of calls on a storage, made at random, whose outcomes two storages must agree on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from eudai_core.contracts import Storage, UnitOfWork
from eudai_core.errors import EudaiError
from eudai_core.ids import new_id
from eudai_core.model import (
    Conversation,
    DocumentStatus,
    EventRecord,
    FileRecord,
    Instruction,
    Job,
    MessageStatus,
    Project,
    RunStatus,
    Url,
    User,
)
from eudai_core.testing import MemoryStorage
from eudai_core.testing._storage.rows import NOW, Rows, at

__all__ = ["STEPS", "Script"]

OWNERS = ("p1", "p2", "p3")
ENDS = (RunStatus.COMPLETE, RunStatus.FAILED, RunStatus.INTERRUPTED)
TEXTS = ("", "a", "ab", "abc")


class Script:
    """Steps, and the objects that they are about: the same ones on every storage that it is played on.

    A step is a name and two small numbers, which say with what and how many seconds later.
    """

    def __init__(self, steps: Sequence[tuple[str, int, int]]) -> None:
        self._steps = steps
        self.users = [User(key := new_id(), f"{key}", f"{key}@example.org", NOW) for _ in range(2)]
        self.project = Project(new_id(), self.users[0].id, "Script", "", NOW, NOW)
        rows = Rows(MemoryStorage(), MemoryStorage())
        home, owner = self.project.id, self.users[0].id
        self.conversations = [Conversation(new_id(), home, owner, f"{n}", NOW, at(n)) for n in range(3)]
        self.answers = [rows.message(conversation=self.conversations[0], status=MessageStatus.PENDING) for _ in TEXTS]
        self.runs = [rows.run(self.conversations[n % 3], user=self.users[n % 2], queued=n % 5) for n in range(8)]
        self.jobs = [Job(new_id(), "index", f"{self.project.id} {n % 3}", {}, at(n)) for n in range(8)]
        self.files = [rows.file(f"{n}", f"{n % 3}".encode(), project=self.project, uploaded=n % 3) for n in range(4)]
        self.urls = [rows.url(f"{n % 3}", project=self.project, created=n % 2) for n in range(4)]
        self.instructions = [Instruction(new_id(), home, TEXTS[n], NOW, version=1 + n) for n in range(4)]
        owners: list[FileRecord | Url] = [*self.files, *self.urls]
        self.versions = [rows.version(owner, n, f"{n}".encode()) for n in range(1, 4) for owner in owners]
        self.now = 0

    async def play(self, storage: Storage) -> list[object]:
        """Do every step in a unit of work of its own, and return what each returned or raised."""
        self.now = 0
        await _do(storage, self._begin)
        outcomes = []
        for name, first, second in self._steps:
            self.now += second
            outcomes.append(await _do(storage, lambda work, f=first, n=name: STEPS[n](self, work, f)))  # type: ignore[misc]  # defaults
        await _do(storage, self._end)
        return outcomes

    async def _begin(self, work: UnitOfWork) -> None:
        for user in self.users:
            await work.users.add(user, "hash")
        await work.projects.add(self.project)
        for conversation in self.conversations:
            await work.conversations.add(conversation)
        for answer in self.answers:
            await work.messages.add(answer)
        for file, url, instruction in list(zip(self.files, self.urls, self.instructions, strict=True))[:2]:
            await work.documents.add_file(file)
            await work.urls.add(url)
            await work.documents.add_instruction(instruction)

    async def _end(self, work: UnitOfWork) -> None:
        for job in await work.jobs.claim(["index"], owner="end", now=at(10**6), until=at(10**6), limit=99):
            await work.jobs.finish(job.id, owner="end")
        await work.projects.delete(self.project.id)


async def _do(storage: Storage, call: Callable[[UnitOfWork], Awaitable[object]]) -> object:
    try:
        async with storage.unit_of_work() as work:
            outcome = await call(work)
            await work.commit()
            return outcome
    except EudaiError as error:
        return type(error).__name__


async def _add_run(script: Script, work: UnitOfWork, n: int) -> object:
    await work.runs.add(script.runs[n], None)
    return await work.runs.queued()


async def _claim_runs(script: Script, work: UnitOfWork, n: int) -> object:
    until, room = at(script.now + 5), {("ollama", "gpu1"): 1 + n % 3}
    return await work.runs.claim(owner=OWNERS[n % 3], now=at(script.now), until=until, capacity=room, limit=1 + n % 2)


async def _heartbeat(script: Script, work: UnitOfWork, n: int) -> object:
    named = [run.id for run in script.runs[n:]]
    return await work.runs.heartbeat(named, owner=OWNERS[n % 3], until=at(script.now + 5))


async def _release_run(script: Script, work: UnitOfWork, n: int) -> object:
    return [await work.runs.release(run.id, owner=OWNERS[n % 3]) for run in script.runs[n:]]


async def _stop_run(script: Script, work: UnitOfWork, n: int) -> object:
    return await work.runs.request_stop(script.runs[n].id, at=at(script.now))


async def _finish_run(script: Script, work: UnitOfWork, n: int) -> object:
    owner = OWNERS[n % 3] if n % 2 else None
    return await work.runs.finish(script.runs[n].id, ENDS[n % 3], owner=owner, at=at(script.now))


async def _look_at_runs(script: Script, work: UnitOfWork, n: int) -> object:
    abandoned = await work.runs.abandoned(now=at(script.now), except_owner=OWNERS[n % 3] if n % 2 else None, limit=99)
    active = [await work.runs.active(conversation.id) for conversation in script.conversations]
    places = [await work.runs.position(run.id) for runs in active for run in runs]
    return {run.id for run in abandoned}, active, places


async def _append(script: Script, work: UnitOfWork, n: int) -> object:
    run = script.runs[n]
    await work.events.append([EventRecord(run.conversation_id, 1 + script.now, run.id, "delta", {"n": n})])
    return [await work.events.after(conversation.id, n, limit=5) for conversation in script.conversations]


async def _trim(script: Script, work: UnitOfWork, n: int) -> object:
    count = await work.events.trim(ended_before=at(script.now - n), limit=99)
    numbers = [await work.events.trimmed(conversation.id) for conversation in script.conversations]
    return count, numbers, [(await work.conversations.get(one.id)).seq for one in script.conversations]


async def _lease(script: Script, work: UnitOfWork, n: int) -> object:
    key, until = script.conversations[n % 2].id, at(script.now + 5)
    return await work.conversations.lease(key, owner=OWNERS[n % 3], now=at(script.now), until=until, headroom=n + 1)


async def _void(script: Script, work: UnitOfWork, n: int) -> None:
    await work.conversations.void_leases(except_owner=OWNERS[n % 3])


async def _add_job(script: Script, work: UnitOfWork, n: int) -> object:
    return await work.jobs.add(script.jobs[n])


async def _claim_jobs(script: Script, work: UnitOfWork, n: int) -> object:
    until = at(script.now + 5)
    return await work.jobs.claim(["index"], owner=OWNERS[n % 3], now=at(script.now), until=until, limit=1 + n % 3)


async def _end_job(script: Script, work: UnitOfWork, n: int) -> object:
    job, owner, later = script.jobs[n].id, OWNERS[n % 3], at(script.now + n)
    calls: Sequence[Callable[[], Awaitable[object]]] = (
        lambda: work.jobs.release(job, owner=owner),
        lambda: work.jobs.postpone(job, owner=owner, run_after=later),
        lambda: work.jobs.retry(job, owner=owner, error="x", run_after=later),
        lambda: work.jobs.fail(job, owner=owner, error="x"),
        lambda: work.jobs.finish(job, owner=owner),
    )
    await calls[script.now % 5]()
    held = set(await work.jobs.heartbeat(owner=owner, until=later))
    return held, await work.jobs.running("index", now=at(script.now)), await work.jobs.next_due(["index"])


async def _write(script: Script, work: UnitOfWork, n: int) -> object:
    await work.messages.save_partial([(answer.id, TEXTS[n % 4], "") for answer in script.answers[n % 3 :]])
    return await _texts(script, work)


async def _finish_answer(script: Script, work: UnitOfWork, n: int) -> object:
    status = MessageStatus(ENDS[n % 3])
    await work.messages.finish(script.answers[n % 4].id, text=TEXTS[n // 2], thinking="", status=status, error={"n": n})
    return await _texts(script, work)


async def _reopen(script: Script, work: UnitOfWork, n: int) -> object:
    await work.messages.reopen(script.answers[n % 4].id)
    return await _texts(script, work)


async def _index(script: Script, work: UnitOfWork, n: int) -> object:
    await work.messages.mark_indexed({answer.id: n % 4 for answer in script.answers[n % 3 :]})
    return await work.messages.unindexed(limit=3)


async def _texts(script: Script, work: UnitOfWork) -> object:
    return await work.messages.many([answer.id for answer in script.answers])


async def _add_document(script: Script, work: UnitOfWork, n: int) -> object:
    await (work.documents.add_file(script.files[n // 2]) if n % 2 else work.urls.add(script.urls[n // 2]))
    return await _documents(script, work)


async def _change_document(script: Script, work: UnitOfWork, n: int) -> object:
    if n % 2:
        file = await work.documents.get_file(script.files[n // 2].id)
        await work.documents.update_file(replace(file, filename=TEXTS[script.now % 4], pinned=not file.pinned))
    else:
        url = await work.urls.get(script.urls[n // 2].id)
        await work.urls.update(replace(url, url=f"{script.now % 3}", title=TEXTS[script.now % 4], fetched_at=at(n)))
    return await _documents(script, work)


async def _drop_document(script: Script, work: UnitOfWork, n: int) -> object:
    drop = work.documents.delete_file if n % 2 else work.urls.delete
    released = await drop((script.files if n % 2 else script.urls)[n // 2].id)
    return sorted(released), await _documents(script, work)


async def _add_version(script: Script, work: UnitOfWork, n: int) -> object:
    await work.documents.add_version(script.versions[n + 8 * (script.now % 3)])
    return await _documents(script, work)


async def _read_version(script: Script, work: UnitOfWork, n: int) -> object:
    known = [*(file.current for file in script.files), *script.versions]
    version = known[(n + 8 * script.now) % len(known)]
    await work.documents.finish_version(version.id, status=DocumentStatus.READY, text=TEXTS[n % 4], tokens=n)
    return await work.documents.text_of(version.id), await _documents(script, work)


async def _documents(script: Script, work: UnitOfWork) -> object:
    files, urls = await work.documents.all_files(script.project.id), await work.urls.all(script.project.id)
    keys = [*(file.id for file in script.files), *(url.id for url in script.urls)]
    pages = [await work.documents.versions(key, cursor=None, limit=9) for key in keys]
    hashes = {version.text_sha256 for page in pages for version in page.items if version.text_sha256}
    texts = await work.contexts.texts(sorted(hashes))
    return files, urls, [page.items for page in pages], texts, (await work.projects.get(script.project.id)).counts


async def _instruct(script: Script, work: UnitOfWork, n: int) -> object:
    instruction = script.instructions[n % 4]
    expected = 1 + script.now % 5 if n % 2 else None
    if n < 2:
        await work.documents.add_instruction(instruction)
    elif n < 7:
        changed = replace(instruction, instruction_text=TEXTS[script.now % 2], position=n)
        await work.documents.update_instruction(changed, expected_version=expected, at=at(script.now))
    else:
        await work.documents.delete_instruction(instruction.id)
    pages = [await work.documents.instruction_versions(one.id, cursor=None, limit=9) for one in script.instructions]
    return await work.documents.list_instructions(script.project.id), [page.items for page in pages]


STEPS: Mapping[str, Callable[[Script, UnitOfWork, int], Awaitable[Any]]] = {
    step.__name__.lstrip("_"): step
    for step in (
        _add_run,
        _claim_runs,
        _heartbeat,
        _release_run,
        _stop_run,
        _finish_run,
        _look_at_runs,
        _append,
        _trim,
        _lease,
        _void,
        _add_job,
        _claim_jobs,
        _end_job,
        _write,
        _finish_answer,
        _reopen,
        _index,
        _add_document,
        _change_document,
        _drop_document,
        _add_version,
        _read_version,
        _instruct,
    )
}
