"""What goes with a user, and what stays."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from eudai_core.contracts import UnitOfWork
from eudai_core.errors import NotFound
from eudai_core.ids import new_id
from eudai_core.model import ApiKey, Conversation, Invite, Project, Session, StoredAnswer, User
from eudai_core.testing._storage.keeping import must, must_equal, refuses
from eudai_core.testing._storage.rows import NOW, Rows, at

__all__ = [
    "check_deleting_a_user",
    "check_invites_of_deleted_users",
    "check_left_with_others",
    "check_user_blobs",
    "check_user_deleted_while_added_to",
]

Call = Callable[[UnitOfWork], Awaitable[object]]


async def check_deleting_a_user(rows: Rows) -> None:
    """A deleted user takes everything of theirs along, and nothing of others."""
    bob = await rows.add_user("bob")
    kept = [await _belongings(rows, user) for user in (rows.user, bob)][1]
    gone = [await _belongings(rows, rows.user), [lambda work: work.conversations.get(rows.conversation.id)]]
    async with rows.writing() as work:
        await work.users.delete(rows.user.id)
    lost: list[Call] = [
        lambda work: work.users.get(rows.user.id),
        lambda work: work.projects.get(rows.project.id),
        lambda work: work.users.delete(rows.user.id),
    ]
    for call in (*gone[0], *gone[1], *lost):
        await rows.refused(NotFound, call, "a deleted user takes everything of theirs along")
    async with rows.writing() as work:
        must(await work.users.by_login("ada") is None, "nobody logs in as a deleted user")
        must_equal((await work.users.list(cursor=None, limit=9)).items, [bob], "a deleted user is listed no more")
        must_equal(await work.api_keys.list(rows.user.id), [], "a deleted user's keys are gone")
        for call in kept:
            await call(work)
        taken = await work.answers.begin(bob.id, "key", StoredAnswer("0", at(1)), stale_before=NOW)
        must(taken is not None, "the answers to others are kept")
        await work.users.add(rows.user, "hash")
        must_equal(await work.projects.ids(rows.user.id), [], "whoever comes by the same id later finds nothing")
        free = await work.answers.begin(rows.user.id, "key", StoredAnswer("0", at(1)), stale_before=NOW)
        must(free is None, "whoever comes by the same id later finds no answers")


async def check_user_blobs(rows: Rows) -> None:
    """Deleting a user returns the blob keys that nothing names any more."""
    theirs = await rows.add_project(await rows.add_user("bob"))
    mine = await rows.add_project()
    only = await rows.add_file("a.txt", b"only here")
    await rows.add_file("b.txt", b"only here", project=mine)
    for project in (rows.project, theirs):
        shared = await rows.add_file("c.txt", b"shared", project=project)
    released: list[Sequence[str]] = []
    for user_id in (rows.user.id, theirs.owner_id):
        async with rows.writing() as work:
            released.append(await work.users.delete(user_id))
    must_equal(released[0], [only.current.blob_key], "delete() returns each blob key that nothing names, once")
    must_equal(released[1], [shared.current.blob_key], "a blob key is returned by who deletes its last name")


async def check_invites_of_deleted_users(rows: Rows) -> None:
    """Invitations outlive who made and who used them, and stay used."""
    guest = await rows.add_user("guest")
    used = Invite(new_id(), rows.user.id, NOW, at(60), "used", guest.id, at(1))
    fresh = Invite(new_id(), rows.user.id, at(-1), at(60), "fresh")
    async with rows.writing() as work:
        await work.invites.add(used, "a" * 64)
        await work.invites.add(fresh, "b" * 64)
    for user, expected in (
        (guest, [replace(used, used_by=None), fresh]),
        (rows.user, [replace(used, used_by=None, created_by=None), replace(fresh, created_by=None)]),
    ):
        async with rows.writing() as work:
            await work.users.delete(user.id)
        async with rows.reading() as work:
            found = (await work.invites.list(cursor=None, limit=9)).items
            must_equal(found, expected, "an invitation outlives who made it and who used it")
    other = await rows.add_user("other")
    async with rows.writing() as work:
        again = await work.invites.spend("a" * 64, user_id=other.id, at=at(2))
        must_equal(again, False, "an invitation whose user is gone was used all the same")


async def check_left_with_others(rows: Rows) -> None:
    """What a deleted user put into projects of others stays, and is theirs."""
    bob = await rows.add_user("bob")
    file, url = replace(rows.file(), uploaded_by=bob.id), replace(rows.url(), added_by=bob.id)
    run = rows.run(user=bob)
    async with rows.writing() as work:
        await work.documents.add_file(file)
        await work.urls.add(url)
        await work.runs.add(run, None)
        must_equal(await work.users.delete(bob.id), [], "what stays releases nothing")
    async with rows.reading() as work:
        found = [await work.documents.get_file(file.id), await work.urls.get(url.id), await work.runs.get(run.id)]
        mine = rows.user.id
        expected = [replace(file, uploaded_by=mine), replace(url, added_by=mine), replace(run, user_id=mine)]
        must_equal(found, expected, "what somebody put into a project of another's stays, as its owner's")


async def check_user_deleted_while_added_to(rows: Rows) -> None:
    """What is added to a user at the moment of their deletion is refused, or goes along; no blob is lost."""
    begun = asyncio.Event()
    added: list[Call] = []
    blobs: list[str] = []
    released: list[str] = []

    async def add_much(number: int) -> None:
        for _ in range(50):
            for key, write, read in _additions(rows):
                async with rows.writing(rows.handle(number)) as work:
                    await write(work)
                added.append(read)
                blobs.extend([key] if key else [])
            begun.set()

    async def add_until_refused(number: int) -> None:
        with refuses(NotFound, "what is added to a user who is not there is NotFound"):
            await add_much(number)

    async def delete() -> None:
        await begun.wait()
        async with rows.writing() as work:
            released.extend(await work.users.delete(rows.user.id))

    await asyncio.gather(*map(add_until_refused, range(4)), delete())
    must_equal(sorted(released), sorted(blobs), "the blob of every file that was added is returned")
    for call in added:
        await rows.refused(NotFound, call, "what is added while its user is deleted is refused, or goes along")
    async with rows.reading() as work:
        must_equal(await work.projects.ids(rows.user.id), [], "no project of a deleted user is left")
        must_equal(await work.runs.queued(), 0, "no run of a deleted user waits")


def _additions(rows: Rows) -> Sequence[tuple[str | None, Call, Call]]:
    """Return calls that add one thing after the other to a user, each with the blob it names and a call to read it."""
    project = Project(new_id(), rows.user.id, "New", "", NOW, NOW)
    file = rows.file("a", project.id.bytes, project=project)
    talk = Conversation(new_id(), project.id, rows.user.id, "New", NOW, NOW)
    url, run, session = rows.url(project=project), rows.run(talk), Session(new_id(), rows.user.id, NOW, at(60))
    return (
        (None, lambda work: work.projects.add(project), lambda work: work.projects.get(project.id)),
        (
            file.current.blob_key,
            lambda work: work.documents.add_file(file),
            lambda work: work.documents.get_file(file.id),
        ),
        (None, lambda work: work.urls.add(url), lambda work: work.urls.get(url.id)),
        (None, lambda work: work.conversations.add(talk), lambda work: work.conversations.get(talk.id)),
        (None, lambda work: work.runs.add(run, None), lambda work: work.runs.get(run.id)),
        (None, lambda work: work.sessions.add(session), lambda work: work.sessions.get(session.id)),
    )


async def _belongings(rows: Rows, user: User) -> list[Call]:
    """Store some of everything that a user may have, and return calls that read it."""
    project = await rows.add_project(user)
    file = await rows.add_file(f"{user.username}.txt", user.username.encode(), project=project)
    talk = await rows.add_conversation(project)
    message = await rows.add_message(conversation=talk)
    run = rows.run(talk, user=user)
    session = Session(new_id(), user.id, NOW, at(60))
    key = ApiKey(new_id(), user.id, "key", frozenset(), NOW)
    async with rows.writing() as work:
        await work.runs.add(run, None)
        await work.sessions.add(session)
        await work.api_keys.add(key, "a" * 64)
        await work.answers.begin(user.id, "key", StoredAnswer("0", NOW), stale_before=NOW)
        await work.documents.finish_version(
            file.current.id, status=file.current.status, text=f"text of {user.username}", tokens=1
        )
    return [
        lambda work: work.projects.get(project.id),
        lambda work: work.documents.get_file(file.id),
        lambda work: work.documents.text_of(file.current.id),
        lambda work: work.conversations.get(talk.id),
        lambda work: work.messages.get(message.id),
        lambda work: work.runs.get(run.id),
        lambda work: work.sessions.with_user(session.id),
        lambda work: work.api_keys.get(key.id),
    ]
