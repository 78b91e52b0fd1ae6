"""Users, sessions, refresh tokens."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from eudai_core.contracts import UnitOfWork
from eudai_core.errors import Conflict, NotFound
from eudai_core.ids import new_id
from eudai_core.model import Page, RefreshUse, Session, User
from eudai_core.testing._storage.keeping import must, must_equal
from eudai_core.testing._storage.paging import must_page, must_refuse_cursors
from eudai_core.testing._storage.rows import NOW, Rows, at

__all__ = [
    "check_address_before_name",
    "check_ending_all_sessions",
    "check_forgetting_sessions",
    "check_holding_a_user",
    "check_password_hash",
    "check_refresh_token_expires",
    "check_refresh_token_spent_once",
    "check_session_with_user",
    "check_sessions",
    "check_unique_users",
    "check_updating_users",
    "check_user_pages",
    "check_users",
]

_TOKEN = "a" * 64


async def check_users(rows: Rows) -> None:
    """Users are found by id, and by name or address without case."""
    whole = replace(rows.user, id=new_id(), username="Bob", email="Bob@Example.org", is_admin=True, disabled=True)
    async with rows.writing() as work:
        await work.users.add(whole, "other hash")
    async with rows.reading() as work:
        must_equal(await work.users.get(whole.id), whole, "a user comes back whole")
        must_equal(await work.users.get(rows.user.id), rows.user, "a user comes back whole")
        for login in ("Bob", "bob", "BOB", "bob@example.ORG", "Ｂｏｂ"):
            found = await work.users.by_login(login)
            must_equal(found, (whole, "other hash"), "a user is found by name or address without case, in any form")
        for login in ("bo", "bob%", "b_b", ""):
            must(await work.users.by_login(login) is None, "a login that nobody has is None")
    await rows.refused(NotFound, lambda work: work.users.get(new_id()), "a user who is not there is NotFound")


async def check_unique_users(rows: Rows) -> None:
    """Names and addresses are unique without case."""
    free = replace(rows.user, id=new_id(), username="other", email="other@example.org")
    for taken in (
        replace(free, username="ADA"),
        replace(free, email="ADA@example.ORG"),
        replace(free, username="Ａｄａ"),
        replace(free, id=rows.user.id),
    ):
        await rows.refused(
            Conflict,
            lambda work, user=taken: work.users.add(user, "hash"),  # type: ignore[misc]  # a default, no parameter
            "a name or address that is taken, compared without case, is a Conflict",
        )

    async def sign_up(number: int) -> bool:
        try:
            async with rows.writing(rows.handle(number)) as work:
                await work.users.add(replace(free, id=new_id()), "hash")
        except Conflict:
            return False
        return True

    must_equal(sum(await asyncio.gather(*(sign_up(number) for number in range(6)))), 1, "of many at once one is added")


async def check_address_before_name(rows: Rows) -> None:
    """Nobody takes over a login by a name that looks like somebody's address."""
    impostor = replace(rows.user, id=new_id(), username="ada@example.org", email="mallory@example.org")
    async with rows.writing() as work:
        await work.users.add(impostor, "other hash")
        found = await work.users.by_login("ada@example.org")
        must_equal(found, (rows.user, "hash"), "an address goes before a name that looks like it")


async def check_user_pages(rows: Rows) -> None:
    """All accounts are listed newest first, in pages without loss or repeats."""
    people = [replace(rows.user, id=new_id(), username=f"u{n}", email=f"u{n}", created_at=at(n % 3)) for n in range(5)]
    async with rows.writing() as work:
        for user in people:
            await work.users.add(user, "hash")

    async def listed(work: UnitOfWork, cursor: str | None, limit: int) -> Page[User]:
        return await work.users.list(cursor=cursor, limit=limit)

    async with rows.reading() as work:
        whole = (await listed(work, None, 99)).items
    times = sorted((user.created_at for user in [rows.user, *people]), reverse=True)
    must_equal([user.created_at for user in whole], times, "accounts are listed newest first")
    must_equal({user.id: user for user in whole}, {user.id: user for user in [rows.user, *people]}, "all come whole")
    await must_page(rows, listed, [user.id for user in whole])
    await must_refuse_cursors(rows, listed)


