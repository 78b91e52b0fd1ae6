"""Who is still who: what stands behind an identity as it is now, remembered for a few seconds, and when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from eudai_core.contracts import Clock, Storage, UnitOfWork
from eudai_core.errors import EudaiError, InvalidCredentials, NotFound, Unauthorized
from eudai_core.model import Identity, Scope, User
from eudai_core.services.account_changes import AccountChange, Ends

__all__ = ["LiveIdentities"]

REMEMBERED_S: Final = 5.0
MOST: Final = 50_000


@dataclass(frozen=True, slots=True)
class _Known:
    """What storage said, and until when that is believed (monotonic seconds)."""

    identity: Identity
    until: float


@dataclass(eq=False, slots=True)
class _Watch:
    """Somebody who wants to know when an identity ends."""

    identity: Identity
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class LiveIdentities:
    """Makes identities fresh on every request without asking storage each time.

    An authenticator says who somebody is; whether the session, the key and the user are still good, and whether the
    user is an administrator, is what storage says now. That is remembered for five seconds, and forgotten at once when
    this process makes a change or hears of one.
    """

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._known: dict[UUID, _Known] = {}
        self._changes = 0
        self._watches: dict[UUID, set[_Watch]] = {}

    async def fresh(self, claimed: Identity) -> Identity:
        """Return an identity as storage has it now; a key is an administrator's only with the scope for it.

        Raises:
            InvalidCredentials: its session or key has ended, or its user is disabled or gone.
        """
        known = self._known.get(_subject(claimed))
        if known is None or known.until <= self._clock.monotonic():
            known = await self._look_up(claimed)
        identity = known.identity
        if identity.user_id != claimed.user_id:
            raise InvalidCredentials("These credentials belong to somebody else. Log in again.")
        scopes = _narrower(identity.scopes, claimed.scopes)
        if scopes is None:
            return identity
        return replace(identity, scopes=scopes, is_admin=identity.is_admin and Scope.ADMIN in scopes)

    def apply(self, change: AccountChange) -> None:
        """Forget what changed, and wake those who watch what ended."""
        self._changes += 1
        if change.subject is not None:
            self._known.pop(change.subject, None)
        else:
            for subject, known in list(self._known.items()):
                if known.identity.user_id == change.user_id:
                    del self._known[subject]
        for watch in list(self._watches.get(change.user_id, ())):
            if change.covers(watch.identity):
                watch.ended.set()

    async def doubt(self) -> None:
        """Forget everything, and look again at all that is watched: changes may have been missed."""
        self._changes += 1
        self._known.clear()
        for watch in [watch for watches in self._watches.values() for watch in watches]:
            try:
                await self.fresh(watch.identity)
            except Unauthorized:
                watch.ended.set()
            except EudaiError:
                return  # storage is away: whoever lives long looks again by itself

    @contextmanager
    def watch(self, identity: Identity) -> Iterator[asyncio.Event]:
        """Give an event that is set when the identity ends."""
        watch = _Watch(identity)
        self._watches.setdefault(identity.user_id, set()).add(watch)
        try:
            yield watch.ended
        finally:
            watches = self._watches[identity.user_id]
            watches.discard(watch)
            if not watches:
                del self._watches[identity.user_id]

    async def _look_up(self, claimed: Identity) -> _Known:
        changes = self._changes
        try:
            async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
                identity, expires_at = await _found(unit, claimed, self._clock.now())
        except (NotFound, InvalidCredentials) as error:
            self.apply(_ending(claimed))
            raise InvalidCredentials("This log-in has ended. Log in again.") from error
        left = REMEMBERED_S
        if expires_at is not None:
            left = min(left, (expires_at - self._clock.now()).total_seconds())
        known = _Known(identity, self._clock.monotonic() + left)
        if changes == self._changes:  # else something changed meanwhile, perhaps this: remember nothing
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[_subject(claimed)] = known
        return known


def _subject(identity: Identity) -> UUID:
    return identity.session_id or identity.key_id or identity.user_id


def _ending(claimed: Identity) -> AccountChange:
    if claimed.session_id is not None:
        return AccountChange(claimed.user_id, Ends.SESSION, claimed.session_id)
    if claimed.key_id is not None:
        return AccountChange(claimed.user_id, Ends.KEY, claimed.key_id)
    return AccountChange(claimed.user_id, Ends.EVERYTHING)


async def _found(unit: UnitOfWork, claimed: Identity, now: datetime) -> tuple[Identity, datetime | None]:
    """Return the identity as it is stored, and when it expires."""
    scopes, expires_at = None, None
    if claimed.session_id is not None:
        session, user = await unit.sessions.with_user(claimed.session_id)
        expires_at = session.expires_at
        if session.revoked_at is not None:
            raise InvalidCredentials("The session was ended.")
    elif claimed.key_id is not None:
        found = await unit.api_keys.find(claimed.key_id)
        if found is None:
            raise InvalidCredentials("The key was deleted.")
        key, _, user = found
        scopes, expires_at = key.scopes, key.expires_at
    else:
        user = await unit.users.get(claimed.user_id)
    if user.disabled or (expires_at is not None and expires_at <= now):
        raise InvalidCredentials("It has expired, or the account is disabled.")
    return _identity(claimed, user, scopes), expires_at


def _identity(claimed: Identity, user: User, scopes: frozenset[str] | None) -> Identity:
    return Identity(user.id, user.username, user.is_admin, claimed.session_id, scopes, claimed.key_id)


def _narrower(stored: frozenset[str] | None, claimed: frozenset[str] | None) -> frozenset[str] | None:
    """Return what both allow; None allows everything."""
    if stored is None or claimed is None:
        return claimed if stored is None else stored
    return stored & claimed
