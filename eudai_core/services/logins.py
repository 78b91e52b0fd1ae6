"""Log-ins: a password for a session, a refresh token for the next one, and the end of it."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from datetime import timedelta

from eudai_core.contracts import Clock, Storage
from eudai_core.errors import ConfigError, EudaiError, InvalidCredentials
from eudai_core.ids import new_id
from eudai_core.model import Identity, Session, TokenPair, User
from eudai_core.plugins import PluginHost
from eudai_core.plugins.roles import TOKEN_ISSUERS
from eudai_core.services.access import check_log_in
from eudai_core.services.account_changes import AccountChange, AccountChanges, Ends
from eudai_core.services.fields import storable
from eudai_core.services.passwords import Passwords
from eudai_core.services.throttling import Throttle, account_key, client_key, user_key
from eudai_core.settings import CoreSettings

__all__ = ["LogIns"]

LONGEST_LOGIN = 254


class LogIns:
    """Opens, renews and ends sessions."""

    def __init__(
        self,
        host: PluginHost,
        storage: Storage,
        clock: Clock,
        core: CoreSettings,
        passwords: Passwords,
        throttle: Throttle,
        changes: AccountChanges,
    ) -> None:
        self._host = host
        self._storage = storage
        self._clock = clock
        self._core = core
        self._passwords = passwords
        self._throttle = throttle
        self._changes = changes
        self._refreshing: dict[str, asyncio.Future[TokenPair]] = {}

    async def log_in(self, *, login: str, password: str, client: str | None = None) -> TokenPair:
        """Open a session for a username or e-mail and a password; ``client`` is the address that asks.

        Raises:
            InvalidCredentials: they do not belong together; unknown users get the same answer after the same work.
            TooManyRequests: this account, or this address, failed too often just now.
        """
        async with self._throttle.attempt([account_key(login), *client_key(client)]) as attempt:
            async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
                known = await unit.users.by_login(login) if _possible(login) else None
            user, encoded = known if known is not None else (None, None)
            good = await self._passwords.verify(password, encoded)
            attempt.failed = not good or user is None or encoded is None or user.disabled
            if not good or user is None or encoded is None or user.disabled:
                raise InvalidCredentials("The username or the password is wrong.")
        better = await self._better_hash(password, encoded)
        return await self._open(user, encoded, better)

    async def confirm(self, identity: Identity, password: str, *, client: str | None = None) -> str:
        """Return the caller's password hash, once the password belongs to it: for what a log-in alone must not do.

        Raises:
            InvalidCredentials: the password is wrong.
            TooManyRequests: it was wrong too often just now.
        """
        async with self._throttle.attempt([user_key(identity.user_id), *client_key(client)]) as attempt:
            async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
                user = await unit.users.get(identity.user_id)
                known = await unit.users.by_login(user.email)
            encoded = known[1] if known is not None and known[0].id == user.id else None
            good = await self._passwords.verify(password, encoded)
            attempt.failed = not good or encoded is None
            if not good or encoded is None:
                raise InvalidCredentials("The current password is wrong.")
        return encoded

    async def refresh(self, refresh_token: str) -> TokenPair:
        """Spend a refresh token for a new pair. A token spent twice ends its session: somebody else has it.

        Callers of this process that bring one token at the same moment, as two tabs may, share one new pair: there is
        one line of tokens all the same, and a thief of the new token is found when it is spent again.

        Raises:
            InvalidCredentials: the token is unknown, spent or expired, or its session has ended.
        """
        sha256 = _sha256(refresh_token)
        running = self._refreshing.get(sha256)
        if running is None:
            running = asyncio.ensure_future(self._refresh(sha256))
            self._refreshing[sha256] = running
            running.add_done_callback(lambda done: self._refreshed(sha256, done))
        # A caller that leaves takes the pair from nobody else.
        return await asyncio.shield(running)

    async def web_token(self, identity: Identity) -> tuple[str, int] | None:
        """Return a token for the web cookie and its seconds, which are those that the session has left.

        It is an access token that lives as long as its session, because a cookie is sent by the browser alone and
        cannot be refreshed by a page that sleeps. A session that is ended takes it along at once. None without a
        session.
        """
        if identity.session_id is None:
            return None
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            session, user = await unit.sessions.with_user(identity.session_id)
        seconds = int((session.expires_at - self._clock.now()).total_seconds())
        return (await self._token(user, session, seconds), seconds) if seconds > 0 else None

    async def log_out(self, identity: Identity) -> None:
        """End the caller's session at once, with its tokens and sockets; without one there is nothing to end.

        Raises:
            Forbidden: the caller came with a key, which is deleted instead.
        """
        check_log_in(identity)
        if identity.session_id is None:
            return
        async with self._storage.unit_of_work() as unit:
            await unit.sessions.revoke(identity.session_id, self._clock.now())
            await unit.commit()
        await self._changes.tell(AccountChange(identity.user_id, Ends.SESSION, identity.session_id))

    async def _open(self, user: User, encoded: str, better: str | None) -> TokenPair:
        now = self._clock.now()
        session = Session(new_id(), user.id, now, now + timedelta(days=self._core.session_days))
        refresh = secrets.token_urlsafe(32)
        async with self._storage.unit_of_work() as unit:
            user, current = await unit.users.hold(user.id)
            if user.disabled or current != encoded:
                # The password was changed while this one was verified: it must not open what that has just closed.
                raise InvalidCredentials("The username or the password is wrong.")
            if better is not None:
                await unit.users.set_password_hash(user.id, better)
            await unit.sessions.add(session)
            await unit.sessions.add_refresh_token(_sha256(refresh), session.id, session.expires_at)
            await unit.commit()
        return await self._pair(user, session, refresh)

    async def _refresh(self, sha256: str) -> TokenPair:
        refresh = secrets.token_urlsafe(32)
        now = self._clock.now()
        async with self._storage.unit_of_work() as unit:
            use = await unit.sessions.spend_refresh_token(sha256, now)
            if use is None:
                raise InvalidCredentials("This refresh token is unknown or expired. Log in again.")
            session, user = await unit.sessions.with_user(use.session_id)
            if use.reused:
                await unit.sessions.revoke(session.id, now)
            elif session.revoked_at is not None or session.expires_at <= now or user.disabled:
                raise InvalidCredentials("This session has ended. Log in again.")
            else:
                await unit.sessions.add_refresh_token(_sha256(refresh), session.id, session.expires_at)
            await unit.commit()
        if use.reused:
            await self._changes.tell(AccountChange(user.id, Ends.SESSION, session.id))
            raise InvalidCredentials("This refresh token was spent before, so its session was ended. Log in again.")
        return await self._pair(user, session, refresh)

    def _refreshed(self, sha256: str, done: asyncio.Future[TokenPair]) -> None:
        del self._refreshing[sha256]
        if not done.cancelled():
            done.exception()  # all who asked may be gone: nobody else takes note of it

    async def _pair(self, user: User, session: Session, refresh: str) -> TokenPair:
        ttl = self._core.access_token_minutes * 60
        return TokenPair(await self._token(user, session, ttl), refresh, ttl, session, user)

    async def _token(self, user: User, session: Session, ttl_seconds: int) -> str:
        issuer = self._host.find(TOKEN_ISSUERS)
        if issuer is None:
            raise ConfigError("No token issuer is loaded: see `eudai plugins list` and EUDAI_TOKEN_ISSUER.")
        return await issuer.issue(user, session, ttl_seconds=ttl_seconds)

    async def _better_hash(self, password: str, encoded: str) -> str | None:
        if not self._passwords.needs_rehash(encoded):
            return None
        try:
            return await self._passwords.hash(password)
        except EudaiError:
            return None  # the old hash still verifies: a log-in never fails for the sake of a better one


def _possible(login: str) -> bool:
    """Tell whether anybody can have this login; a database may not even be asked for some texts."""
    return len(login) <= LONGEST_LOGIN and storable(login) == login


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
