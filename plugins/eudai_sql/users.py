"""Accounts."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from eudai_core.errors import Conflict, NotFound
from eudai_core.model import Page, User
from eudai_sql import keyset
from eudai_sql.projects import SqlProjects
from eudai_sql.repository import Repository, missing
from eudai_sql.tables import conversations, files, projects, runs, urls, users

__all__ = ["USER_COLUMNS", "SqlUsers"]

USER_COLUMNS: Final = (
    users.c.id,
    users.c.username,
    users.c.email,
    users.c.created_at,
    users.c.is_admin,
    users.c.disabled,
)
"""The columns in the order of the fields of User."""

_add: Final = users.insert()
_this: Final = users.c.id == sa.bindparam("user_id")
_get: Final = sa.select(*USER_COLUMNS).where(_this)
_login: Final = sa.bindparam("login", type_=users.c.email_key.type)
# An e-mail address goes before a name that looks like it, so that nobody can take over somebody's login by a name.
_by_login: Final = (
    sa.select(*USER_COLUMNS, users.c.password_hash)
    .where(sa.or_(users.c.email_key == _login, users.c.username_key == _login))
    .order_by(sa.case((users.c.email_key == _login, 0), else_=1))
    .limit(1)
)
_set_password_hash: Final = users.update().where(_this).values(password_hash=sa.bindparam("new_hash"))
_first_page: Final = (
    sa.select(*USER_COLUMNS)
    .order_by(users.c.created_at.desc(), users.c.id.desc())
    .limit(sa.bindparam("limit", type_=sa.Integer()))
)
_next_page: Final = _first_page.where(keyset.after(users.c.created_at, users.c.id))
_update: Final = (
    users.update()
    .where(_this)
    .values(
        email=sa.bindparam("new_email"),
        email_key=sa.bindparam("new_email_key"),
        is_admin=sa.bindparam("new_is_admin"),
        disabled=sa.bindparam("new_disabled"),
    )
)
# The weakest lock that keeps others from changing the row: what only refers to it may go on.
_hold: Final = sa.select(*USER_COLUMNS, users.c.password_hash).where(_this).with_for_update(key_share=True)
_lock: Final = sa.select(users.c.id).where(_this).with_for_update()
_user: Final = sa.bindparam("user_id", type_=sa.Uuid())


def _owner_of(home: sa.Column[Any]) -> sa.ScalarSelect[Any]:
    table = conversations if home.table is runs else projects
    return sa.select(table.c.owner_id).where(table.c.id == home).scalar_subquery()


# What they left in projects of others belongs to these: the foreign keys would take it along.
_leave: Final = (
    files.update().where(files.c.uploaded_by == _user).values(uploaded_by=_owner_of(files.c.project_id)),
    urls.update().where(urls.c.added_by == _user).values(added_by=_owner_of(urls.c.project_id)),
    runs.update().where(runs.c.user_id == _user).values(user_id=_owner_of(runs.c.conversation_id)),
)
_delete: Final = users.delete().where(_this)


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
        """Return the user with this e-mail, else the one with this name, and the password hash; or None."""
        row = await self._tx.row(_by_login, {"login": _key(login)})
        if row is None:
            return None
        return User(*row[:-1]), row[-1]

    async def hold(self, user_id: UUID) -> tuple[User, str]:
        """Return a user and the password hash; nobody else changes the user before this unit of work ends."""
        row = await self._tx.row(_hold, {"user_id": user_id})
        if row is None:
            raise missing("user", user_id)
        return User(*row[:-1]), row[-1]

    async def list(self, *, cursor: str | None, limit: int) -> Page[User]:
        """List all accounts."""
        values: dict[str, Any] = {"limit": limit + 1}
        statement = _first_page
        if cursor is not None:
            statement = _next_page
            values |= keyset.position(cursor)
        found = [User(*row) for row in await self._tx.rows(statement, values)]
        return keyset.page(found, limit, lambda user: (user.created_at, user.id))

    async def update(self, user: User) -> None:
        """Store e-mail, ``is_admin`` and ``disabled``."""
        values = {
            "user_id": user.id,
            "new_email": user.email,
            "new_email_key": _key(user.email),
            "new_is_admin": user.is_admin,
            "new_disabled": user.disabled,
        }
        try:
            touched = await self._tx.run(_update, values)
        except Conflict as error:
            raise Conflict("That e-mail address is taken; choose another one.") from error
        if not touched:
            raise missing("user", user.id)

    async def set_password_hash(self, user_id: UUID, password_hash: str) -> None:
        """Replace the password hash."""
        values: dict[str, Any] = {"user_id": user_id, "new_hash": password_hash}
        if not await self._tx.run(_set_password_hash, values):
            raise missing("user", user_id)

    async def delete(self, user_id: UUID) -> Sequence[str]:
        """Delete a user with everything of theirs; return the blob keys that nothing names any more.

        Held, the user is given no more projects, see SqlProjects.add. Whoever adds to a project, and for that refers to
        its owner, goes on: they have the project by then, so that its deletion waits for them.
        """
        key = {"user_id": user_id}
        await self.hold(user_id)
        work = SqlProjects(self._tx)
        blobs: list[str] = []
        for project_id in await work.ids(user_id):
            with suppress(NotFound):  # somebody else deleted it at this moment
                blobs += await work.delete(project_id)
        for statement in (_lock, *_leave, _delete):
            await self._tx.run(statement, key, slow=True)
        return blobs


def _key(name: str) -> str:
    """Return what names are compared by: compatibility forms and case do not tell two names apart."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
