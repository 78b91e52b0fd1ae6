"""What administrators may do over the web: accounts, invitations, plugins and models, and nobody's content."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from eudai_core.errors import Conflict
from eudai_core.model import Identity, Invite, ModelInfo, Page, PluginState, User
from eudai_core.plugins import PluginHost
from eudai_core.services.access import check_admin, check_log_in
from eudai_core.services.invites import Invites
from eudai_core.services.models import Models
from eudai_core.services.operator import Operator

__all__ = ["Administration"]


class Administration:
    """Every method raises Forbidden for a caller who is no administrator, or whose key lacks the scope ``admin``."""

    def __init__(self, host: PluginHost, operator: Operator, invites: Invites, models: Models) -> None:
        self._host = host
        self._operator = operator
        self._invites = invites
        self._models = models

    async def users(self, identity: Identity, *, cursor: str | None = None, limit: int = 50) -> Page[User]:
        """List all accounts, newest first."""
        check_admin(identity)
        return await self._operator.users(cursor=cursor, limit=limit)

    async def change_user(
        self, identity: Identity, user_id: UUID, *, is_admin: bool | None = None, disabled: bool | None = None
    ) -> User:
        """Make somebody an administrator or not, or disable or enable the account.

        Raises:
            Conflict: it is the caller's own account; another administrator does that, or the operator.
            Forbidden: an API key would make an administrator; that needs a log-in.
        """
        check_admin(identity)
        if is_admin:
            check_log_in(identity)  # a key that makes administrators would be one without bounds
        if user_id == identity.user_id and (is_admin is False or disabled):
            raise Conflict("You cannot disable yourself, or stop being an administrator: another one does that.")
        return await self._operator.change(user_id, is_admin=is_admin, disabled=disabled)

    async def reset_password(self, identity: Identity, user_id: UUID) -> tuple[User, str]:
        """Give an account a new random password; it is told this once. A key may not: it would log in with it.

        Raises:
            Conflict: it is the caller's own; that is changed with the current password.
        """
        check_admin(identity)
        check_log_in(identity)
        if user_id == identity.user_id:
            raise Conflict("Change your own password with the current one: PATCH /api/users/me.")
        return await self._operator.reset_password(user_id)

    async def invite(
        self, identity: Identity, *, note: str = "", expires_at: datetime | None = None
    ) -> tuple[Invite, str]:
        """Make an invitation; its code is told this once."""
        check_admin(identity)
        return await self._invites.create(created_by=identity.user_id, note=note, expires_at=expires_at)

    async def invites(self, identity: Identity, *, cursor: str | None = None, limit: int = 50) -> Page[Invite]:
        """List invitations, newest first."""
        check_admin(identity)
        return await self._invites.list(cursor=cursor, limit=limit)

    async def withdraw_invite(self, identity: Identity, invite_id: UUID) -> None:
        """Withdraw an invitation."""
        check_admin(identity)
        await self._invites.delete(invite_id)

    async def plugins(self, identity: Identity) -> Sequence[PluginState]:
        """Return how every plugin of this process is doing."""
        check_admin(identity)
        return self._host.states()

    async def models(self, identity: Identity) -> Sequence[ModelInfo]:
        """Return the models of every backend, asked anew."""
        check_admin(identity)
        return await self._models.available(fresh=True)
