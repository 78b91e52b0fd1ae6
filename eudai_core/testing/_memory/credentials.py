"""API keys, invitations, the names of signing keys, and log-ins that failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from eudai_core.errors import Conflict
from eudai_core.model import ApiKey, Failures, Invite, Page, SigningKeyRecord, User
from eudai_core.testing._memory.paging import page
from eudai_core.testing._memory.transaction import Repository
from eudai_core.testing._memory.values import insert, kept, required

__all__ = ["MemoryApiKeys", "MemoryInvites", "MemoryLoginFailures", "MemorySigningKeys"]


class MemoryApiKeys(Repository):
    """See eudai_core.contracts.ApiKeys."""

    __slots__ = ()

    async def add(self, key: ApiKey, sha256: str) -> None:
        """Add a key."""
        state = await self._tx.writing()
        required(state.users, key.user_id, "user")
        insert(state.api_keys, key.id, (key, sha256), "API key")

    async def find(self, key_id: UUID) -> tuple[ApiKey, str, User] | None:
        """Return a key, its hash and its user as they are now; None when there is none."""
        state = await self._tx.reading()
        if key_id not in state.api_keys:
            return None
        key, sha256 = state.api_keys[key_id]
        return key, sha256, state.users[key.user_id][0]

    async def list(self, user_id: UUID) -> Sequence[ApiKey]:
        """Return a user's keys, newest first."""
        keys = (key for key, _ in (await self._tx.reading()).api_keys.values() if key.user_id == user_id)
        return sorted(keys, key=lambda key: (key.created_at, key.id), reverse=True)

    async def used(self, key_id: UUID, at: datetime) -> None:
        """Note when a key was used last."""
        keys = (await self._tx.writing()).api_keys
        if key_id in keys:
            key, sha256 = keys[key_id]
            keys[key_id] = kept((replace(key, last_used_at=max(at, key.last_used_at or at)), sha256))

    async def delete(self, key_id: UUID) -> None:
        """Revoke a key."""
        keys = (await self._tx.writing()).api_keys
        required(keys, key_id, "API key")
        del keys[key_id]

    async def get(self, key_id: UUID) -> ApiKey:
        """Return a key."""
        return required((await self._tx.reading()).api_keys, key_id, "API key")[0]


class MemoryInvites(Repository):
    """See eudai_core.contracts.Invites."""

    __slots__ = ()

    async def add(self, invite: Invite, code_sha256: str) -> None:
        """Add an invitation."""
        state = await self._tx.writing()
        for user_id in (invite.created_by, invite.used_by):
            if user_id is not None:
                required(state.users, user_id, "user")
        if any(code == code_sha256 for _, code in state.invites.values()):
            raise Conflict("There is such an invitation already.")
        insert(state.invites, invite.id, (invite, code_sha256), "invitation")

    async def list(self, *, cursor: str | None, limit: int) -> Page[Invite]:
        """List invitations, newest first."""
        invites = (invite for invite, _ in (await self._tx.reading()).invites.values())
        return page(invites, lambda invite: (invite.created_at, invite.id), cursor=cursor, limit=limit)

    async def usable(self, code_sha256: str, *, at: datetime) -> bool:
        """Tell whether an invitation could be used now."""
        invites = (await self._tx.reading()).invites.values()
        return any(kept == code_sha256 and one.used_at is None and one.expires_at > at for one, kept in invites)

    async def spend(self, code_sha256: str, *, user_id: UUID, at: datetime) -> bool:
        """Use an invitation for a user; False when it is unknown, used or expired."""
        state = await self._tx.writing()
        for invite, code in list(state.invites.values()):
            if code == code_sha256 and invite.used_at is None and invite.expires_at > at:
                required(state.users, user_id, "user")
                state.invites[invite.id] = kept((replace(invite, used_by=user_id, used_at=at), code))
                return True
        return False

    async def delete(self, invite_id: UUID) -> None:
        """Withdraw an invitation; used ones too."""
        invites = (await self._tx.writing()).invites
        required(invites, invite_id, "invitation")
        del invites[invite_id]


class MemorySigningKeys(Repository):
    """See eudai_core.contracts.SigningKeys."""

    __slots__ = ()

    async def list(self) -> Sequence[SigningKeyRecord]:
        """Return all, newest first."""
        keys = (await self._tx.reading()).signing_keys.values()
        return sorted(keys, key=lambda key: (key.created_at, key.kid), reverse=True)

    async def add(self, key: SigningKeyRecord) -> None:
        """Add a key."""
        insert((await self._tx.writing()).signing_keys, key.kid, key, "signing key")

    async def retire(self, kid: str, at: datetime) -> None:
        """Accept a key until a time only; one that retires earlier stays as it is."""
        keys = (await self._tx.writing()).signing_keys
        key = required(keys, kid, "signing key")
        keys[kid] = kept(replace(key, retires_at=min(at, key.retires_at or at)))

    async def forget(self, *, retired_before: datetime) -> int:
        """Remove keys that retired before a time; return how many."""
        keys = (await self._tx.writing()).signing_keys
        old = [kid for kid, key in keys.items() if key.retires_at is not None and key.retires_at < retired_before]
        for kid in old:
            del keys[kid]
        return len(old)


class MemoryLoginFailures(Repository):
    """See eudai_core.contracts.LoginFailures."""

    __slots__ = ()

    async def get(self, keys: Sequence[str]) -> Mapping[str, Failures]:
        """Return what is known of several keys; those without failures are missing."""
        rows = (await self._tx.reading()).login_failures
        return {key: rows[key] for key in map(kept, keys) if key in rows}

    async def add(self, keys: Sequence[str], *, at: datetime, forget_before: datetime) -> Mapping[str, Failures]:
        """Count one more failure for each key and return the counts; a count whose last is older begins anew."""
        rows = (await self._tx.writing()).login_failures
        counted: dict[str, Failures] = {}
        for key in dict.fromkeys(map(kept, keys)):
            before = rows.get(key, Failures(0, at))
            count = 0 if before.last_at < forget_before else before.count
            counted[key] = rows[key] = kept(Failures(count + 1, max(at, before.last_at)))
        return counted

    async def clear(self, keys: Sequence[str]) -> None:
        """Forget the failures of some keys."""
        rows = (await self._tx.writing()).login_failures
        for key in map(kept, keys):
            rows.pop(key, None)

    async def forget(self, *, before: datetime) -> int:
        """Forget all whose last failure is older; return how many."""
        rows = (await self._tx.writing()).login_failures
        old = [key for key, failures in rows.items() if failures.last_at < before]
        for key in old:
            del rows[key]
        return len(old)
