"""Who somebody is, and what proves it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from eudai_core.model import Credentials, Identity, Session, User

__all__ = ["Authenticator", "PasswordHasher", "TokenIssuer"]


@runtime_checkable
class Authenticator(Protocol):
    """Turns credentials into an identity: who it is, and by which session or key, or by neither.

    The host looks up what the identity rests on: one whose session or key has ended, or whose user is disabled or
    gone, is refused, and what the user may do is what storage says now. ``scopes`` given here can only narrow that.
    """

    async def authenticate(self, credentials: Credentials) -> Identity | None:
        """Return who it is, or None when credentials of this kind are not this authenticator's.

        Raises:
            InvalidCredentials: they are its kind, and wrong or expired: nobody else is asked.
        """
        ...


@runtime_checkable
class TokenIssuer(Protocol):
    """Makes access tokens."""

    async def issue(self, user: User, session: Session, *, ttl_seconds: int) -> str:
        """Return a token that an authenticator of the same plugin accepts for ``ttl_seconds``."""
        ...


@runtime_checkable
class PasswordHasher(Protocol):
    """Hashes passwords; synchronous and slow by intent: the host runs it in a bounded pool of its own.

    Passwords come in Unicode's form NFKC, so that every keyboard gives the same characters; they may hold any others.
    """

    def recognises(self, encoded: str) -> bool:
        """Tell whether ``encoded`` is a hash of this kind."""
        ...

    def hash(self, password: str) -> str:
        """Return a salted hash.

        Raises:
            InvalidInput: the password cannot be hashed by this method, with the reason.
        """
        ...

    def verify(self, password: str, encoded: str) -> bool:
        """Tell whether the password belongs to the hash, in the same time whether it does or not."""
        ...

    def needs_rehash(self, encoded: str) -> bool:
        """Tell whether the hash was made with other parameters than today's."""
        ...
