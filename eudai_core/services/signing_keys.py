"""The names of the keys that sign tokens: which are accepted, which one signs, and changing it.

A key is derived from the server's secret and its name by whoever signs, so that storage holds no secret and a signing
key that leaked tells nothing of the next one. A name carries a mark of the secret: processes with another secret leave
each other's keys alone.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

from eudai_core.contracts import Clock, Storage
from eudai_core.errors import Conflict
from eudai_core.model import SigningKeyRecord

__all__ = ["SigningKeyNames"]

_FIRST: Final = "first"
_PURPOSE: Final = b"eudai signing key name v1 "
_KEPT: Final = timedelta(days=1)
"""How long the name of a retired key is kept, so that clocks may differ."""


class SigningKeyNames:
    """The names of the signing keys of one secret."""

    def __init__(self, storage: Storage, clock: Clock, secret: bytes) -> None:
        self._storage = storage
        self._clock = clock
        self._secret = secret

    async def accepted(self) -> Sequence[SigningKeyRecord]:
        """Return the keys whose tokens are accepted now, newest first: that one signs. There is at least one.

        Where there is none yet, the first one is made. Its name is the same for all processes, so that of many that
        begin at once all have the same key.
        """
        found = await self._list()
        if not found:
            with suppress(Conflict):  # another process was faster, and made the same
                await self._add(self._name(_FIRST))
            found = await self._list()
        if not found:
            # The first key was retired long ago, with all that came after it: the operator's clock was wrong.
            await self._add(self._name(secrets.token_hex(8)))
            found = await self._list()
        return found

    async def rotate(self, *, retire_after: timedelta) -> SigningKeyRecord:
        """Add a key, which signs from now on, and accept those before it for ``retire_after`` only.

        Other processes sign with it within a minute, and accept it at once.
        """
        now = self._clock.now()
        fresh = SigningKeyRecord(self._name(secrets.token_hex(8)), now)
        async with self._storage.unit_of_work() as unit:
            for key in await unit.signing_keys.list():
                if key.retires_at is None or key.retires_at > now + retire_after:
                    await unit.signing_keys.retire(key.kid, now + retire_after)
            await unit.signing_keys.add(fresh)
            await unit.signing_keys.forget(retired_before=now - _KEPT)
            await unit.commit()
        return fresh

    async def _list(self) -> Sequence[SigningKeyRecord]:
        now = self._clock.now()
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            keys = await unit.signing_keys.list()
        return [key for key in keys if self._is_ours(key.kid) and (key.retires_at is None or key.retires_at > now)]

    async def _add(self, kid: str) -> None:
        async with self._storage.unit_of_work() as unit:
            await unit.signing_keys.add(SigningKeyRecord(kid, self._clock.now()))
            await unit.commit()

    def _name(self, stem: str) -> str:
        mark = hmac.digest(self._secret, _PURPOSE + stem.encode(), "sha256").hex()[:8]
        return f"{stem}-{mark}"

    def _is_ours(self, kid: str) -> bool:
        return hmac.compare_digest(kid.encode(), self._name(kid.rpartition("-")[0]).encode())
