"""Users, their sessions, and who a request comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

__all__ = ["Credentials", "Decision", "Identity", "RefreshUse", "ResourceRef", "Session", "TokenPair", "User"]


@dataclass(frozen=True, slots=True)
class User:
    """A person with an account. ``username`` and ``email`` are unique, compared without case."""

    id: UUID
    username: str
    email: str
    created_at: datetime
    is_admin: bool = False
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in. Every token and cookie belongs to one; revoking it ends them all at once."""

    id: UUID
    user_id: UUID
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RefreshUse:
    """What the spending of a refresh token found: its session, and whether it had been spent before (reuse)."""

    session_id: UUID
    reused: bool


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brought. ``scheme`` is ``bearer``, ``cookie`` or a plugin's own; headers have lower-case names."""

    scheme: str
    value: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking: the same for a token, a cookie, a key, the CLI and a library user.

    ``scopes`` is None for an unrestricted identity.
    """

    user_id: UUID
    username: str
    is_admin: bool = False
    session_id: UUID | None = None
    scopes: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a sign-in gives: a short-lived access token (``expires_in`` seconds) and a single-use refresh token."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    session: Session
    user: User


@dataclass(frozen=True, slots=True)
class ResourceRef:
    """An object that somebody wants to use: its type (``project``, ``file``, …), id and owner."""

    type: str
    id: UUID | None
    owner_id: UUID | None


class Decision(StrEnum):
    """One vote on an authorisation; None, given by not answering, is an abstention."""

    ALLOW = "allow"
    DENY = "deny"