async def check_updating_users(rows: Rows) -> None:
    """An update stores address and rights, and nothing else; an address belongs to one."""
    bob = await rows.add_user("bob")
    changed = replace(rows.user, username="other", email="New@Example.org", created_at=at(9), is_admin=True)
    changed = replace(changed, disabled=True)
    stored = replace(changed, username=rows.user.username, created_at=rows.user.created_at)
    async with rows.writing() as work:
        await work.users.update(changed)
    async with rows.reading() as work:
        must_equal(await work.users.get(rows.user.id), stored, "update() stores e-mail, is_admin and disabled")
        must_equal(await work.users.by_login("new@example.org"), (stored, "hash"), "a new address is found")
        must(await work.users.by_login(rows.user.email) is None, "an address that was given up is nobody's")
        must_equal(await work.users.get(bob.id), bob, "update() changes one user")
    async with rows.writing() as work:
        await work.users.update(replace(stored, email="NEW@example.org"))
    await rows.refused(
        Conflict,
        lambda work: work.users.update(replace(bob, email="nEW@EXAMPLE.org")),
        "an address that is another's, compared without case, is a Conflict",
    )
    await rows.refused(
        NotFound, lambda work: work.users.update(replace(bob, id=new_id())), "a user who is not there is NotFound"
    )


async def check_holding_a_user(rows: Rows) -> None:
    """Whoever holds a user may change them by what they are, and loses no change of others."""

    async def add_to_hash(number: int) -> None:
        async with rows.writing(rows.handle(number)) as work:
            user, password_hash = await work.users.hold(rows.user.id)
            must_equal(user, rows.user, "a user is held as they are")
            await work.users.set_password_hash(user.id, f"{password_hash}+")

    await asyncio.gather(*map(add_to_hash, range(6)))
    async with rows.reading() as work:
        must_equal(await work.users.by_login("ada"), (rows.user, "hash++++++"), "nobody changes a user who is held")
    await rows.refused(NotFound, lambda work: work.users.hold(new_id()), "a user who is not there is NotFound")


async def check_password_hash(rows: Rows) -> None:
    """The password hash is replaced."""
    async with rows.writing() as work:
        await work.users.set_password_hash(rows.user.id, "new")
    async with rows.reading() as work:
        must_equal(await work.users.by_login("ada"), (rows.user, "new"), "the password hash is replaced")
    await rows.refused(
        NotFound, lambda work: work.users.set_password_hash(new_id(), "x"), "a user who is not there is NotFound"
    )


async def check_sessions(rows: Rows) -> None:
    """A session ends once."""
    session = Session(new_id(), rows.user.id, NOW, at(60))
    async with rows.writing() as work:
        await work.sessions.add(session)
        must_equal(await work.sessions.get(session.id), session, "a session comes back whole")
        await work.sessions.revoke(session.id, at(1))
    async with rows.writing() as work:
        await work.sessions.revoke(session.id, at(2))
    async with rows.reading() as work:
        found = await work.sessions.get(session.id)
        must_equal(found, replace(session, revoked_at=at(1)), "a session that has ended stays as it is")
    await rows.refused(NotFound, lambda work: work.sessions.get(new_id()), "a session that is not there is NotFound")
    await rows.refused(
        NotFound, lambda work: work.sessions.revoke(new_id(), NOW), "revoking a session that is not there is NotFound"
    )
    await rows.refused(
        NotFound,
        lambda work: work.sessions.add(replace(session, id=new_id(), user_id=new_id())),
        "a session of nobody is NotFound",
    )
    await rows.refused(
        NotFound,
        lambda work: work.sessions.add_refresh_token(_TOKEN, new_id(), at(9)),
        "a refresh token of no session is NotFound",
    )


async def check_session_with_user(rows: Rows) -> None:
    """A session and its user are returned together, as they are now."""
    session = Session(new_id(), rows.user.id, NOW, at(60))
    async with rows.writing() as work:
        await work.sessions.add(session)
        must_equal(await work.sessions.with_user(session.id), (session, rows.user), "a session comes with its user")
        await work.sessions.revoke(session.id, at(1))
        await work.users.update(replace(rows.user, disabled=True))
    async with rows.reading(snapshot=False) as work:
        found = await work.sessions.with_user(session.id)
        now = (replace(session, revoked_at=at(1)), replace(rows.user, disabled=True))
        must_equal(found, now, "a session comes, revoked or not, with its user as they are now")
    await rows.refused(
        NotFound, lambda work: work.sessions.with_user(new_id()), "a session that is not there is NotFound"
    )


