"""Conversations, and the lease that numbers their events."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID

from eudai_core.contracts import Storage, UnitOfWork
from eudai_core.errors import Conflict, NotFound, StaleVersion
from eudai_core.ids import new_id
from eudai_core.model import Conversation, EventRecord, Lease, Page
from eudai_core.testing._storage.keeping import must, must_equal
from eudai_core.testing._storage.paging import must_page, must_refuse_cursors
from eudai_core.testing._storage.rows import NOW, Rows, at

__all__ = [
    "check_conversation_list",
    "check_conversation_pages",
    "check_conversation_seq",
    "check_conversation_versions",
    "check_conversations",
    "check_deleting_a_conversation",
    "check_lease_at_once",
    "check_lease_expires",
    "check_lease_is_exclusive",
    "check_lease_renewed",
    "check_locking",
    "check_touching",
    "check_voiding_leases",
]


async def check_conversations(rows: Rows) -> None:
    """A conversation comes back whole."""
    made = replace(rows.conversation, id=new_id(), title="", model="m", active_message_id=new_id(), updated_at=at(1))
    async with rows.writing() as work:
        await work.conversations.add(made)
    async with rows.reading() as work:
        must_equal(await work.conversations.get(made.id), made, "a conversation comes back with its owner")
        found = await work.conversations.many([new_id(), made.id, rows.conversation.id, made.id])
        expected = {made.id: made, rows.conversation.id: rows.conversation}
        must_equal(found, expected, "many() gives those that are there")
        must_equal(await work.conversations.many([]), {}, "many() of nothing is nothing")
    await rows.refused(
        NotFound, lambda work: work.conversations.get(new_id()), "a conversation that is not there is NotFound"
    )
    await rows.refused(Conflict, lambda work: work.conversations.add(made), "an id that is taken is a Conflict")
    await rows.refused(
        NotFound,
        lambda work: work.conversations.add(replace(made, id=new_id(), project_id=new_id())),
        "a conversation of no project is NotFound",
    )


async def check_conversation_list(rows: Rows) -> None:
    """Conversations are listed by last change, of one project or of all of the owner's."""
    other = await rows.add_project()
    stranger = await rows.add_user("bob")
    theirs = await rows.add_project(stranger)
    await rows.add_conversation(theirs, updated=99)
    old, new = await rows.add_conversation(other, updated=-5), await rows.add_conversation(updated=5)

    async def listed(owner: UUID, project: UUID | None) -> list[UUID]:
        async with rows.reading() as work:
            page = await work.conversations.list(owner, project_id=project, cursor=None, limit=9)
            return [conversation.id for conversation in page.items]

    everything = [new.id, rows.conversation.id, old.id]
    must_equal(await listed(rows.user.id, None), everything, "all of the owner's are listed, last changed first")
    must_equal(await listed(rows.user.id, rows.project.id), everything[:2], "those of one project are listed")
    must_equal(await listed(rows.user.id, other.id), [old.id], "those of one project are listed")
    must_equal(await listed(rows.user.id, theirs.id), [], "another owner's are not listed")
    must_equal(await listed(new_id(), None), [], "nobody's are none")


async def check_conversation_pages(rows: Rows) -> None:
    """Pages of conversations lose nothing and repeat nothing."""
    other = await rows.add_project()
    await rows.add_conversations(2, other)
    for updated in (1, 0, 1):
        await rows.add_conversations(2, updated=updated)

    for project_id in (None, rows.project.id):

        async def listed(
            work: UnitOfWork, cursor: str | None, limit: int, project: UUID | None = project_id
        ) -> Page[Conversation]:
            return await work.conversations.list(rows.user.id, project_id=project, cursor=cursor, limit=limit)

        async with rows.reading() as work:
            whole = (await listed(work, None, 99)).items
        times = [conversation.updated_at for conversation in whole]
        must_equal(times, sorted(times, reverse=True), "conversations are listed by last change")
        must_equal(len(whole), 7 if project_id else 9, "every conversation is listed")
        await must_page(rows, listed, [conversation.id for conversation in whole])
        await must_refuse_cursors(rows, listed)


