"""Accounts: signing up, logging in and out, and who a request comes from."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Final

from eudai_core.contracts import Authenticator, Clock, Storage
from eudai_core.errors import (
    ConfigError,
    EudaiError,
    FieldError,
    Forbidden,
    InvalidCredentials,
    InvalidInput,
    PluginError,
    Unauthorized,
)
from eudai_core.ids import new_id
from eudai_core.model import Credentials, Identity, RefreshUse, Session, TokenPair, User
from eudai_core.plugins import PluginHost
from eudai_core.plugins.roles import AUTHENTICATORS, PASSWORD_HASHERS, TOKEN_ISSUERS
from eudai_core.services.fields import check_text
from eudai_core.services.passwords import Passwords
from eudai_core.services.sessions import LiveSessions
from eudai_core.settings import CoreSettings

__all__ = ["Accounts"]

NAME: Final = re.compile(r"[^\W_][\w.\-]{0,63}")
EMAIL: Final = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,189}")
AUTHENTICATE_S: Final = 5.0
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class Accounts:
    """The accounts service."""

    def __init__(self, host: PluginHost, storage: Storage, clock: Clock, core: CoreSettings) -> None:
        self._host = host
        self._storage = storage
        self._clock = clock
        self._core = core
        self._passwords = Passwords(host.all(PASSWORD_HASHERS))
        self._sessions = LiveSessions(storage, clock)

    def close(self) -> None:
        """Let go of the hashing threads."""
        self._passwords.close()

    @property
    def signup(self) -> str:
        """Who may sign up: ``open``, ``invite`` or ``closed``; without a setting, open on loopback only."""
        if self._core.signup is not None:
            return self._core.signup
        return "open" if self._core.host in LOOPBACK else "invite"

    async def sign_up(self, *, username: str, email: str, password: str) -> User:
        """Create an account for whoever asks, where signing up is open.

        Raises:
            Forbidden: it is not.
            Conflict: the name or the e-mail is taken.
        """
        if self.signup != "open":
            raise Forbidden("Signing up is not open here. Ask the operator, who runs `eudai users create`.")
        return await self.create_user(username=username, email=email, password=password)

    async def create_user(self, *, username: str, email: str, password: str, is_admin: bool = False) -> User:
        """Create an account as the operator; see :meth:`sign_up` for strangers."""
        check_text("$.username", username, longest=64, shortest=1)
        check_text("$.email", email, longest=254, shortest=3)
        if not NAME.fullmatch(username):
            problem = "must begin with a letter or digit and go on with letters, digits, '.', '_' or '-'"
            raise InvalidInput(f"The username {problem}.", errors=(FieldError("$.username", problem),))
        if not EMAIL.fullmatch(email):
            raise InvalidInput("The e-mail is not an address.", errors=(FieldError("$.email", "is no e-mail address"),))
        encoded = await self._passwords.hash(password)
        user = User(new_id(), username, email, self._clock.now(), is_admin)
        async with self._storage.unit_of_work() as unit:
            await unit.users.add(user, encoded)
            await unit.commit()
        return user

    async def log_in(self, *, login: str, password: str) -> TokenPair:
        """Open a session for a username or e-mail and a password.

        Raises:
            InvalidCredentials: they do not belong together; unknown users get the same answer after the same work.
        """
        async with self._storage.unit_of_work(readonly=True) as unit:
            found = await unit.users.by_login(login) if "\0" not in login and len(login) <= 254 else None
        user, encoded = found if found is not None else (None, None)
        good = await self._passwords.verify(password, encoded)
        if not good or user is None or encoded is None or user.disabled:
            raise InvalidCredentials("The username or the password is wrong.")
        if self._passwords.needs_rehash(encoded):
            await self._rehash(user, password)
        return await self._open_session(user)

    async def refresh(self, refresh_token: str) -> TokenPair:
        """Spend a refresh token for a new pair. A token spent twice ends its session: somebody else has it.

        Raises:
            InvalidCredentials: the token is unknown, spent or expired, or its session has ended.
        """
        now = self._clock.now()
        async with self._storage.unit_of_work() as unit:
            use = await unit.sessions.spend_refresh_token(_sha256(refresh_token), now)
            if use is not None and use.reused:
                await unit.sessions.revoke(use.session_id, now)
            await unit.commit()
        session, user = await self._refreshable(use)
        return await self._pair(user, session)

    async def log_out(self, identity: Identity) -> None:
        """End the caller's session at once, with its tokens and sockets."""
        if identity.session_id is None:
            return
        async with self._storage.unit_of_work() as unit:
            await unit.sessions.revoke(identity.session_id, self._clock.now())
            await unit.commit()
        self._sessions.end(identity.session_id)

    async def authenticate(self, credentials: Credentials | None) -> Identity:
        """Return who the credentials prove.

        Raises:
            Unauthorized: there are none, nobody knows their kind, or they are wrong, expired or revoked.
        """
        if credentials is None:
            raise Unauthorized("This needs a log-in: POST /api/auth/login gives a token.")
        for name, authenticator in self._host.all(AUTHENTICATORS).items():
            identity = await self._ask(name, authenticator, credentials)
            if identity is not None:
                if identity.session_id is not None:
                    await self._sessions.check(identity.session_id)
                return identity
        raise Unauthorized("These credentials are of no kind that this server knows.")

    async def me(self, identity: Identity) -> User:
        """Return the caller's account."""
        async with self._storage.unit_of_work(readonly=True) as unit:
            return await unit.users.get(identity.user_id)

    def watch_session(self, identity: Identity) -> AbstractContextManager[asyncio.Event]:
        """Give an event that is set when the caller's session ends."""
        return self._sessions.watch(identity.session_id)

    async def check_session(self, identity: Identity) -> None:
        """Check again that the caller's session is alive, for connections that live long.

        Raises:
            InvalidCredentials: it has ended.
        """
        if identity.session_id is not None:
            await self._sessions.check(identity.session_id)

    async def _ask(self, name: str, authenticator: Authenticator, credentials: Credentials) -> Identity | None:
        try:
            return await self._host.guard(
                self._host.owner(AUTHENTICATORS, name),
                "authenticate",
                lambda: authenticator.authenticate(credentials),
                timeout=AUTHENTICATE_S,
            )
        except PluginError as error:
            # A broken authenticator must not let the next one decide about credentials that it may have refused.
            raise Unauthorized("The log-in cannot be checked now. Try again; the operator sees why.") from error

    async def _open_session(self, user: User) -> TokenPair:
        now = self._clock.now()
        session = Session(new_id(), user.id, now, now + timedelta(days=self._core.session_days))
        async with self._storage.unit_of_work() as unit:
            await unit.sessions.add(session)
            await unit.commit()
        return await self._pair(user, session)

    async def _pair(self, user: User, session: Session) -> TokenPair:
        issuer = self._host.find(TOKEN_ISSUERS)
        if issuer is None:
            raise ConfigError("No token issuer is loaded: see `eudai plugins list` and EUDAI_TOKEN_ISSUER.")
        ttl = self._core.access_token_minutes * 60
        access = await issuer.issue(user, session, ttl_seconds=ttl)
        refresh = secrets.token_urlsafe(32)
        async with self._storage.unit_of_work() as unit:
            await unit.sessions.add_refresh_token(_sha256(refresh), session.id, session.expires_at)
            await unit.commit()
        return TokenPair(access, refresh, ttl, session, user)

    async def _refreshable(self, use: RefreshUse | None) -> tuple[Session, User]:
        if use is not None and use.reused:
            self._sessions.end(use.session_id)
        if use is None or use.reused:
            raise InvalidCredentials("This refresh token is unknown, spent or expired. Log in again.")
        await self._sessions.check(use.session_id)
        async with self._storage.unit_of_work(readonly=True) as unit:
            session = await unit.sessions.get(use.session_id)
            user = await unit.users.get(session.user_id)
        if user.disabled:
            raise InvalidCredentials("This account is disabled. Ask the operator.")
        return session, user

    async def _rehash(self, user: User, password: str) -> None:
        try:
            encoded = await self._passwords.hash(password)
        except EudaiError:
            return  # the old hash still verifies: a log-in never fails for the sake of a better one
        async with self._storage.unit_of_work() as unit:
            await unit.users.set_password_hash(user.id, encoded)
            await unit.commit()


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
