"""Users, sessions, refresh tokens."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from eudai_core.errors import Conflict
from eudai_core.model import Page, RefreshUse, Session, User
from eudai_core.testing._memory.paging import page
from eudai_core.testing._memory.projects import MemoryProjects
from eudai_core.testing._memory.state import RefreshToken, State
from eudai_core.testing._memory.transaction import Repository
from eudai_core.testing._memory.values import insert, kept, required

__all__ = ["MemorySessions", "MemoryUsers"]


class MemoryUsers(Repository):
    """See eudai_core.contracts.Users."""

    __slots__ = ()

    async def add(self, user: User, password_hash: str) -> None:
        """Add a user."""
        state = await self._tx.writing()
        names = {(_key(other.username), _key(other.email)) for other, _ in state.users.values()}
        name, email = _key(kept(user.username)), _key(kept(user.email))
        if any(name == other_name or email == other_email for other_name, other_email in names):
            raise Conflict("That user name or e-mail address is taken; choose another one.")
        insert(state.users, user.id, (user, password_hash), "user")

    async def get(self, user_id: UUID) -> User:
        """Return a user."""
        return required((await self._tx.reading()).users, user_id, "user")[0]

    async def by_login(self, login: str) -> tuple[User, str] | None:
        """Return the user with this e-mail, else the one with this name, and the password hash; or None."""
        rows, key = (await self._tx.reading()).users.values(), _key(kept(login))
        by_email = (row for row in rows if _key(row[0].email) == key)
        by_name = (row for row in rows if _key(row[0].username) == key)
        return next(by_email, None) or next(by_name, None)

    async def hold(self, user_id: UUID) -> tuple[User, str]:
        """Return a user and the password hash; nobody else changes the user before this unit of work ends."""
        return required((await self._tx.writing()).users, user_id, "user")

    async def list(self, *, cursor: str | None, limit: int) -> Page[User]:
        """List all accounts, newest first."""
        users = (user for user, _ in (await self._tx.reading()).users.values())
        return page(users, lambda user: (user.created_at, user.id), cursor=cursor, limit=limit)

    async def update(self, user: User) -> None:
        """Store e-mail, ``is_admin`` and ``disabled``."""
        users = (await self._tx.writing()).users
        stored, password_hash = required(users, user.id, "user")
        email = _key(kept(user.email))
        if any(_key(other.email) == email for other, _ in users.values() if other.id != user.id):
            raise Conflict("That e-mail address is taken; choose another one.")
        changed = replace(stored, email=user.email, is_admin=user.is_admin, disabled=user.disabled)
        users[user.id] = (kept(changed), password_hash)

    async def set_password_hash(self, user_id: UUID, password_hash: str) -> None:
        """Replace the password hash."""
        users = (await self._tx.writing()).users
        users[user_id] = (required(users, user_id, "user")[0], kept(password_hash))

    async def delete(self, user_id: UUID) -> Sequence[str]:
        """Delete a user with everything of theirs; return the blob keys that nothing names any more."""
        state = await self._tx.writing()
        required(state.users, user_id, "user")
        projects = MemoryProjects(self._tx)
        blobs = [key for project_id in await projects.ids(user_id) for key in await projects.delete(project_id)]
        _leave(state, user_id)
        _drop_sessions(state, [key for key, session in state.sessions.items() if session.user_id == user_id])
        state.api_keys = {key: row for key, row in state.api_keys.items() if row[0].user_id != user_id}
        state.answers = {key: row for key, row in state.answers.items() if key[0] != user_id}
        del state.users[user_id]
        return blobs


class MemorySessions(Repository):
    """See eudai_core.contracts.Sessions."""

    __slots__ = ()

    async def add(self, session: Session) -> None:
        """Add a session."""
        state = await self._tx.writing()
        required(state.users, session.user_id, "user")
        insert(state.sessions, session.id, session, "session")

    async def get(self, session_id: UUID) -> Session:
        """Return a session, revoked or not."""
        return required((await self._tx.reading()).sessions, session_id, "session")

    async def with_user(self, session_id: UUID) -> tuple[Session, User]:
        """Return a session, revoked or not, and its user as they are now."""
        state = await self._tx.reading()
        session = required(state.sessions, session_id, "session")
        return session, state.users[session.user_id][0]

    async def revoke_all(self, user_id: UUID, at: datetime, *, but: UUID | None = None) -> Sequence[UUID]:
        """End a user's sessions, except ``but``; return the ids of those that this ended."""
        sessions = (await self._tx.writing()).sessions
        mine = (row for key, row in sessions.items() if row.user_id == user_id and key != but)
        ended = [row.id for row in mine if row.revoked_at is None]
        sessions.update((key, kept(replace(sessions[key], revoked_at=at))) for key in ended)
        return ended

    async def forget(self, *, expired_before: datetime, limit: int) -> int:
        """Remove up to ``limit`` sessions that expired or were revoked before a time; return how many."""
        state = await self._tx.writing()
        old = [
            key
            for key, row in state.sessions.items()
            if min(row.expires_at, row.revoked_at or row.expires_at) < expired_before
        ]
        _drop_sessions(state, old[:limit])
        return len(old[:limit])

    async def revoke(self, session_id: UUID, at: datetime) -> None:
        """End a session; one that has ended stays as it is."""
        sessions = (await self._tx.writing()).sessions
        session = required(sessions, session_id, "session")
        if session.revoked_at is None:
            sessions[session_id] = kept(replace(session, revoked_at=at))

    async def add_refresh_token(self, token_sha256: str, session_id: UUID, expires_at: datetime) -> None:
        """Keep a refresh token of a session."""
        state = await self._tx.writing()
        required(state.sessions, session_id, "session")
        insert(state.refresh_tokens, token_sha256, RefreshToken(session_id, expires_at), "token")

    async def spend_refresh_token(self, token_sha256: str, at: datetime) -> RefreshUse | None:
        """Spend a token and tell its session; None when it is unknown or expired."""
        tokens = (await self._tx.writing()).refresh_tokens
        token = tokens.get(token_sha256)
        if token is None or token.expires_at <= at:
            return None
        tokens[token_sha256] = replace(token, spent=True)
        return RefreshUse(token.session_id, reused=token.spent)


def _drop_sessions(state: State, keys: Collection[UUID]) -> None:
    state.sessions = {key: row for key, row in state.sessions.items() if key not in keys}
    state.refresh_tokens = {key: row for key, row in state.refresh_tokens.items() if row.session_id not in keys}


def _leave(state: State, user_id: UUID) -> None:
    """Give what a user left in projects of others to these, and forget who made or used invitations."""
    for file in [row for row in state.files.values() if row.uploaded_by == user_id]:
        state.files[file.id] = replace(file, uploaded_by=state.projects[file.project_id].owner_id)
    for url in [row for row in state.urls.values() if row.added_by == user_id]:
        state.urls[url.id] = replace(url, added_by=state.projects[url.project_id].owner_id)
    for run in [row for row in state.runs.values() if row.user_id == user_id]:
        state.runs[run.id] = replace(run, user_id=state.conversations[run.conversation_id].owner_id)
    for invite, code in list(state.invites.values()):
        maker, guest = (None if key == user_id else key for key in (invite.created_by, invite.used_by))
        state.invites[invite.id] = (replace(invite, created_by=maker, used_by=guest), code)


def _key(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
