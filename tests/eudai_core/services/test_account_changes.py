"""Signing up, invitations, and what users and operators do with accounts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from eudai_core.app import Application
from eudai_core.errors import Conflict, EudaiError, Forbidden, InvalidCredentials, InvalidInput, NotFound
from eudai_core.ids import new_id
from eudai_core.model import Identity
from eudai_core.services.files import Upload
from eudai_core.testing import FrozenClock
from support.accounts import PASSWORD, bearer, logged_in, opened

ACCOUNT = {"username": "eve", "email": "eve@example.org", "password": PASSWORD}


@pytest.fixture
async def app(tmp_path: Path, every_database: str) -> AsyncIterator[Application]:
    async with opened(tmp_path, settings={"EUDAI_SIGNUP": "invite"}) as app:
        yield app


def account(number: int) -> dict[str, Any]:
    return {"username": f"user{number}", "email": f"user{number}@example.org", "password": PASSWORD}


async def outcomes(*calls: Any) -> list[Any]:
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_of_many_who_use_one_invitation_at_once_one_is_let_in(app: Application) -> None:
    invite, code = await app.invites.create(created_by=None)
    ends = await outcomes(*(app.accounts.sign_up(**account(number), invite=code) for number in range(24)))
    good = [end for end in ends if not isinstance(end, BaseException)]
    assert len(good) == 1
    assert all(isinstance(end, Forbidden) for end in ends if end not in good)
    users = (await app.operator.users()).items
    assert [user.id for user in users] == [good[0].id]
    (used,) = (await app.invites.list()).items
    assert (used.id, used.used_by) == (invite.id, good[0].id)


async def test_of_many_who_want_one_name_at_once_one_gets_it(app: Application) -> None:
    codes = [(await app.invites.create(created_by=None))[1] for _ in range(12)]
    names = [f"{'eE'[number % 2]}ve" for number in range(12)]
    ends = await outcomes(
        *(
            app.accounts.sign_up(username=name, email=f"{code}@example.org", password=PASSWORD, invite=code)
            for name, code in zip(names, codes, strict=True)
        )
    )
    assert sum(not isinstance(end, BaseException) for end in ends) == 1
    assert sum(isinstance(end, Conflict) for end in ends) == 11
    # Those who came too late can use their invitations for another name.
    assert sum(invite.used_at is None for invite in (await app.invites.list()).items) == 11


async def test_an_invitation_is_good_once_until_it_ends_or_is_withdrawn(tmp_path: Path, clock: FrozenClock) -> None:
    async with opened(tmp_path, clock=clock, settings={"EUDAI_SIGNUP": "invite"}) as app:
        await app.accounts.create_user(username="taken", email="taken@example.org", password=PASSWORD)
        taken = {**ACCOUNT, "username": "taken"}
        for code in (None, "", "nothing", "\ud800"):
            with pytest.raises(Forbidden):
                await app.accounts.sign_up(**ACCOUNT, invite=code)
            with pytest.raises(Forbidden):  # nobody learns without a code which names are taken
                await app.accounts.sign_up(**taken, invite=code)
        _, old = await app.invites.create(created_by=None)
        clock.advance(7 * 86_400)
        withdrawn, gone = await app.invites.create(created_by=None)
        await app.invites.delete(withdrawn.id)
        for code in (old, gone):
            with pytest.raises(Forbidden):
                await app.accounts.sign_up(**ACCOUNT, invite=code)
        _, code = await app.invites.create(created_by=None, note="Eve")
        user = await app.accounts.sign_up(**ACCOUNT, invite=code)
        assert (user.username, user.is_admin) == ("eve", False)
        with pytest.raises(Forbidden):
            await app.accounts.sign_up(**account(1), invite=code)
        with pytest.raises(NotFound):
            await app.invites.delete(withdrawn.id)
        for days in (0, -1, 366):
            with pytest.raises(InvalidInput):
                await app.invites.create(created_by=None, expires_at=clock.now() + timedelta(days=days))


@pytest.mark.parametrize(("signup", "good"), [("open", True), ("closed", False)])
async def test_where_signing_up_is_open_or_closed_invitations_make_no_difference(
    tmp_path: Path, signup: str, good: bool
) -> None:
    async with opened(tmp_path, settings={"EUDAI_SIGNUP": signup}) as app:
        _, code = await app.invites.create(created_by=None)
        if good:
            await app.accounts.sign_up(**ACCOUNT)
            await app.accounts.sign_up(**account(1), invite="whatever")
        else:
            with pytest.raises(Forbidden):
                await app.accounts.sign_up(**ACCOUNT, invite=code)


async def test_the_e_mail_changes_with_the_password_only(app: Application) -> None:
    ada, bob = await logged_in(app), await logged_in(app, "bob")
    with pytest.raises(InvalidCredentials):
        await app.accounts.change(ada.identity, current_password="wrong", email="new@example.org")
    with pytest.raises(InvalidInput):
        await app.accounts.change(ada.identity, current_password=PASSWORD, email="nothing")
    with pytest.raises(Conflict):
        await app.accounts.change(ada.identity, current_password=PASSWORD, email="BOB@example.org")
    changed = await app.accounts.change(ada.identity, current_password=PASSWORD, email="new@example.org")
    assert changed.email == "new@example.org"
    assert (await app.accounts.log_in(login="new@example.org", password=PASSWORD)).user.id == ada.user.id
    with pytest.raises(InvalidCredentials):
        await app.accounts.log_in(login="ada@example.org", password=PASSWORD)
    await app.accounts.authenticate(bearer(bob.tokens.access_token))


async def test_both_change_or_none(app: Application) -> None:
    ada = await logged_in(app)
    await logged_in(app, "bob")
    with pytest.raises(Conflict):
        await app.accounts.change(
            ada.identity, current_password=PASSWORD, email="bob@example.org", password="something else"
        )
    with pytest.raises(InvalidInput, match="72 bytes"):
        await app.accounts.change(ada.identity, current_password=PASSWORD, email="new@example.org", password="é" * 40)
    assert (await app.accounts.me(ada.identity)).email == "ada@example.org"
    await app.accounts.log_in(login="ada", password=PASSWORD)


async def test_of_two_who_change_the_password_at_once_one_wins(app: Application) -> None:
    ada = await logged_in(app)
    new = ["first new password", "second new password"]
    ends = await outcomes(
        *(app.accounts.change(ada.identity, current_password=PASSWORD, password=password) for password in new)
    )
    good = [password for password, end in zip(new, ends, strict=True) if not isinstance(end, BaseException)]
    assert len(good) == 1
    await app.accounts.log_in(login="ada", password=good[0])


async def one_part(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def test_deleting_an_account_leaves_nothing_of_it(app: Application) -> None:
    ada, bob = await logged_in(app), await logged_in(app, "bob")
    project = await app.projects.create(ada.identity, name="A project")
    kept = await app.projects.create(bob.identity, name="Another")

    async def uploads() -> AsyncIterator[Upload]:
        yield Upload("a.txt", one_part(b"Roses are red."))

    await app.content.files.upload(ada.identity, project.id, uploads())
    conversation = await app.conversations.create(ada.identity, project.id)
    _, text = await app.api_keys.create(ada.identity, name="script", scopes=["write"])
    key = await app.accounts.authenticate(bearer(text))
    with pytest.raises(InvalidCredentials):
        await app.accounts.delete(ada.identity, current_password="wrong")
    with app.accounts.watch_session(ada.identity) as ended, app.accounts.watch_session(key) as key_ended:
        await app.accounts.delete(ada.identity, current_password=PASSWORD)
        assert ended.is_set()
        assert key_ended.is_set()
    for token in (ada.tokens.access_token, text):
        with pytest.raises(InvalidCredentials):
            await app.accounts.authenticate(bearer(token))
    with pytest.raises(InvalidCredentials):
        await app.accounts.refresh(ada.tokens.refresh_token)
    async with app.storage.unit_of_work(readonly=True) as unit:
        for look in (unit.projects.get(project.id), unit.conversations.get(conversation.id)):
            with pytest.raises(NotFound):
                await look
    await app.projects.get(bob.identity, kept.id)
    again = await logged_in(app)  # the name is free again
    assert (await app.projects.list(again.identity)).items == []


async def test_a_deleted_user_s_blobs_go(app: Application, tmp_path: Path) -> None:
    ada = await logged_in(app)
    project = await app.projects.create(ada.identity, name="A project")

    async def uploads() -> AsyncIterator[Upload]:
        yield Upload("a.txt", one_part(b"Violets are blue."))

    await app.content.files.upload(ada.identity, project.id, uploads())

    def blobs() -> list[Path]:
        return [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() == b"Violets are blue."]

    assert blobs()
    await app.accounts.delete(ada.identity, current_password=PASSWORD)
    async with asyncio.timeout(30):
        while blobs():  # noqa: ASYNC110 -- a job of the background does it
            await asyncio.sleep(0.02)


async def test_the_operator_resets_a_password(app: Application) -> None:
    ada = await logged_in(app)
    with app.accounts.watch_session(ada.identity) as ended:
        user, password = await app.operator.reset_password((await app.operator.find("ADA@example.org")).id)
        assert ended.is_set()
    assert (user.id, len(password)) == (ada.user.id, 20)
    with pytest.raises(InvalidCredentials):
        await app.accounts.refresh(ada.tokens.refresh_token)
    with pytest.raises(InvalidCredentials):
        await app.accounts.log_in(login="ada", password=PASSWORD)
    await app.accounts.log_in(login="ada", password=password)
    for missing in ("nobody", "\0", ""):
        with pytest.raises(NotFound):
            await app.operator.find(missing)


async def test_changes_at_once_undo_nothing_of_each_other(app: Application) -> None:
    ada = await logged_in(app)
    await asyncio.gather(
        app.operator.change(ada.user.id, disabled=True),
        app.operator.change(ada.user.id, is_admin=True),
        *outcomes_ignored(app.accounts.change(ada.identity, current_password=PASSWORD, email="new@example.org")),
    )
    user = await app.operator.find("ada")
    assert (user.disabled, user.is_admin) == (True, True)


def outcomes_ignored(*calls: Any) -> list[Any]:
    return [outcomes(*calls)]


async def administrative(app: Application, identity: Identity) -> list[Any]:
    somebody = new_id()
    admin = app.administration
    return await outcomes(
        admin.users(identity),
        admin.change_user(identity, somebody, disabled=True),
        admin.reset_password(identity, somebody),
        admin.invite(identity),
        admin.invites(identity),
        admin.withdraw_invite(identity, somebody),
        admin.plugins(identity),
        admin.models(identity),
    )


async def test_administration_is_for_administrators(app: Application) -> None:
    ada, root = await logged_in(app), await logged_in(app, "root", is_admin=True)
    assert {type(end) for end in await administrative(app, ada.identity)} == {Forbidden}
    ends = await administrative(app, root.identity)
    assert {type(end) for end in ends if isinstance(end, EudaiError)} == {NotFound}
    for scopes in (["read", "chat", "write"], ["admin"]):
        _, text = await app.api_keys.create(root.identity, name="script", scopes=scopes)
        key = await app.accounts.authenticate(bearer(text))
        ends = await administrative(app, key)
        denied = [isinstance(end, Forbidden) for end in ends]
        # Even a key for administration logs in as nobody: it resets no password.
        assert denied == ([True] * 8 if scopes != ["admin"] else [False, False, True, *[False] * 5])
        assert key.is_admin is (scopes == ["admin"])


async def test_administrators_see_nobody_s_content_and_lock_themselves_out_of_nothing(app: Application) -> None:
    ada, root = await logged_in(app), await logged_in(app, "root", is_admin=True)
    project = await app.projects.create(ada.identity, name="A project")
    conversation = await app.conversations.create(ada.identity, project.id)
    with pytest.raises(NotFound):
        await app.projects.get(root.identity, project.id)
    with pytest.raises(NotFound):
        await app.conversations.get(root.identity, conversation.id)
    for change in ({"disabled": True}, {"is_admin": False}):
        with pytest.raises(Conflict):
            await app.administration.change_user(root.identity, root.user.id, **change)
    assert (await app.administration.change_user(root.identity, ada.user.id, is_admin=True)).is_admin


async def test_old_sessions_and_failures_are_forgotten(tmp_path: Path, clock: FrozenClock) -> None:
    async with opened(tmp_path, clock=clock) as app:
        ada = await logged_in(app)
        with pytest.raises(InvalidCredentials):
            await app.accounts.log_in(login="nobody", password="wrong")
        await app.accounts.log_out(ada.identity)
        other = await logged_in(app, again=True)
        clock.advance(6 * 86_400)
        assert await app.accounts._upkeep.tidy() <= 1
        clock.advance(2 * 86_400)
        await app.accounts._upkeep.tidy()
        async with app.storage.unit_of_work(readonly=True) as unit:
            with pytest.raises(NotFound):
                await unit.sessions.get(ada.tokens.session.id)
            await unit.sessions.get(other.tokens.session.id)
