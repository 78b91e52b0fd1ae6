"""Accounts and sign-ins."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID

from eudai_core.model import RefreshUse, Session, User

__all__ = ["Sessions", "Users"]


class Users(Protocol):
    """Accounts."""

    async def add(self, user: User, password_hash: str) -> None:
        """Add a user. Raises Conflict when the name or e-mail is taken (compared without case)."""
        ...

    async def get(self, user_id: UUID) -> User:
        """Return a user."""
        ...

    async def by_login(self, login: str) -> tuple[User, str] | None:
        """Return the user with this name or e-mail and the password hash, or None."""
        ...

    async def set_password_hash(self, user_id: UUID, password_hash: str) -> None:
        """Replace the password hash."""
        ...


class Sessions(Protocol):
    """Sign-ins and their refresh tokens. Only SHA-256 hashes of tokens are kept."""

    async def add(self, session: Session) -> None:
        """Add a session."""
        ...

    async def get(self, session_id: UUID) -> Session:
        """Return a session, revoked or not."""
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
