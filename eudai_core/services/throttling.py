"""Slowing down whoever guesses passwords: each account and each client address pays for its failures with time.

Failures are counted in storage, so that all processes count together, and by what was typed, so that a name that
nobody has is slowed down like any other. After some failures that are free, the next try is refused until a second
has passed since the last one, then two, four, up to a quarter of an hour; a refused try is no failure and costs
nothing. An hour without failures, or a success, and the account begins anew. An address begins anew only by waiting:
whoever has one good password must not use it to go on guessing others.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import unicodedata
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final
from uuid import UUID

from eudai_core.contracts import Clock, Storage, UnitOfWork
from eudai_core.errors import EudaiError, TooManyRequests
from eudai_core.model import Failures

__all__ = ["FORGOTTEN_AFTER", "Attempt", "Throttle", "account_key", "client_key", "sign_up_key", "user_key"]

FREE: Final = {"account": 5, "user": 5, "client": 50, "signup": 20}
"""How many failures in a row cost nothing. Many people may share one address."""
LONGEST_S: Final = 900.0
FORGOTTEN_AFTER: Final = timedelta(hours=1)
_CLIENT: Final = "client:"
_LOGIN: Final = 320
_log = logging.getLogger(__name__)


class Attempt:
    """One try. ``failed`` is None until it is known whether it did, and stays so for what was no try at all."""

    def __init__(self) -> None:
        self.failed: bool | None = None


class Throttle:
    """Counts failures and refuses the next try while it is too early."""

    def __init__(self, storage: Storage, clock: Clock, *, on: bool = True) -> None:
        """Throttle, or, with ``on`` false, let everybody try as often as they like."""
        self._storage = storage
        self._clock = clock
        self._on = on
        self._trying: Counter[str] = Counter()
        self._ended = 0

    @asynccontextmanager
    async def attempt(self, keys: Sequence[str]) -> AsyncIterator[Attempt]:
        """Let one try be made under some keys; the block tells how it ended.

        Raises:
            TooManyRequests: it is too early for one; says when it will not be.
        """
        if not self._on:
            yield Attempt()
            return
        known = await self._admitted(keys)
        attempt = Attempt()
        try:
            yield attempt
        finally:
            try:
                if attempt.failed:
                    await self._count(keys)
                elif attempt.failed is False:
                    await self._clear([key for key in known if not key.startswith(_CLIENT)])
            finally:
                # Only now: whoever is let in next finds this try counted.
                self._trying -= Counter(keys)
                self._ended += 1

    async def _admitted(self, keys: Sequence[str]) -> Mapping[str, Failures]:
        """Return what is known of the keys, under which a try is being made now."""
        while True:
            ended = self._ended
            async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
                known = await unit.login_failures.get(keys)
            self._admit(keys, known)
            if ended == self._ended:
                self._trying.update(keys)
                return known
            # A try ended while this was read, perhaps one of these keys: it may count by now.

    def _admit(self, keys: Sequence[str], known: Mapping[str, Failures]) -> None:
        """Refuse a try that is too early; those under way count as failed until they end, so that no burst slips in."""
        wait = max((self._wait(key, failures) for key, failures in known.items()), default=0.0)
        if wait <= 0 and any(self._is_crowded(key, known.get(key)) for key in keys):
            wait = 1.0
        if wait > 0:
            raise TooManyRequests("Too many tries. Wait, then try again.", retry_after=wait)

    def _is_crowded(self, key: str, failures: Failures | None) -> bool:
        under_way = self._trying[key]
        failed = 0 if failures is None or self._is_old(failures) else failures.count
        if key.startswith(_CLIENT) and not failed:
            return False  # a whole office may log in at nine
        return under_way > 0 and failed + under_way >= FREE[key.partition(":")[0]]

    def _is_old(self, failures: Failures) -> bool:
        return self._clock.now() - failures.last_at >= FORGOTTEN_AFTER

    def _wait(self, key: str, failures: Failures) -> float:
        passed = (self._clock.now() - failures.last_at).total_seconds()
        # A clock that was set back must not lock anybody out for longer than was meant.
        return self._delay(key, failures) - max(passed, 0.0)

    def _delay(self, key: str, failures: Failures) -> float:
        if self._is_old(failures):
            return 0.0
        over = failures.count - FREE[key.partition(":")[0]]
        return 0.0 if over < 0 else min(2.0 ** min(over, 20), LONGEST_S)

    async def _count(self, keys: Sequence[str]) -> None:
        now = self._clock.now()
        async with self._storing() as unit:
            await unit.login_failures.add(keys, at=now, forget_before=now - FORGOTTEN_AFTER)
            await unit.commit()

    async def _clear(self, keys: Sequence[str]) -> None:
        if not keys:
            return
        async with self._storing() as unit:
            await unit.login_failures.clear(keys)
            await unit.commit()

    @asynccontextmanager
    async def _storing(self) -> AsyncIterator[UnitOfWork]:
        try:
            async with self._storage.unit_of_work() as unit:
                yield unit
        except EudaiError as error:
            # The answer is known by now. Without storage the next try fails for everybody.
            _log.warning("a log-in could not be counted: %s", error.detail)


def sign_up_key(client: str | None) -> list[str]:
    """Return the key under which a client address makes accounts; this machine itself may make any number."""
    found = client_key(client)
    if not found or client in {"127.0.0.1", "::1"}:
        return []
    return [found[0].replace(_CLIENT, "signup:", 1)]


def account_key(login: str) -> str:
    """Return the key of what somebody typed as a name or e-mail, whoever has it; compared as log-ins are."""
    folded = unicodedata.normalize("NFKC", login[:_LOGIN]).casefold()
    return "account:" + hashlib.sha256(folded.encode("utf-8", "surrogatepass")).hexdigest()


def user_key(user_id: UUID) -> str:
    """Return the key of a user who confirms something with the password."""
    return f"user:{user_id}"


def client_key(client: str | None) -> list[str]:
    """Return the key of a client address, or none: an IPv6 network of 64 bits is one client, as it is one line.

    What is no address, such as the name of a local socket, has no key: whoever comes that way is this machine.
    """
    try:
        address = ipaddress.ip_address((client or "").partition("%")[0])
    except ValueError:
        return []
    mapped = getattr(address, "ipv4_mapped", None)
    if isinstance(mapped, ipaddress.IPv4Address):
        address = mapped
    if address.version == 4:
        return [f"{_CLIENT}{address}"]
    return [f"{_CLIENT}{ipaddress.ip_network((address, 64), strict=False).network_address}/64"]
