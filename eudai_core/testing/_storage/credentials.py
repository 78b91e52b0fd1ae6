"""API keys, invitations, and the names of signing keys."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from eudai_core.contracts import UnitOfWork
from eudai_core.errors import Conflict, NotFound
from eudai_core.ids import new_id
from eudai_core.model import ApiKey, Invite, Page, SigningKeyRecord
from eudai_core.testing._storage.keeping import must, must_equal
from eudai_core.testing._storage.paging import must_page, must_refuse_cursors
from eudai_core.testing._storage.rows import NOW, Rows, at
from eudai_core.testing._storage.values import AWKWARD

__all__ = [
    "check_api_key_use",
    "check_api_keys",
    "check_invite_pages",
    "check_invite_spent_once",
    "check_invites",
    "check_signing_keys",
]

_CODE = "c" * 64


async def check_api_keys(rows: Rows) -> None:
    """A key comes back whole, alone, in a list, and with its hash and its user as they are now."""
    bob = await rows.add_user("bob")
    whole = ApiKey(new_id(), rows.user.id, "".join(AWKWARD), frozenset({"read", "chat"}), NOW, at(60), at(3))
    bare, other = (
        ApiKey(new_id(), rows.user.id, "", frozenset(), at(1)),
        ApiKey(new_id(), bob.id, "x", frozenset(), NOW),
    )
    async with rows.writing() as work:
        for key, sha256 in ((whole, "a" * 64), (bare, "b" * 64), (other, "c" * 64)):
            await work.api_keys.add(key, sha256)
        await work.users.update(replace(rows.user, disabled=True))
    async with rows.reading(snapshot=False) as work:
        must_equal(await work.api_keys.get(whole.id), whole, "a key comes back whole")
        found = await work.api_keys.find(whole.id)
        must_equal(found, (whole, "a" * 64, replace(rows.user, disabled=True)), "find() tells hash and user as of now")
        must_equal(await work.api_keys.list(rows.user.id), [bare, whole], "a user's keys are listed newest first")
        must_equal(await work.api_keys.list(new_id()), [], "nobody has no keys")
    async with rows.writing() as work:
        await work.api_keys.delete(whole.id)
    async with rows.reading() as work:
        must(await work.api_keys.find(whole.id) is None, "a key that was revoked is not found")
        must_equal(await work.api_keys.list(rows.user.id), [bare], "a key that was revoked is listed no more")
        must_equal(await work.api_keys.list(bob.id), [other], "the keys of others stay")
    for call in (
        lambda work: work.api_keys.get(whole.id),
        lambda work: work.api_keys.delete(whole.id),
        lambda work: work.api_keys.add(replace(bare, id=new_id(), user_id=new_id()), "d" * 64),
    ):
        await rows.refused(NotFound, call, "a key that is not there, or of nobody, is NotFound")


async def check_api_key_use(rows: Rows) -> None:
    """The last use of a key is noted, in whatever order the uses are."""
    key, other = (ApiKey(new_id(), rows.user.id, name, frozenset(), NOW) for name in "ab")
    async with rows.writing() as work:
        for one in (key, other):
            await work.api_keys.add(one, "a" * 64)
        for seconds in (2, 5, 3):
            await work.api_keys.used(key.id, at(seconds))
        await work.api_keys.used(new_id(), at(9))
    async with rows.reading() as work:
        must_equal(await work.api_keys.get(key.id), replace(key, last_used_at=at(5)), "the last use of a key is noted")
        must_equal(await work.api_keys.get(other.id), other, "other keys were not used")


async def check_invites(rows: Rows) -> None:
    """An invitation comes back whole, and is good for one user until it expires."""
    guest = await rows.add_user("guest")
    whole = Invite(new_id(), rows.user.id, NOW, at(10), "".join(AWKWARD), guest.id, at(1))
    fresh = Invite(new_id(), None, at(1), at(10))
    async with rows.writing() as work:
        await work.invites.add(whole, "a" * 64)
        await work.invites.add(fresh, _CODE)
        found = (await work.invites.list(cursor=None, limit=9)).items
        must_equal(found, [fresh, whole], "an invitation comes back whole")
        for code, seconds, sentence in (
            ("b" * 64, 5, "an unknown invitation cannot be used"),
            ("a" * 64, 5, "a used invitation cannot be used again"),
            (_CODE, 10, "an invitation that expired cannot be used"),
        ):
            must_equal(await work.invites.spend(code, user_id=guest.id, at=at(seconds)), False, sentence)
            must_equal(await work.invites.usable(code, at=at(seconds)), False, f"not usable: {sentence}")
        must_equal(await work.invites.usable(_CODE, at=at(9)), True, "a good code is usable until it is spent")
        used = await work.invites.spend(_CODE, user_id=guest.id, at=at(9))
        must_equal(used, True, "an invitation is good until it expires")
    async with rows.writing() as work:
        expected = [replace(fresh, used_by=guest.id, used_at=at(9)), whole]
        must_equal((await work.invites.list(cursor=None, limit=9)).items, expected, "who used it, and when, is kept")
        await work.invites.delete(whole.id)
        must_equal((await work.invites.list(cursor=None, limit=9)).items, expected[:1], "it is listed no more")
    same_code = replace(fresh, id=new_id())
    await rows.refused(Conflict, lambda work: work.invites.add(same_code, _CODE), "a code belongs to one invitation")
    for call in (
        lambda work: work.invites.delete(whole.id),
        lambda work: work.invites.add(replace(fresh, id=new_id(), created_by=new_id()), "d" * 64),
    ):
        await rows.refused(NotFound, call, "an invitation that is not there, or of nobody, is NotFound")


async def check_invite_pages(rows: Rows) -> None:
    """Invitations are listed newest first, in pages without loss or repeats."""
    invites = [Invite(new_id(), rows.user.id, at(n % 3), at(60)) for n in range(5)]
    async with rows.writing() as work:
        for number, invite in enumerate(invites):
            await work.invites.add(invite, str(number) * 64)

    async def listed(work: UnitOfWork, cursor: str | None, limit: int) -> Page[Invite]:
        return await work.invites.list(cursor=cursor, limit=limit)

    async with rows.reading() as work:
        whole = (await listed(work, None, 99)).items
    times = sorted((invite.created_at for invite in invites), reverse=True)
    must_equal([invite.created_at for invite in whole], times, "invitations are listed newest first")
    must_equal({invite.id for invite in whole}, {invite.id for invite in invites}, "all are listed")
    await must_page(rows, listed, [invite.id for invite in whole])
    await must_refuse_cursors(rows, listed)


async def check_invite_spent_once(rows: Rows) -> None:
    """An invitation is used by one caller, however many come at once."""
    guests = [await rows.add_user(f"guest{number}") for number in range(6)]
    async with rows.writing() as work:
        await work.invites.add(Invite(new_id(), rows.user.id, NOW, at(10)), _CODE)

    async def spend(number: int) -> bool:
        async with rows.writing(rows.handle(number)) as work:
            return await work.invites.spend(_CODE, user_id=guests[number].id, at=at(1))

    async with rows.storage.unit_of_work() as work:
        await work.invites.spend(_CODE, user_id=rows.user.id, at=at(1))
    won = await asyncio.gather(*map(spend, range(len(guests))))
    must_equal(sum(won), 1, "an invitation is used by one caller; one whose unit was undone used nothing")
    async with rows.reading() as work:
        (invite,) = (await work.invites.list(cursor=None, limit=9)).items
        must_equal(invite.used_by, guests[won.index(True)].id, "an invitation is used by the caller who was told so")


async def check_signing_keys(rows: Rows) -> None:
    """Signing keys are listed newest first, retire once, and are forgotten after that."""
    old, new = SigningKeyRecord("z", NOW), SigningKeyRecord("a", at(1), at(99))
    async with rows.writing() as work:
        must_equal(await work.signing_keys.list(), [], "at first there are no keys")
        for key in (new, old):
            await work.signing_keys.add(key)
        must_equal(await work.signing_keys.list(), [new, old], "keys are listed newest first")
        for seconds in (5, 9):
            await work.signing_keys.retire("z", at(seconds))
        retired = replace(old, retires_at=at(5))
        must_equal(await work.signing_keys.list(), [new, retired], "a key retires at a time, and no later")
        must_equal(await work.signing_keys.forget(retired_before=at(5)), 0, "a key that just retired is kept")
        must_equal(await work.signing_keys.forget(retired_before=at(6)), 1, "keys that retired before are counted")
        must_equal(await work.signing_keys.list(), [new], "keys that retired before are forgotten, and no others")
        await work.signing_keys.add(old)
        must_equal(await work.signing_keys.forget(retired_before=at(9**6)), 1, "a key that never retires is kept")
        must_equal(await work.signing_keys.list(), [old], "a key that never retires is kept")
    await rows.refused(Conflict, lambda work: work.signing_keys.add(old), "a name that is taken is a Conflict")
    await rows.refused(NotFound, lambda work: work.signing_keys.retire("b", NOW), "a key that is not there is NotFound")
