"""Units of work, and the storage itself."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from eudai_core.contracts import Storage, UnitOfWork
from eudai_core.errors import Conflict, StaleVersion, StorageUnavailable
from eudai_core.ids import new_id
from eudai_core.model import HealthStatus, Project, User
from eudai_core.testing._storage.keeping import must, must_equal, refuses
from eudai_core.testing._storage.rows import NOW, Rows

__all__ = [
    "check_cancelled_anywhere",
    "check_cancelled_in_the_middle",
    "check_closes_twice",
    "check_committed_is_there_for_all",
    "check_ended_unit",
    "check_error_undoes_the_unit",
    "check_health",
    "check_migrated_already",
    "check_nothing_without_commit",
    "check_one_writer_wins",
    "check_readonly_is_a_snapshot",
    "check_readonly_never_writes",
    "check_single_reads_are_fresh",
    "check_storage_describes_itself",
    "check_unavailable",
    "check_uncommitted_is_unseen",
    "check_values_are_copies",
    "check_writers_at_once",
]

_PROMISED_S = 2.0
_TURNS = (0, 1, 2, 3, 5, 8, 13, 21, 34)


async def check_storage_describes_itself(rows: Rows) -> None:
    """The storage has what the contract names."""
    must(isinstance(rows.storage, Storage), "a storage has every member of the contract")
    must(isinstance(rows.storage.single_process, bool), "single_process is a bool")
    must(rows.storage.description.strip(), "description tells people where the data is")


async def check_nothing_without_commit(rows: Rows) -> None:
    """Leaving a unit of work without commit rolls it back, also by an exception."""
    async with rows.storage.unit_of_work() as work:
        await work.projects.update(replace(rows.project, name="New"), expected_version=None)
        await work.users.add(_user("bob"), "hash")
        must_equal((await work.projects.get(rows.project.id)).name, "New", "a unit of work sees its own changes")
    try:
        async with rows.storage.unit_of_work() as work:
            await work.conversations.delete(rows.conversation.id)
            raise _Stop
    except _Stop:
        pass
    async with rows.reading() as work:
        must_equal((await work.projects.get(rows.project.id)).name, "Notes", "without commit() nothing is changed")
        must(await work.users.by_login("bob") is None, "without commit() nothing is added")
        await work.conversations.get(rows.conversation.id)


async def check_committed_is_there_for_all(rows: Rows) -> None:
    """What was committed is there for every handle."""
    async with rows.storage.unit_of_work() as work:
        await work.projects.update(replace(rows.project, name="New"), expected_version=None)
        await work.commit()
    for storage in (rows.storage, rows.another):
        for snapshot in (True, False):
            async with storage.unit_of_work(readonly=True, snapshot=snapshot) as work:
                found = await work.projects.get(rows.project.id)
                must_equal((found.name, found.version), ("New", 2), "what was committed is there for everybody")


async def check_uncommitted_is_unseen(rows: Rows) -> None:
    """Readers do not wait for a writer and do not see what it has not committed."""
    async with rows.storage.unit_of_work() as work:
        await work.projects.update(replace(rows.project, name="New"), expected_version=None)
        for snapshot in (True, False):
            async with rows.another.unit_of_work(readonly=True, snapshot=snapshot) as reader:
                found = await reader.projects.get(rows.project.id)
                must_equal(found.name, "Notes", "nobody sees what is not committed")
        await work.commit()


async def check_readonly_is_a_snapshot(rows: Rows) -> None:
    """All reads of a readonly unit of work see one state."""
    async with rows.another.unit_of_work(readonly=True) as reader:
        before = await reader.projects.get(rows.project.id)
        async with rows.writing() as work:
            await work.projects.update(replace(rows.project, name="New"), expected_version=None)
            await work.conversations.delete(rows.conversation.id)
        must_equal(await reader.projects.get(rows.project.id), before, "a readonly unit of work sees one state")
        listed = await reader.conversations.list(rows.user.id, project_id=None, cursor=None, limit=9)
        must_equal(listed.items, [rows.conversation], "a readonly unit of work sees one state, of all repositories")


async def check_single_reads_are_fresh(rows: Rows) -> None:
    """With snapshot=False each statement sees what is there by then."""
    async with rows.another.unit_of_work(readonly=True, snapshot=False) as reader:
        await reader.projects.get(rows.project.id)
        async with rows.writing() as work:
            await work.projects.update(replace(rows.project, name="New"), expected_version=None)
        found = await reader.projects.get(rows.project.id)
        must_equal(found.name, "New", "with snapshot=False each statement sees what is there by then")


async def check_readonly_never_writes(rows: Rows) -> None:
    """Writing in a readonly unit of work raises, and nothing is kept."""
    for snapshot in (True, False):
        async with rows.storage.unit_of_work(readonly=True, snapshot=snapshot) as work:
            with refuses(Exception, f"writing in a readonly unit of work raises (snapshot={snapshot})"):
                await work.users.add(_user("bob"), "hash")
        async with rows.reading() as work:
            must(await work.users.by_login("bob") is None, "a readonly unit of work keeps nothing")


async def check_ended_unit(rows: Rows) -> None:
    """Nothing may be done with a unit of work after its end."""
    for readonly in (True, False):
        async with rows.storage.unit_of_work(readonly=readonly) as work:
            await work.projects.get(rows.project.id)
            await work.commit()
            with refuses(RuntimeError, "after commit() a unit of work raises RuntimeError"):
                await work.projects.get(rows.project.id)
        with refuses(RuntimeError, "after its block a unit of work raises RuntimeError"):
            await work.projects.get(rows.project.id)
    async with rows.storage.unit_of_work() as work:
        await work.commit()


async def check_error_undoes_the_unit(rows: Rows) -> None:
    """A unit of work in which a call failed is left without a trace, and the storage goes on."""
    async with rows.storage.unit_of_work() as work:
        await work.projects.update(replace(rows.project, name="New"), expected_version=None)
        with refuses(Conflict, "a taken name is a Conflict"):
            await work.users.add(_user("ada"), "hash")
    async with rows.writing() as work:
        must_equal((await work.projects.get(rows.project.id)).name, "Notes", "a unit of work that failed left nothing")
        await work.users.add(_user("bob"), "hash")


async def check_cancelled_in_the_middle(rows: Rows) -> None:
    """Work that is cancelled leaves nothing, and nobody waits for it afterwards."""
    begun = asyncio.Event()

    async def work_forever() -> None:
        async with rows.storage.unit_of_work() as work:
            await work.users.add(_user("bob"), "hash")
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work_forever())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    must(task.cancelled(), "a cancelled unit of work raises CancelledError")
    async with rows.writing() as work:
        must(await work.users.by_login("bob") is None, "a cancelled unit of work leaves nothing")
        await work.users.add(_user("bob"), "hash")


async def check_cancelled_anywhere(rows: Rows) -> None:
    """Wherever work is cancelled, all of it is kept or nothing, and the storage goes on."""

    async def work_on(user: User) -> None:
        async with rows.storage.unit_of_work() as work:
            await work.users.add(user, "hash")
            await work.projects.add(Project(new_id(), user.id, "Theirs", "", NOW, NOW))
            await work.commit()

    users = [_user(f"user{turns}") for turns in _TURNS]
    for turns, user in zip(_TURNS, users, strict=True):
        task = asyncio.create_task(work_on(user))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await rows.add_user(f"after{turns}")
    async with rows.reading() as work:
        for user in users:
            kept = await work.users.by_login(user.username) is not None
            projects = await work.projects.ids(user.id)
            must_equal(len(projects), int(kept), "of cancelled work all is kept or nothing")


async def check_writers_at_once(rows: Rows) -> None:
    """Units of work at the same time lose nothing of each other."""

    async def rename(number: int) -> None:
        async with rows.writing(rows.handle(number)) as work:
            await work.projects.update(replace(rows.project, name=f"Name {number}"), expected_version=None)
            await work.users.add(_user(f"user{number}"), "hash")

    await asyncio.gather(*(rename(number) for number in range(8)))
    async with rows.reading() as work:
        must_equal((await work.projects.get(rows.project.id)).version, 9, "no update is lost among several at once")
        for number in range(8):
            must(await work.users.by_login(f"user{number}"), "no row is lost among several writers at once")


async def check_one_writer_wins(rows: Rows) -> None:
    """Of several changes of one version at the same time one is made."""

    async def rename(number: int) -> bool:
        try:
            async with rows.writing(rows.handle(number)) as work:
                await work.projects.update(replace(rows.project, name=f"Name {number}"), expected_version=1)
        except StaleVersion:
            return False
        return True

    won = await asyncio.gather(*(rename(number) for number in range(6)))
    must_equal(sum(won), 1, "of several changes that expect one version one is made, the others are StaleVersion")
    async with rows.reading() as work:
        must_equal((await work.projects.get(rows.project.id)).version, 2, "a change that is refused changes nothing")


async def check_values_are_copies(rows: Rows) -> None:
    """Repositories return values, never live rows, and keep none of the caller's objects."""
    settings = {"model": "m", "list": [1]}
    project = replace(rows.project, id=new_id(), settings=settings)
    async with rows.writing() as work:
        await work.projects.add(project)
        settings["model"] = "changed by the caller"
        found = await work.projects.get(project.id)
        must_equal(found.settings, {"model": "m", "list": [1]}, "the caller's own mappings are not kept")
        found.settings["list"].append(2)
    async with rows.storage.unit_of_work(readonly=True) as work:
        found = await work.projects.get(project.id)
        must_equal(found.settings, {"model": "m", "list": [1]}, "what is returned is a value and no live row")


