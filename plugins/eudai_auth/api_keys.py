"""The authenticator ``api_key``: keys for scripts, which come where an access token would.

Every request looks the key up, so that one that was deleted, or whose user was disabled, is dead at once.
"""

from __future__ import annotations

import logging
from typing import Final
from uuid import UUID

from eudai_core.contracts import Clock, PluginContext, Storage
from eudai_core.errors import EudaiError, InvalidCredentials
from eudai_core.model import ApiKey, Credentials, Identity
from eudai_core.services.api_keys import PREFIX, belongs, parse_key

__all__ = ["ApiKeyAuthenticator", "api_key_authenticator"]

NOTED_EVERY_S: Final = 60.0
_MOST: Final = 10_000
_log = logging.getLogger(__name__)


class ApiKeyAuthenticator:
    """See eudai_core.contracts.Authenticator. Takes keys as bearer tokens only, never from a cookie."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        """Look keys up in ``storage``."""
        self._storage = storage
        self._clock = clock
        self._noted: dict[UUID, float] = {}

    async def authenticate(self, credentials: Credentials) -> Identity | None:
        """Return whose key it is, with the scopes of the key, or None for what is no key.

        Raises:
            InvalidCredentials: it looks like a key, and is unknown, deleted or expired.
        """
        if credentials.scheme != "bearer" or not credentials.value.startswith(PREFIX):
            return None
        parts = parse_key(credentials.value)
        if parts is None:
            raise _invalid()
        key_id, secret = parts
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            found = await unit.api_keys.find(key_id)
        if found is None:
            raise _invalid()
        key, sha256, user = found
        good = belongs(secret, sha256)
        if not good or user.disabled or (key.expires_at is not None and key.expires_at <= self._clock.now()):
            raise _invalid()
        await self._note(key)
        return Identity(user.id, user.username, user.is_admin, scopes=key.scopes, key_id=key.id)

    async def _note(self, key: ApiKey) -> None:
        """Note when the key was used, once a minute."""
        now = self._clock.now()
        if key.last_used_at is not None and (now - key.last_used_at).total_seconds() < NOTED_EVERY_S:
            return
        tick = self._clock.monotonic()
        if tick - self._noted.get(key.id, float("-inf")) < NOTED_EVERY_S:
            return  # another request of this process is writing it
        if len(self._noted) >= _MOST:
            self._noted.clear()
        self._noted[key.id] = tick
        try:
            async with self._storage.unit_of_work() as unit:
                await unit.api_keys.used(key.id, now)
                await unit.commit()
        except EudaiError as error:
            _log.info("the use of an API key was not noted: %s", error.detail)


def api_key_authenticator(context: PluginContext) -> ApiKeyAuthenticator:
    """Make the authenticator over the chosen storage."""
    return ApiKeyAuthenticator(context.storage, context.clock)


def _invalid() -> InvalidCredentials:
    return InvalidCredentials("The API key is unknown, deleted or expired.")
