"""The keys that sign access tokens.

A token names its key by ``kid``. Its header is looked up whole among the headers that our own keys write, and is never
parsed before the signature was checked: the algorithm, the key and every other parameter are ours or the token is not.

The names of the keys are in storage, where all processes see them; each key is derived from the server's secret and
its name (HMAC-SHA256, as in the expansion of RFC 5869), so that the secret itself signs nothing and is stored nowhere.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from eudai_core.contracts import Clock
from eudai_core.errors import ConfigError, EudaiError
from eudai_core.services.signing_keys import SigningKeyNames

__all__ = ["ALGORITHM", "FRESH_S", "LOOK_S", "KeyRing", "SigningKey"]

ALGORITHM: Final = "HS256"
"""HMAC with SHA-256 (RFC 7518, section 3.2), the only one."""
FRESH_S: Final = 30.0
"""Seconds for which the names are believed: within them another process may have changed them."""
LOOK_S: Final = 1.0
"""Seconds between two looks for keys that are not known: a stranger's tokens must not become queries."""

_MIN_BYTES: Final = 32
_PURPOSE: Final = b"eudai access token v2 "
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key and its public name."""

    kid: str
    secret: bytes = field(repr=False)

    @classmethod
    def derive(cls, root: bytes, kid: str) -> SigningKey:
        """Make the key of this name from the server's secret.

        Raises:
            ConfigError: ``root`` is shorter than 32 bytes.
        """
        if len(root) < _MIN_BYTES:
            raise ConfigError(
                f"The secret key has {len(root)} bytes, but {_MIN_BYTES} are needed: "
                "leave EUDAI_SECRET_KEY unset to have one made, or set a long random one."
            )
        return cls(kid, hmac.digest(root, _PURPOSE + kid.encode(), "sha256"))

    @property
    def header(self) -> str:
        """The first part of every token that this key signs."""
        header = {"alg": ALGORITHM, "kid": self.kid, "typ": "JWT"}
        encoded = json.dumps(header, separators=(",", ":"), sort_keys=True).encode("ascii")
        return base64.urlsafe_b64encode(encoded).rstrip(b"=").decode("ascii")


class KeyRing:
    """The key that signs, and all keys whose tokens are accepted; read again twice a minute."""

    def __init__(self, names: SigningKeyNames, root: bytes, clock: Clock) -> None:
        """Derive keys from ``root``; nothing is read before the first use.

        Raises:
            ConfigError: ``root`` is shorter than 32 bytes.
        """
        SigningKey.derive(root, "")
        self._names = names
        self._root = root
        self._clock = clock
        self._current: SigningKey | None = None
        self._by_header: Mapping[str, SigningKey] = {}
        self._read = float("-inf")
        self._tried = float("-inf")
        self._turn = asyncio.Lock()

    async def current(self) -> SigningKey:
        """Return the key that signs.

        Raises:
            StorageUnavailable: its name was never read, and cannot be now.
        """
        if self._current is None or self._age() > FRESH_S:
            await self._refresh(FRESH_S)
        if self._current is None:
            raise ConfigError("There is no signing key.")  # accepted() gives one at least
        return self._current

    async def key_of(self, token: str) -> SigningKey | None:
        """Return the key that the token says it was signed with, or None when it is none of ours.

        Raises:
            StorageUnavailable: no name was ever read, and none can be now.
        """
        header = token.partition(".")[0]
        if self._current is None or self._age() > FRESH_S:
            await self._refresh(FRESH_S)
        elif header not in self._by_header:
            await self._refresh(LOOK_S)
        return self._by_header.get(header)

    def _age(self) -> float:
        return self._clock.monotonic() - self._read

    async def _refresh(self, older_than: float) -> None:
        """Read the names again, unless that was done, or tried, a moment ago."""
        async with self._turn:
            now = self._clock.monotonic()
            known = self._current is not None
            if known and (now - self._read <= older_than or now - self._tried <= LOOK_S):
                return
            self._tried = now
            try:
                records = await self._names.accepted()
            except EudaiError as error:
                if not known:
                    raise
                # What was read before is still good, and who is asked for comes from the same storage anyway.
                _log.info("the names of the signing keys cannot be read now: %s", error.detail)
                return
            keys = [SigningKey.derive(self._root, record.kid) for record in records]
            self._current, self._by_header, self._read = keys[0], {key.header: key for key in keys}, now