async def check_ending_all_sessions(rows: Rows) -> None:
    """All sessions of a user end but one; those of others go on."""
    mine = [Session(new_id(), rows.user.id, NOW, at(60)) for _ in range(4)]
    other = Session(new_id(), (await rows.add_user("bob")).id, NOW, at(60))
    async with rows.writing() as work:
        for session in (*mine, other):
            await work.sessions.add(session)
        await work.sessions.revoke(mine[3].id, at(1))
        ended = await work.sessions.revoke_all(rows.user.id, at(2), but=mine[0].id)
        must_equal(sorted(ended), sorted(one.id for one in mine[1:3]), "the ids of those that this ended are returned")
    async with rows.reading() as work:
        times = [(await work.sessions.get(one.id)).revoked_at for one in (*mine, other)]
        must_equal(times, [None, at(2), at(2), at(1), None], "all sessions of the user end but one")
    async with rows.writing() as work:
        must_equal(await work.sessions.revoke_all(rows.user.id, at(3)), [mine[0].id], "without `but` all end")
        must_equal(await work.sessions.revoke_all(rows.user.id, at(4)), [], "what has ended is not ended again")
        must_equal(await work.sessions.revoke_all(new_id(), at(4)), [], "nobody has no sessions")


async def check_forgetting_sessions(rows: Rows) -> None:
    """Sessions that ended long ago are removed with their tokens, some at a time; others stay."""
    expired = [Session(new_id(), rows.user.id, NOW, at(n)) for n in range(3)]
    revoked = Session(new_id(), rows.user.id, NOW, at(60), revoked_at=at(4))
    alive = [Session(new_id(), rows.user.id, NOW, at(5)), Session(new_id(), rows.user.id, NOW, at(9), revoked_at=at(5))]
    async with rows.writing() as work:
        for session in (*expired, revoked, *alive):
            await work.sessions.add(session)
        await work.sessions.add_refresh_token(_TOKEN, revoked.id, at(60))
    counts = []
    for _ in range(3):
        async with rows.writing() as work:
            counts.append(await work.sessions.forget(expired_before=at(5), limit=3))
    must_equal(counts, [3, 1, 0], "as many are removed as there are, at most `limit` at a time, and counted")
    for session in (*expired, revoked):
        await rows.refused(
            NotFound,
            lambda work, key=session.id: work.sessions.get(key),  # type: ignore[misc]  # a default, no parameter
            "what expired or was revoked before is removed",
        )
    async with rows.writing() as work:
        must_equal([await work.sessions.get(one.id) for one in alive], alive, "sessions that ended later stay")
        must(await work.sessions.spend_refresh_token(_TOKEN, at(1)) is None, "a session's tokens go with it")


async def check_refresh_token_spent_once(rows: Rows) -> None:
    """A refresh token is spent by one caller, however many come at once."""
    session = await _session_with_token(rows)
    async with rows.storage.unit_of_work() as work:
        await work.sessions.spend_refresh_token(_TOKEN, at(1))

    async def spend(number: int) -> RefreshUse | None:
        async with rows.writing(rows.handle(number)) as work:
            return await work.sessions.spend_refresh_token(_TOKEN, at(5))

    uses = await asyncio.gather(*(spend(number) for number in range(8)))
    must(all(use and use.session_id == session.id for use in uses), "a refresh token tells its session")
    must_equal(sum(not use.reused for use in uses if use), 1, "a refresh token is spent by one caller, others reuse it")


async def check_refresh_token_expires(rows: Rows) -> None:
    """A token that is unknown or expired is None."""
    session = await _session_with_token(rows)
    async with rows.writing() as work:
        must(await work.sessions.spend_refresh_token("b" * 64, at(1)) is None, "an unknown refresh token is None")
        must(await work.sessions.spend_refresh_token(_TOKEN, at(10)) is None, "an expired refresh token is None")
        use = await work.sessions.spend_refresh_token(_TOKEN, at(9))
        must_equal(use, RefreshUse(session.id, reused=False), "a token is good until it expires")


async def _session_with_token(rows: Rows) -> Session:
    session = Session(new_id(), rows.user.id, NOW, at(60))
    async with rows.writing() as work:
        await work.sessions.add(session)
        await work.sessions.add_refresh_token(_TOKEN, session.id, at(10))
    return session