async def check_conversation_versions(rows: Rows) -> None:
    """An update stores its fields under the next version, when it knows the stored one."""
    changed = replace(
        rows.conversation, title="New", model="m", active_message_id=new_id(), updated_at=at(3), seq=50, version=8
    )
    async with rows.writing() as work:
        stored = await work.conversations.update(changed, expected_version=1)
        expected = replace(changed, seq=0, version=2)
        must_equal(stored, expected, "update() stores title, model and active message under the next version")
    async with rows.reading() as work:
        must_equal(await work.conversations.get(changed.id), expected, "update() returns what is stored")
    await rows.refused(
        StaleVersion,
        lambda work: work.conversations.update(changed, expected_version=1),
        "another version than the stored one is StaleVersion",
    )
    async with rows.writing() as work:
        back = await work.conversations.update(rows.conversation, expected_version=None)
        must_equal((back.version, back.model, back.active_message_id), (3, None, None), "None is stored as None")
    await rows.refused(
        NotFound,
        lambda work: work.conversations.update(replace(changed, id=new_id()), expected_version=1),
        "updating a conversation that is not there is NotFound",
    )


async def check_locking(rows: Rows) -> None:
    """Of many who lock a conversation and change it upon what they found, no change is lost."""
    key = rows.conversation.id

    async def lengthen(number: int) -> None:
        async with rows.writing(rows.handle(number)) as work:
            found = await work.conversations.lock(key)
            await work.conversations.update(replace(found, title=f"{found.title}+"), expected_version=None)

    async with rows.reading() as work:
        before = await work.conversations.get(key)
    await asyncio.gather(*(lengthen(number) for number in range(6)))
    async with rows.writing() as work:
        must_equal(
            (await work.conversations.lock(key)).title, f"{before.title}++++++", "who locks waits for the others"
        )
    await rows.refused(NotFound, lambda work: work.conversations.lock(new_id()), "locking nothing is NotFound")


async def check_touching(rows: Rows) -> None:
    """Touching moves a conversation to the front and keeps its version."""
    leaf, newer = new_id(), await rows.add_conversation(updated=5)
    async with rows.writing() as work:
        await work.conversations.touch(rows.conversation.id, active_message_id=leaf, at=at(9))
    expected = replace(rows.conversation, active_message_id=leaf, updated_at=at(9))
    async with rows.reading() as work:
        page = await work.conversations.list(rows.user.id, project_id=None, cursor=None, limit=9)
        must_equal(page.items, [expected, newer], "touch() sets the leaf, moves to the front, and keeps the version")
    await rows.refused(
        NotFound,
        lambda work: work.conversations.touch(new_id(), active_message_id=leaf, at=NOW),
        "touching a conversation that is not there is NotFound",
    )


async def check_conversation_seq(rows: Rows) -> None:
    """``seq`` is the last number in the log, and not the ceiling of a lease."""
    key = rows.conversation.id
    await _lease(rows, "a", 0, 9, 1000)
    async with rows.writing() as work:
        await work.events.append([EventRecord(key, seq, None, "title", {}) for seq in (7, 3)])
    async with rows.reading() as work:
        must_equal((await work.conversations.get(key)).seq, 7, "seq is the last event number that is stored")
        page = await work.conversations.list(rows.user.id, project_id=None, cursor=None, limit=9)
        must_equal([conversation.seq for conversation in page.items], [7], "seq is told in lists as well")


async def check_deleting_a_conversation(rows: Rows) -> None:
    """A deleted conversation takes its messages, runs, commands and events along."""
    other = await rows.add_conversation()
    question = await rows.add_message(text="why?")
    answer = await rows.add_message(question.id)
    run, kept = rows.run(), rows.run(other)
    async with rows.writing() as work:
        await work.runs.add(run, rows.command(run, "c1"))
        await work.runs.add(kept, rows.command(kept, "c1"))
        await work.events.append([EventRecord(key, 1, None, "title", {}) for key in (rows.conversation.id, other.id)])
    async with rows.writing() as work:
        await work.conversations.delete(rows.conversation.id)
    for call in (
        lambda work: work.conversations.get(rows.conversation.id),
        lambda work: work.messages.get(question.id),
        lambda work: work.messages.path(answer.id, limit=9),
        lambda work: work.runs.get(run.id),
        lambda work: work.conversations.delete(rows.conversation.id),
    ):
        await rows.refused(NotFound, call, "a deleted conversation takes its messages and runs along")
    async with rows.reading() as work:
        must_equal(await work.events.after(rows.conversation.id, 0, limit=9), [], "its events are gone")
        must(await work.runs.command(rows.conversation.id, "c1") is None, "its commands are gone")
        must_equal(await work.runs.get(kept.id), kept, "nothing of other conversations is gone")
        must(await work.runs.command(other.id, "c1"), "nothing of other conversations is gone")
        must_equal(len(await work.events.after(other.id, 0, limit=9)), 1, "nothing of other conversations is gone")


