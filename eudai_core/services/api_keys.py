"""API keys: what scripts log in with. A key is shown once; only a hash of it is kept.

A key reads ``eud_<id>_<secret>``: the prefix is there for scanners of leaked secrets, the id is for looking it up, and
the secret has 256 random bits, so that a fast hash (SHA-256) keeps it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from eudai_core.contracts import Clock, Storage, UnitOfWork
from eudai_core.errors import FieldError, InvalidInput, TooManyRequests
from eudai_core.ids import new_id
from eudai_core.model import ApiKey, Identity, Scope
from eudai_core.services.access import check_log_in, missing
from eudai_core.services.account_changes import AccountChange, AccountChanges, Ends
from eudai_core.services.fields import check_text

__all__ = ["PREFIX", "ApiKeys", "belongs", "parse_key"]

PREFIX: Final = "eud_"
NAME_LENGTH: Final = 100
MOST: Final = 100
"""Keys that one user may have."""
_SECRET_BYTES: Final = 32
_LONGEST: Final = 128


class ApiKeys:
    """Makes, lists and revokes the caller's own keys. A key cannot do that: it takes a log-in."""

    def __init__(self, storage: Storage, clock: Clock, changes: AccountChanges) -> None:
        self._storage = storage
        self._clock = clock
        self._changes = changes

    async def create(
        self, identity: Identity, *, name: str, scopes: Collection[str], expires_at: datetime | None = None
    ) -> tuple[ApiKey, str]:
        """Make a key and return it with its text, which nobody can find out again.

        Raises:
            Forbidden: the caller came with a key.
            InvalidInput: the name is empty or too long, a scope is unknown, or the time has passed.
            TooManyRequests: the caller has a hundred keys.
        """
        check_log_in(identity)
        now = self._clock.now()
        check_text("$.name", name, longest=NAME_LENGTH, shortest=1)
        if expires_at is not None and expires_at <= now:
            problem = "has passed already"
            raise InvalidInput(f"expires_at {problem}.", errors=(FieldError("$.expires_at", problem),))
        key = ApiKey(new_id(), identity.user_id, name, _checked(scopes), now, expires_at)
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        async with self._storage.unit_of_work() as unit:
            if len(await unit.api_keys.list(identity.user_id)) >= MOST:
                raise TooManyRequests(f"There are {MOST} keys already. Delete those that are not used.")
            await unit.api_keys.add(key, _sha256(secret))
            await unit.commit()
        return key, f"{PREFIX}{key.id.hex}_{secret}"

    async def list(self, identity: Identity) -> Sequence[ApiKey]:
        """Return the caller's keys, newest first, without their texts."""
        check_log_in(identity)
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            return await unit.api_keys.list(identity.user_id)

    async def get(self, identity: Identity, key_id: UUID) -> ApiKey:
        """Return one of the caller's keys, without its text.

        Raises:
            NotFound: it is not the caller's.
        """
        check_log_in(identity)
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            return await _own(unit, identity, key_id)

    async def delete(self, identity: Identity, key_id: UUID) -> None:
        """Revoke a key at once, with the sockets that it opened.

        Raises:
            NotFound: it is not the caller's.
        """
        check_log_in(identity)
        async with self._storage.unit_of_work() as unit:
            await _own(unit, identity, key_id)
            await unit.api_keys.delete(key_id)
            await unit.commit()
        await self._changes.tell(AccountChange(identity.user_id, Ends.KEY, key_id))


def parse_key(text: str) -> tuple[UUID, str] | None:
    """Return the id and the secret of a key's text, or None when it is none."""
    if not text.startswith(PREFIX) or len(text) > _LONGEST or not text.isascii():
        return None
    number, underscore, secret = text.removeprefix(PREFIX).partition("_")
    if not (underscore and secret and len(number) == 32):
        return None
    try:
        return UUID(hex=number), secret
    except ValueError:
        return None


def belongs(secret: str, sha256: str) -> bool:
    """Tell whether a secret is the one that was hashed, in the same time whether it is or not."""
    return hmac.compare_digest(_sha256(secret), sha256)


async def _own(unit: UnitOfWork, identity: Identity, key_id: UUID) -> ApiKey:
    key = await unit.api_keys.get(key_id)
    if key.user_id != identity.user_id:
        raise missing("API key", key_id)
    return key


def _checked(scopes: Collection[str]) -> frozenset[str]:
    unknown = sorted(set(scopes) - set(Scope))
    if unknown or not scopes:
        problem = f"must be one or more of {', '.join(Scope)}"
        raise InvalidInput(f"scopes {problem}.", errors=(FieldError("$.scopes", problem),))
    return frozenset(str(Scope(scope)) for scope in scopes)


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode("ascii")).hexdigest()
