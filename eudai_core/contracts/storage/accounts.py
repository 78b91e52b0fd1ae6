"""Accounts and sign-ins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from eudai_core.model import ApiKey, Failures, Invite, Page, RefreshUse, Session, SigningKeyRecord, User

__all__ = ["ApiKeys", "Invites", "LoginFailures", "Sessions", "SigningKeys", "Users"]


class Users(Protocol):
    """Accounts."""

    async def add(self, user: User, password_hash: str) -> None:
        """Add a user.

        Raises Conflict when the name or e-mail is taken (compared without case, in Unicode's form NFKC).
        """
        ...

    async def get(self, user_id: UUID) -> User:
        """Return a user."""
        ...

    async def by_login(self, login: str) -> tuple[User, str] | None:
        """Return the user with this e-mail, else the one with this name, and the password hash; or None."""
        ...

    async def hold(self, user_id: UUID) -> tuple[User, str]:
        """Return a user and the password hash; nobody else changes the user before this unit of work ends."""
        ...

    async def list(self, *, cursor: str | None, limit: int) -> Page[User]:
        """List all accounts, newest first."""
        ...

    async def update(self, user: User) -> None:
        """Store e-mail, ``is_admin`` and ``disabled``. Raises Conflict when the e-mail is another's."""
        ...

    async def set_password_hash(self, user_id: UUID, password_hash: str) -> None:
        """Replace the password hash."""
        ...

    async def delete(self, user_id: UUID) -> Sequence[str]:
        """Delete a user with everything of theirs; return the blob keys that nothing names any more.

        What they put into projects of others stays, as the owners'; invitations that they made or used stay too.
        """
        ...


class Sessions(Protocol):
    """Sign-ins and their refresh tokens. Only SHA-256 hashes of tokens are kept."""

    async def add(self, session: Session) -> None:
        """Add a session."""
        ...

    async def get(self, session_id: UUID) -> Session:
        """Return a session, revoked or not."""
        ...

    async def with_user(self, session_id: UUID) -> tuple[Session, User]:
        """Return a session, revoked or not, and its user as they are now, in one statement."""
        ...

    async def revoke_all(self, user_id: UUID, at: datetime, *, but: UUID | None = None) -> Sequence[UUID]:
        """End a user's sessions, except ``but``; return the ids of those that this ended."""
        ...

    async def forget(self, *, expired_before: datetime, limit: int) -> int:
        """Remove up to ``limit`` sessions that expired or were revoked before a time; return how many."""
        ...

    async def revoke(self, session_id: UUID, at: datetime) -> None:
        """End a session; one that has ended stays as it is."""
        ...

    async def add_refresh_token(self, token_sha256: str, session_id: UUID, expires_at: datetime) -> None:
        """Keep a refresh token of a session."""
        ...

    async def spend_refresh_token(self, token_sha256: str, at: datetime) -> RefreshUse | None:
        """Spend a token and tell its session; None when it is unknown or expired. Atomic: one caller wins."""
        ...


class ApiKeys(Protocol):
    """Keys for scripts. Only SHA-256 hashes of them are kept."""

    async def add(self, key: ApiKey, sha256: str) -> None:
        """Add a key."""
        ...

    async def find(self, key_id: UUID) -> tuple[ApiKey, str, User] | None:
        """Return a key, its hash and its user as they are now, in one statement; None when there is none."""
        ...

    async def list(self, user_id: UUID) -> Sequence[ApiKey]:
        """Return a user's keys, newest first."""
        ...

    async def used(self, key_id: UUID, at: datetime) -> None:
        """Note when a key was used last; a later use that is noted already stays, one that is gone is no error."""
        ...

    async def delete(self, key_id: UUID) -> None:
        """Revoke a key."""
        ...

    async def get(self, key_id: UUID) -> ApiKey:
        """Return a key."""
        ...


class Invites(Protocol):
    """Invitations to sign up. Only SHA-256 hashes of their codes are kept."""

    async def add(self, invite: Invite, code_sha256: str) -> None:
        """Add an invitation."""
        ...

    async def list(self, *, cursor: str | None, limit: int) -> Page[Invite]:
        """List invitations, newest first."""
        ...

    async def usable(self, code_sha256: str, *, at: datetime) -> bool:
        """Tell whether an invitation could be used now: known, not used, not expired."""
        ...

    async def spend(self, code_sha256: str, *, user_id: UUID, at: datetime) -> bool:
        """Use an invitation for a user; False when it is unknown, used or expired. Atomic: one caller wins."""
        ...

    async def delete(self, invite_id: UUID) -> None:
        """Withdraw an invitation; used ones too."""
        ...


class SigningKeys(Protocol):
    """The names and times of the keys that sign tokens. The keys themselves are derived from the server's secret."""

    async def list(self) -> Sequence[SigningKeyRecord]:
        """Return all, newest first."""
        ...

    async def add(self, key: SigningKeyRecord) -> None:
        """Add a key: from now on it is the newest."""
        ...

    async def retire(self, kid: str, at: datetime) -> None:
        """Accept a key until a time only; one that retires earlier stays as it is."""
        ...

    async def forget(self, *, retired_before: datetime) -> int:
        """Remove keys that retired before a time; return how many."""
        ...


class LoginFailures(Protocol):
    """Log-ins that failed, by what is throttled: an account, an address. A key has at most 255 characters."""

    async def get(self, keys: Sequence[str]) -> Mapping[str, Failures]:
        """Return what is known of several keys; those without failures are missing."""
        ...

    async def add(self, keys: Sequence[str], *, at: datetime, forget_before: datetime) -> Mapping[str, Failures]:
        """Count one more failure for each key and return the counts; a count whose last is older begins anew."""
        ...

    async def clear(self, keys: Sequence[str]) -> None:
        """Forget the failures of some keys."""
        ...

    async def forget(self, *, before: datetime) -> int:
        """Forget all whose last failure is older; return how many."""
        ...
