"""Accounts: signing up, who a request comes from, and what users do with their own account."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import replace
from typing import Final

from eudai_core.contracts import Authenticator, Clock, Storage
from eudai_core.errors import FieldError, Forbidden, InvalidCredentials, InvalidInput, PluginError, Unauthorized
from eudai_core.ids import new_id
from eudai_core.model import Credentials, Identity, TokenPair, User
from eudai_core.plugins import PluginHost
from eudai_core.plugins.roles import AUTHENTICATORS, EVENT_BUSES, PASSWORD_HASHERS
from eudai_core.services.access import check_log_in
from eudai_core.services.account_changes import AccountChange, AccountChanges, Ends
from eudai_core.services.account_upkeep import AccountUpkeep
from eudai_core.services.fields import check_text
from eudai_core.services.garbage import BlobGarbage
from eudai_core.services.invites import sha256_of
from eudai_core.services.logins import LogIns
from eudai_core.services.notices import Notices
from eudai_core.services.passwords import Passwords
from eudai_core.services.sessions import LiveIdentities
from eudai_core.services.throttling import Throttle, client_key, sign_up_key
from eudai_core.settings import CoreSettings

__all__ = ["Accounts"]

NAME: Final = re.compile(r"[^\W_][\w.\-]{0,63}")
EMAIL: Final = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,189}")
AUTHENTICATE_S: Final = 5.0
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class Accounts:
    """The accounts service."""

    def __init__(
        self,
        host: PluginHost,
        storage: Storage,
        clock: Clock,
        core: CoreSettings,
        notices: Notices,
        garbage: BlobGarbage,
    ) -> None:
        self._host = host
        self._storage = storage
        self._clock = clock
        self._core = core
        self._notices = notices
        self._garbage = garbage
        self.passwords: Final = Passwords(host.all(PASSWORD_HASHERS))
        self._live = LiveIdentities(storage, clock)
        self.changes: Final = AccountChanges(self._live, host.one(EVENT_BUSES), clock)
        self._throttle = Throttle(storage, clock, on=core.rate_limits)
        self._log_ins = LogIns(host, storage, clock, core, self.passwords, self._throttle, self.changes)
        self._upkeep = AccountUpkeep(storage, clock)

    def close(self) -> None:
        """Let go of the hashing threads."""
        self.passwords.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hear of what other processes end, and tidy up, until the block ends."""
        async with self.changes.heard(), self._upkeep.running():
            yield

    @property
    def signup(self) -> str:
        """Who may sign up: ``open``, ``invite`` or ``closed``; without a setting, open on loopback only."""
        if self._core.signup is not None:
            return self._core.signup
        return "open" if self._core.host in LOOPBACK else "invite"

    async def sign_up(
        self, *, username: str, email: str, password: str, invite: str | None = None, client: str | None = None
    ) -> User:
        """Create an account for whoever asks, where signing up is open, or with the code of an invitation.

        Raises:
            Forbidden: signing up is closed, or there is no good invitation.
            Conflict: the name or the e-mail is taken.
            TooManyRequests: too many codes of this address were wrong, or it made too many accounts.
        """
        if self.signup == "closed":
            raise Forbidden("Signing up is closed here. Ask the operator, who runs `eudai users create`.")
        if self.signup == "open":
            async with self._throttle.attempt(sign_up_key(client)) as attempt:
                attempt.failed = True  # each costs a hash, and most people need one account
                return await self.create_user(username=username, email=email, password=password)
        if not invite:
            raise Forbidden("Signing up needs an invitation here: send its code as `invite`. Administrators make them.")
        async with self._throttle.attempt(client_key(client)) as attempt:
            # Before anything else is looked at: without a good code nobody learns which names are taken.
            async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
                attempt.failed = not await unit.invites.usable(sha256_of(invite), at=self._clock.now())
            if attempt.failed:
                raise _bad_invite()
            user, encoded = await self._prepare(username, email, password, is_admin=False)
            async with self._storage.unit_of_work() as unit:
                await unit.users.add(user, encoded)
                good = await unit.invites.spend(sha256_of(invite), user_id=user.id, at=user.created_at)
                attempt.failed = not good
                if not good:
                    raise _bad_invite()
                await unit.commit()
        return user

    async def create_user(self, *, username: str, email: str, password: str, is_admin: bool = False) -> User:
        """Create an account as the operator; see :meth:`sign_up` for strangers."""
        user, encoded = await self._prepare(username, email, password, is_admin=is_admin)
        async with self._storage.unit_of_work() as unit:
            await unit.users.add(user, encoded)
            await unit.commit()
        return user

    async def log_in(self, *, login: str, password: str, client: str | None = None) -> TokenPair:
        """Open a session; see :class:`LogIns`."""
        return await self._log_ins.log_in(login=login, password=password, client=client)

    async def refresh(self, refresh_token: str) -> TokenPair:
        """Spend a refresh token for a new pair; see :class:`LogIns`."""
        return await self._log_ins.refresh(refresh_token)

    async def web_token(self, identity: Identity) -> tuple[str, int] | None:
        """Return a token for the web cookie and its seconds; see :class:`LogIns`."""
        return await self._log_ins.web_token(identity)

    async def log_out(self, identity: Identity) -> None:
        """End the caller's session at once; see :class:`LogIns`."""
        await self._log_ins.log_out(identity)

    async def authenticate(self, credentials: Credentials | None) -> Identity:
        """Return who the credentials prove, as that user is now.

        Raises:
            Unauthorized: there are none, nobody knows their kind, or they are wrong, expired or revoked.
        """
        if credentials is None:
            raise Unauthorized("This needs a log-in: POST /api/auth/login gives a token.")
        for name, authenticator in self._host.all(AUTHENTICATORS).items():
            identity = await self._ask(name, authenticator, credentials)
            if identity is not None:
                return await self._live.fresh(identity)
        raise Unauthorized("These credentials are of no kind that this server knows.")

    def watch_session(self, identity: Identity) -> AbstractContextManager[asyncio.Event]:
        """Give an event that is set when the caller's session or key ends, or the account."""
        return self._live.watch(identity)

    async def check_session(self, identity: Identity) -> None:
        """Check again that the caller may be here, for connections that live long.

        Raises:
            InvalidCredentials: the session, the key or the account has ended.
        """
        await self._live.fresh(identity)

    async def me(self, identity: Identity) -> User:
        """Return the caller's account."""
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            return await unit.users.get(identity.user_id)

    async def change(
        self,
        identity: Identity,
        *,
        current_password: str,
        email: str | None = None,
        password: str | None = None,
        client: str | None = None,
    ) -> User:
        """Change the caller's e-mail, password, or both. A new password ends all other sessions, with their sockets.

        API keys stay: they are listed, and revoked one by one.

        Raises:
            InvalidCredentials: the current password is wrong.
            Conflict: the e-mail is another's.
            Forbidden: the caller came with a key.
        """
        check_log_in(identity)
        if email is not None:
            _check_email(email)
        verified = await self._log_ins.confirm(identity, current_password, client=client)
        encoded = await self.passwords.hash(password) if password is not None else None
        async with self._storage.unit_of_work() as unit:
            user, current = await unit.users.hold(identity.user_id)
            if current != verified:
                raise InvalidCredentials("The current password is wrong.")  # it was changed meanwhile
            if email is not None:
                user = replace(user, email=email)
                await unit.users.update(user)
            if encoded is not None:
                await unit.users.set_password_hash(user.id, encoded)
                await unit.sessions.revoke_all(user.id, self._clock.now(), but=identity.session_id)
            await unit.commit()
        if encoded is not None:
            await self.changes.tell(AccountChange(user.id, Ends.SESSIONS, identity.session_id))
        self._notices.tell("user", "updated", user.id, user.id)
        return user

    async def delete(self, identity: Identity, *, current_password: str, client: str | None = None) -> None:
        """Delete the caller's account with everything of theirs, and close what they have open.

        Raises:
            InvalidCredentials: the current password is wrong.
            Forbidden: the caller came with a key.
        """
        check_log_in(identity)
        await self._log_ins.confirm(identity, current_password, client=client)
        async with self._storage.unit_of_work() as unit:
            projects = await unit.projects.ids(identity.user_id)
            keys = await unit.users.delete(identity.user_id)
            await self._garbage.schedule(unit, keys)
            await unit.commit()
        self._garbage.wake()
        await self.changes.tell(AccountChange(identity.user_id, Ends.EVERYTHING))
        for project_id in projects:  # answers that are being made there stop
            self._notices.tell("project", "deleted", identity.user_id, project_id)
        self._notices.tell("user", "deleted", identity.user_id, identity.user_id)

    async def _prepare(self, username: str, email: str, password: str, *, is_admin: bool) -> tuple[User, str]:
        check_text("$.username", username, longest=64, shortest=1)
        if not NAME.fullmatch(username):
            problem = "must begin with a letter or digit and go on with letters, digits, '.', '_' or '-'"
            raise InvalidInput(f"The username {problem}.", errors=(FieldError("$.username", problem),))
        _check_email(email)
        encoded = await self.passwords.hash(password)
        return User(new_id(), username, email, self._clock.now(), is_admin), encoded

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


def _check_email(email: str) -> None:
    check_text("$.email", email, longest=254, shortest=3)
    if not EMAIL.fullmatch(email):
        raise InvalidInput("The e-mail is not an address.", errors=(FieldError("$.email", "is no e-mail address"),))


def _bad_invite() -> Forbidden:
    return Forbidden("This invitation is unknown, used or expired. Ask for a new one.")
