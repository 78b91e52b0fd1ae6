"""Bodies and answers about accounts, API keys and invitations (contract, section 7)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from eudai_core import model as core
from eudai_core.services.api_keys import NAME_LENGTH
from eudai_core.services.invites import NOTE_LENGTH
from eudai_core.services.passwords import LONGEST, SHORTEST
from eudai_quart.wire.fields import FILLED, CreatedAt, Id, Moment
from eudai_quart.wire.requests import Strict

__all__ = [
    "AccountChange",
    "AccountDeletion",
    "AdminUser",
    "ApiKey",
    "Invite",
    "NewApiKey",
    "NewInvite",
    "OneTimePassword",
    "ShownApiKey",
    "ShownInvite",
    "UserChange",
]

_CurrentPassword = Annotated[
    str, Meta(max_length=LONGEST, description="The password that is good now.", examples=["correct horse battery"])
]
_Scopes = Annotated[
    list[core.Scope],
    Meta(
        min_length=1,
        max_length=len(core.Scope),
        description="What it may do: `chat` includes `read`, `write` includes both, `admin` stands alone.",
    ),
]
_Name = Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH, pattern=FILLED, description="What it is for.")]
_Note = Annotated[str, Meta(max_length=NOTE_LENGTH, description="Whom it is for.")]


class AccountChange(Strict, frozen=True):
    """What to change of the own account; what is left out, or null, stays."""

    current_password: _CurrentPassword
    # The patterns and the shortest password are the service's to check: it says in words what it wants.
    email: Annotated[
        Annotated[str, Meta(max_length=254)] | None,
        Meta(description="The new e-mail address.", examples=["ada@example.org"]),
    ] = None
    password: Annotated[
        Annotated[str, Meta(max_length=LONGEST, extra_json_schema={"minLength": SHORTEST})] | None,
        Meta(description="The new password. It ends all other sessions.", examples=["correct horse battery"]),
    ] = None


class AccountDeletion(Strict, frozen=True):
    """The confirmation of a deletion."""

    current_password: _CurrentPassword


class NewApiKey(Strict, frozen=True):
    """A new API key."""

    name: _Name
    scopes: _Scopes
    expires_at: Annotated[Moment | None, Meta(description="When it ends; never without it.")] = None


class ApiKey(Struct):
    """An API key, without its text."""

    id: Id
    name: _Name
    scopes: _Scopes
    expires_at: Annotated[Moment | None, Meta(description="When it ends.")]
    last_used_at: Annotated[Moment | None, Meta(description="When it was used last, exact to a minute.")]
    created_at: CreatedAt

    @classmethod
    def of(cls, key: core.ApiKey) -> ApiKey:
        """Convert."""
        return cls(key.id, key.name, _scopes(key), key.expires_at, key.last_used_at, key.created_at)


class ShownApiKey(Struct):
    """A new API key with its text, which is shown this once."""

    id: Id
    name: _Name
    scopes: _Scopes
    expires_at: Annotated[Moment | None, Meta(description="When it ends.")]
    last_used_at: Annotated[Moment | None, Meta(description="When it was used last: not yet.")]
    created_at: CreatedAt
    key: Annotated[str, Meta(description="Goes into the header `Authorization: Bearer …`.")]

    @classmethod
    def of(cls, key: core.ApiKey, text: str) -> ShownApiKey:
        """Convert."""
        return cls(key.id, key.name, _scopes(key), key.expires_at, key.last_used_at, key.created_at, text)


class AdminUser(Struct):
    """An account, as administrators see it."""

    id: Id
    username: Annotated[str, Meta(description="Its name, as it was chosen.", examples=["ada"])]
    email: Annotated[str, Meta(description="Its e-mail address.", examples=["ada@example.org"])]
    is_admin: Annotated[bool, Meta(description="Whether it may use the paths of administrators.")]
    disabled: Annotated[bool, Meta(description="Whether it can be used.")]
    created_at: CreatedAt

    @classmethod
    def of(cls, user: core.User) -> AdminUser:
        """Convert."""
        return cls(user.id, user.username, user.email, user.is_admin, user.disabled, user.created_at)


class UserChange(Strict, frozen=True):
    """What to change of an account; what is left out, or null, stays."""

    is_admin: Annotated[bool | None, Meta(description="Whether it may use the paths of administrators.")] = None
    disabled: Annotated[
        bool | None, Meta(description="Whether it cannot be used; disabling ends all its sessions at once.")
    ] = None


class OneTimePassword(Struct):
    """A new password, which is shown this once; its user should change it."""

    password: Annotated[str, Meta(description="The new password.")]


class NewInvite(Strict, frozen=True):
    """A new invitation."""

    note: _Note = ""
    expires_at: Annotated[Moment | None, Meta(description="When it ends; in seven days without it.")] = None


class Invite(Struct):
    """An invitation, without its code."""

    id: Id
    note: _Note
    created_by: Annotated[UUID | None, Meta(description="The administrator who made it; null for the operator.")]
    created_at: CreatedAt
    expires_at: Annotated[datetime, Meta(tz=True, description="When it ends.")]
    used_by: Annotated[UUID | None, Meta(description="The account that was made with it.")]
    used_at: Annotated[Moment | None, Meta(description="When it was used.")]

    @classmethod
    def of(cls, invite: core.Invite) -> Invite:
        """Convert."""
        return cls(*_members(invite))


class ShownInvite(Struct):
    """A new invitation with its code, which is shown this once."""

    id: Id
    note: _Note
    created_by: Annotated[UUID | None, Meta(description="The administrator who made it.")]
    created_at: CreatedAt
    expires_at: Annotated[datetime, Meta(tz=True, description="When it ends.")]
    used_by: Annotated[UUID | None, Meta(description="The account that was made with it: none yet.")]
    used_at: Annotated[Moment | None, Meta(description="When it was used: not yet.")]
    code: Annotated[str, Meta(description="Goes into `invite` when signing up.")]

    @classmethod
    def of(cls, invite: core.Invite, code: str) -> ShownInvite:
        """Convert."""
        return cls(*_members(invite), code)


def _scopes(key: core.ApiKey) -> list[core.Scope]:
    return [scope for scope in core.Scope if scope in key.scopes]


def _members(
    invite: core.Invite,
) -> tuple[UUID, str, UUID | None, datetime, datetime, UUID | None, datetime | None]:
    return (
        invite.id,
        invite.note,
        invite.created_by,
        invite.created_at,
        invite.expires_at,
        invite.used_by,
        invite.used_at,
    )
