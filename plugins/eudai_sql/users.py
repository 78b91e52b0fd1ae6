"""Accounts."""

from __future__ import annotations

import unicodedata
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from eudai_core.errors import Conflict
from eudai_core.model import User
from eudai_sql.repository import Repository, missing
from eudai_sql.tables import users

__all__ = ["SqlUsers"]

_columns: Final = (users.c.id, users.c.username, users.c.email, users.c.created_at, users.c.is_admin, users.c.disabled)
_add: Final = users.insert()
_get: Final = sa.select(*_columns).where(users.c.id == sa.bindparam("user_id"))
_login: Final = sa.bindparam("login", type_=users.c.email_key.type)
# An e-mail address goes before a name that looks like it, so that nobody can take over somebody's login by a name.
_by_login: Final = (
    sa.select(*_columns, users.c.password_hash)
    .where(sa.or_(users.c.email_key == _login, users.c.username_key == _login))
    .order_by(sa.case((users.c.email_key == _login, 0), else_=1))
    .limit(1)
)
_set_password_hash: Final = (
    users.update().where(users.c.id == sa.bindparam("user_id")).values(password_hash=sa.bindparam("new_hash"))
)


class SqlUsers(Repository):
    """See eudai_core.contracts.Users."""

    __slots__ = ()

    async def add(self, user: User, password_hash: str) -> None:
        """Add a user."""
        values = {
            "id": user.id,
            "username": user.username,
            "email": user.email,
            "username_key": _key(user.username),
            "email_key": _key(user.email),
            "password_hash": password_hash,
            "is_admin": user.is_admin,
            "disabled": user.disabled,
            "created_at": user.created_at,
        }
        try:
            await self._tx.run(_add, values)
        except Conflict as error:
            raise Conflict("That user name or e-mail address is taken; choose another one.") from error

    async def get(self, user_id: UUID) -> User:
        """Return a user."""
        row = await self._tx.row(_get, {"user_id": user_id})
        if row is None:
            raise missing("user", user_id)
        return User(*row)

    async def by_login(self, login: str) -> tuple[User, str] | None:
        """Return the user with this name or e-mail and the password hash, or None."""
        row = await self._tx.row(_by_login, {"login": _key(login)})
        if row is None:
            return None
        return User(*row[:-1]), row[-1]

    async def set_password_hash(self, user_id: UUID, password_hash: str) -> None:
        """Replace the password hash."""
        values: dict[str, Any] = {"user_id": user_id, "new_hash": password_hash}
        if not await self._tx.run(_set_password_hash, values):
            raise missing("user", user_id)


def _key(name: str) -> str:
    """Return what names are compared by: compatibility forms and case do not tell two names apart."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
