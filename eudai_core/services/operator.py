"""What whoever runs the server does with accounts: at the command line, or, by way of Administration, over the web."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Final
from uuid import UUID

from eudai_core.contracts import Clock, Storage
from eudai_core.errors import NotFound
from eudai_core.model import Page, User
from eudai_core.services.account_changes import AccountChange, AccountChanges, Ends
from eudai_core.services.fields import check_limit
from eudai_core.services.notices import Notices
from eudai_core.services.passwords import Passwords

__all__ = ["Operator"]

_PASSWORD_BYTES: Final = 15
"""120 random bits: twenty characters."""


class Operator:
    """Lists and changes accounts. Nobody is asked: whoever calls has checked who asks.

    Nothing here reads or changes what users keep in their accounts.
    """

    def __init__(
        self, storage: Storage, clock: Clock, passwords: Passwords, changes: AccountChanges, notices: Notices
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._passwords = passwords
        self._changes = changes
        self._notices = notices

    async def users(self, *, cursor: str | None = None, limit: int = 50) -> Page[User]:
        """List all accounts, newest first."""
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            return await unit.users.list(cursor=cursor, limit=check_limit(limit))

    async def find(self, login: str) -> User:
        """Return the user with this e-mail or name.

        Raises:
            NotFound: there is none.
        """
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            found = await unit.users.by_login(login) if "\0" not in login else None
        if found is None:
            raise NotFound(f"There is no user {login!r}.")
        return found[0]

    async def change(self, user_id: UUID, *, is_admin: bool | None = None, disabled: bool | None = None) -> User:
        """Make somebody an administrator or not, or disable or enable the account; None leaves it as it is.

        Disabling ends all sessions, makes the user's keys worthless, and closes what is open. Who is no administrator
        any more loses what is open too: it was opened with rights that are gone.
        """
        async with self._storage.unit_of_work() as unit:
            before, _ = await unit.users.hold(user_id)
            user = replace(
                before,
                is_admin=before.is_admin if is_admin is None else is_admin,
                disabled=before.disabled if disabled is None else disabled,
            )
            await unit.users.update(user)
            if user.disabled:
                await unit.sessions.revoke_all(user_id, self._clock.now())
            await unit.commit()
        ends = user.disabled or (before.is_admin and not user.is_admin)
        await self._changes.tell(AccountChange(user_id, Ends.EVERYTHING if ends else Ends.NOTHING))
        self._notices.tell("user", "updated", user_id, user_id)
        return user

    async def reset_password(self, user_id: UUID) -> tuple[User, str]:
        """Give an account a new random password, and end all its sessions; the password is told this once."""
        password = secrets.token_urlsafe(_PASSWORD_BYTES)
        encoded = await self._passwords.hash(password)
        async with self._storage.unit_of_work() as unit:
            user, _ = await unit.users.hold(user_id)
            await unit.users.set_password_hash(user_id, encoded)
            await unit.sessions.revoke_all(user_id, self._clock.now())
            await unit.commit()
        await self._changes.tell(AccountChange(user_id, Ends.SESSIONS))
        self._notices.tell("user", "updated", user_id, user_id)
        return user, password