async def check_lease_is_exclusive(rows: Rows) -> None:
    """While a lease runs nobody else gets one, and no number is given to two owners."""
    first = await _must_lease(rows, "a", 0, 10, 100)
    must_equal(first.ceiling, first.floor + 100, "the ceiling lies `headroom` above the floor")
    must(first.floor >= 0, "a lease begins at or above 0")
    must(await _lease(rows, "b", 9, 20, 100) is None, "while another owner's lease runs there is none")
    other = await rows.add_conversation()
    must(await _lease(rows, "b", 9, 20, 100, other.id), "a lease is of one conversation")
    async with rows.storage.unit_of_work() as work:
        await work.conversations.lease(other.id, owner="b", now=at(1), until=at(99), headroom=5)
    must(await _lease(rows, "a", 20, 30, 1, other.id), "a lease that was not committed was not taken")
    await rows.refused(
        NotFound,
        lambda work: work.conversations.lease(new_id(), owner="a", now=NOW, until=at(1), headroom=1),
        "a lease of a conversation that is not there is NotFound",
    )


async def check_lease_expires(rows: Rows) -> None:
    """A lease that ran out goes to whoever asks, above every number that was given."""
    given = await _must_lease(rows, "a", 0, 10, 100)
    for owner, now in (("b", 10), ("a", 20), ("c", 30)):
        lease = await _must_lease(rows, owner, now, now + 10, 7)
        must(lease.floor >= given.ceiling, "nobody gets a number at or below a ceiling that somebody else had")
        must_equal(lease.ceiling - lease.floor, 7, "the ceiling lies `headroom` above the floor")
        given = lease
    async with rows.writing() as work:
        await work.events.append([EventRecord(rows.conversation.id, given.ceiling, None, "title", {})])
        await work.events.trim(ended_before=at(99), limit=9)
    lease = await _must_lease(rows, "d", 40, 50, 7)
    must(lease.floor >= given.ceiling, "a lease begins above every number in the log")


async def check_lease_renewed(rows: Rows) -> None:
    """An owner that renews keeps counting where it was, and only the ceiling moves."""
    first = await _must_lease(rows, "a", 0, 10, 100)
    second = await _must_lease(rows, "a", 5, 15, 50)
    must(second.floor <= first.ceiling, "an owner that renews keeps counting where it was")
    must(second.ceiling > first.ceiling, "a renewed lease has a higher ceiling")
    must_equal(second.ceiling - second.floor, 50, "the ceiling lies `headroom` above the floor")
    must(await _lease(rows, "b", 14, 20, 1) is None, "a renewed lease runs until its new end")
    late = await _must_lease(rows, "a", 16, 30, 50)
    must(late.floor <= second.ceiling, "an owner may renew late, when nobody else took the lease")
    must((await _must_lease(rows, "b", 30, 40, 1)).floor >= late.ceiling, "another owner begins above all of it")


async def check_lease_at_once(rows: Rows) -> None:
    """Of many who ask at once one gets the lease."""
    taken = await asyncio.gather(*(_lease(rows, f"p{n}", 0, 10, 10, storage=rows.handle(n)) for n in range(8)))
    must_equal(sum(lease is not None for lease in taken), 1, "of many owners at once one gets the lease")


async def check_voiding_leases(rows: Rows) -> None:
    """Voiding ends the leases of all other owners, and nobody gets their numbers."""
    other = await rows.add_conversation()
    theirs, mine = await _must_lease(rows, "a", 0, 99, 10), await _must_lease(rows, "b", 0, 99, 10, other.id)
    async with rows.writing() as work:
        await work.conversations.void_leases(except_owner="b")
    lease = await _must_lease(rows, "b", 1, 99, 10)
    must(lease.floor >= theirs.ceiling, "nobody gets the numbers of a lease that was voided")
    must(await _lease(rows, "c", 1, 99, 10, other.id) is None, "the excepted owner's leases run on")
    must((await _must_lease(rows, "b", 1, 99, 10, other.id)).floor <= mine.ceiling, "it keeps counting where it was")


async def _lease(
    rows: Rows,
    owner: str,
    now: float,
    until: float,
    headroom: int,
    conversation_id: UUID | None = None,
    storage: Storage | None = None,
) -> Lease | None:
    async with rows.writing(storage) as work:
        return await work.conversations.lease(
            conversation_id or rows.conversation.id, owner=owner, now=at(now), until=at(until), headroom=headroom
        )


async def _must_lease(
    rows: Rows, owner: str, now: float, until: float, headroom: int, conversation_id: UUID | None = None
) -> Lease:
    lease = await _lease(rows, owner, now, until, headroom, conversation_id)
    must(lease, "a lease that nobody else holds is given")
    assert lease is not None  # noqa: S101 -- said above; for the type checker
    return lease