async def check_migrated_already(rows: Rows) -> None:
    """A storage that is migrated has nothing left to apply, however many ask at once."""
    must_equal(await rows.storage.migrate((), dry_run=True), (), "a dry run of a migrated storage names no revision")
    applied = await asyncio.gather(*(rows.handle(number).migrate(()) for number in range(3)))
    must_equal(applied, [(), (), ()], "migrating again applies nothing")
    async with rows.reading() as work:
        await work.projects.get(rows.project.id)


async def check_health(rows: Rows) -> None:
    """A storage that works says so, in time."""
    try:
        health = await asyncio.wait_for(rows.storage.health(), _PROMISED_S)
    except TimeoutError:
        must(False, "health() answers within two seconds")
    else:
        must_equal(health.status, HealthStatus.OK, "health() of a storage that works is ok")


async def check_closes_twice(rows: Rows) -> None:
    """A storage can be closed twice, and other handles go on."""
    await rows.storage.aclose()
    await rows.storage.aclose()
    if rows.another is not rows.storage:
        async with rows.another.unit_of_work(readonly=True) as work:
            await work.projects.get(rows.project.id)


async def check_unavailable(storage: Storage) -> None:
    """A storage whose database does not answer says so within two seconds, and when to try again."""

    async def read(work: UnitOfWork) -> None:
        await work.users.by_login("ada")

    async def write(work: UnitOfWork) -> None:
        await work.users.add(_user("ada"), "hash")

    loop = asyncio.get_running_loop()
    for readonly, call in ((True, read), (False, write)):
        begun = loop.time()
        try:
            async with storage.unit_of_work(readonly=readonly) as work:
                await call(work)
        except StorageUnavailable as error:
            must(error.retry_after, "StorageUnavailable says after how many seconds to try again")
        else:
            must(False, "a database that does not answer raises StorageUnavailable")
        must(loop.time() - begun <= _PROMISED_S, "StorageUnavailable comes within two seconds")
    begun = loop.time()
    must_equal((await storage.health()).status, HealthStatus.DOWN, "health() is down when the database does not answer")
    must(loop.time() - begun <= _PROMISED_S, "health() answers within two seconds")


def _user(name: str) -> User:
    return User(new_id(), name, f"{name}@example.org", NOW)


class _Stop(Exception):  # noqa: N818 -- no error: a reason to leave
    pass
