"""Invitations to sign up, made by administrators: each lets one person in, once."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from eudai_core.contracts import Clock, Storage
from eudai_core.errors import FieldError, InvalidInput
from eudai_core.ids import new_id
from eudai_core.model import Invite, Page
from eudai_core.services.fields import check_limit, check_text

__all__ = ["Invites", "sha256_of"]

GOOD_FOR: Final = timedelta(days=7)
LONGEST: Final = timedelta(days=365)
NOTE_LENGTH: Final = 200
_CODE_BYTES: Final = 24


class Invites:
    """Makes, lists and withdraws invitations. Whoever calls has checked who asks."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock

    async def create(
        self, *, created_by: UUID | None, note: str = "", expires_at: datetime | None = None
    ) -> tuple[Invite, str]:
        """Make an invitation and return it with its code, which nobody can find out again.

        Without ``expires_at`` it is good for seven days. ``created_by`` is None for the operator.

        Raises:
            InvalidInput: the note is too long, or the time has passed or is more than a year away.
        """
        now = self._clock.now()
        check_text("$.note", note, longest=NOTE_LENGTH)
        expires_at = now + GOOD_FOR if expires_at is None else expires_at
        if not now < expires_at <= now + LONGEST:
            problem = f"must be in the future, and {LONGEST.days} days away at most"
            raise InvalidInput(f"expires_at {problem}.", errors=(FieldError("$.expires_at", problem),))
        invite = Invite(new_id(), created_by, now, expires_at, note)
        code = secrets.token_urlsafe(_CODE_BYTES)
        async with self._storage.unit_of_work() as unit:
            await unit.invites.add(invite, sha256_of(code))
            await unit.commit()
        return invite, code

    async def list(self, *, cursor: str | None = None, limit: int = 50) -> Page[Invite]:
        """List invitations, newest first, used and expired ones too, without their codes."""
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            return await unit.invites.list(cursor=cursor, limit=check_limit(limit))

    async def delete(self, invite_id: UUID) -> None:
        """Withdraw an invitation; who used it stays."""
        async with self._storage.unit_of_work() as unit:
            await unit.invites.delete(invite_id)
            await unit.commit()


def sha256_of(code: str) -> str:
    """Return what is kept of a code."""
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
