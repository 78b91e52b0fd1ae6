"""Requests that may be sent again: under a key of the caller's, one is done and all are answered alike for a day.

What is kept cannot be read without the key: the answer may hold what is shown only once, such as an API key, and
storage knows neither the key (a hash of it stands there) nor the answer (it is sealed with the key).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from eudai_core.contracts import Clock, Storage
from eudai_core.errors import Conflict, EudaiError
from eudai_core.model import Identity, StoredAnswer

__all__ = ["Idempotency", "Make"]

Make = Callable[[], Awaitable[tuple[str, int, dict[str, str], bytes]]]
"""Does what is asked for; returns the hash of the request, and the status, headers and body of its answer."""
KEPT: Final = timedelta(hours=24)
STALE: Final = timedelta(minutes=1)
"""A request that was not heard of for so long died with its process: the next one under its key takes over."""
BEAT_S: Final = 20.0
"""How often a request that takes long says that it lives."""
WAIT_S: Final = 10.0
"""How long a request waits for another one under its key."""
POLL_S: Final = 0.25
"""How often it looks whether that has ended in another process."""
UPKEEP_S: Final = 3600.0
CLOSE_S: Final = 5.0
_NONCE: Final = 16
_log = logging.getLogger(__name__)


class Idempotency:
    """Does requests once."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._here: dict[tuple[UUID, str], asyncio.Event] = {}
        """Requests that this process is answering; set when they have ended."""
        self._tasks: set[asyncio.Task[StoredAnswer]] = set()

    async def once(
        self,
        identity: Identity,
        key: str,
        request_hash: str | None,
        make: Make,
    ) -> StoredAnswer:
        """Return the answer that ``make`` gives, or gave when the same request came before.

        ``make`` goes on to its end when the caller is cancelled, because what it creates may be there already.
        ``request_hash`` is None where only ``make`` finds it out: then the caller compares. What is refused (a status
        from 400, or an error) gives the key back.

        Raises:
            Conflict: the key was used for another request, or that request is still being answered.
        """
        name = _name(identity, key)
        kept = await self._take(identity, name, request_hash)
        if kept is not None:
            return replace(kept, body=_opened(kept.body, identity.user_id, key))
        making = self._make(identity, name, key, request_hash or "", make)
        task = asyncio.create_task(making, name="eudai-idempotent-request")
        self._tasks.add(task)
        task.add_done_callback(self._made)
        return await asyncio.shield(task)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Forget old answers once an hour until the block ends, then let what is under way end."""
        task = asyncio.create_task(self._repeat(), name="eudai-idempotency")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=CLOSE_S)

    async def tidy(self) -> int:
        """Forget what is older than a day; return how much that was."""
        async with self._storage.unit_of_work() as unit:
            count = await unit.answers.forget(begun_before=self._clock.now() - KEPT)
            await unit.commit()
        return count

    async def _take(self, identity: Identity, name: str, request_hash: str | None) -> StoredAnswer | None:
        """Take the key, and return None; or return what is kept under it, waiting a while for its end."""
        until = self._clock.monotonic() + WAIT_S
        while True:
            kept = await self._begin(identity.user_id, name, request_hash or "")
            if kept is None:
                self._here[identity.user_id, name] = asyncio.Event()
                return None
            if request_hash is not None and kept.request_hash not in {"", request_hash}:
                raise Conflict("This Idempotency-Key was used for another request. Use a new one.")
            if kept.status is not None:
                return kept
            left = until - self._clock.monotonic()
            if left <= 0:
                raise Conflict(
                    "The first request with this Idempotency-Key is still being answered. Send it again in a moment.",
                    retry_after=WAIT_S,
                )
            await self._pause(identity.user_id, name, min(left, POLL_S))

    async def _begin(self, user_id: UUID, name: str, request_hash: str, *, again: bool = False) -> StoredAnswer | None:
        now = self._clock.now()
        # Taking over one's own is how one says that one lives.
        stale_before = now + STALE if again else now - STALE
        async with self._storage.unit_of_work() as unit:
            kept = await unit.answers.begin(user_id, name, StoredAnswer(request_hash, now), stale_before=stale_before)
            await unit.commit()
        return kept

    async def _pause(self, user_id: UUID, name: str, seconds: float) -> None:
        ended = self._here.get((user_id, name))
        if ended is None:
            await self._clock.sleep(seconds)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await ended.wait()

    async def _make(
        self,
        identity: Identity,
        name: str,
        key: str,
        known_hash: str,
        make: Make,
    ) -> StoredAnswer:
        beat = asyncio.create_task(self._beat(identity.user_id, name, known_hash))
        kept = False
        try:
            request_hash, status, headers, body = await make()
            answer = StoredAnswer(request_hash, self._clock.now(), status, headers, body)
            if status < 400:
                kept = await self._finish(identity.user_id, name, key, answer)
            return answer
        finally:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)
            if not kept:
                await self._drop(identity.user_id, name)
            self._here.pop((identity.user_id, name)).set()

    async def _finish(self, user_id: UUID, name: str, key: str, answer: StoredAnswer) -> bool:
        """Keep an answer. The key is not given back when that fails: what was asked for is done."""
        try:
            async with self._storage.unit_of_work() as unit:
                await unit.answers.finish(user_id, name, replace(answer, body=_sealed(answer.body, user_id, key)))
                await unit.commit()
        except EudaiError as error:
            _log.warning("an answer was given and could not be kept for a repetition: %s", error.detail)
        return True

    async def _drop(self, user_id: UUID, name: str) -> None:
        try:
            async with self._storage.unit_of_work() as unit:
                await unit.answers.drop(user_id, name)
                await unit.commit()
        except EudaiError as error:
            _log.info("a key could not be given back, and is free in a minute: %s", error.detail)

    async def _beat(self, user_id: UUID, name: str, known_hash: str) -> None:
        while True:
            await self._clock.sleep(BEAT_S)
            with suppress(EudaiError):  # the next beat may work; if none does, another request may take over
                await self._begin(user_id, name, known_hash, again=True)

    def _made(self, task: asyncio.Task[StoredAnswer]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked may be gone: nobody else takes note of it

    async def _repeat(self) -> None:
        while True:
            await self._clock.sleep(UPKEEP_S)
            try:
                await self.tidy()
            except EudaiError as error:
                _log.info("old answers were not forgotten, which is tried again: %s", error.detail)
            except Exception:  # whatever it is, the next time may work, and nothing else depends on it
                _log.exception("old answers were not forgotten, which is tried again")


def _name(identity: Identity, key: str) -> str:
    """Return what a key is called in storage. Who may do less cannot read what was answered to who may do more."""
    scopes = "all" if identity.scopes is None else " ".join(sorted(identity.scopes))
    return hashlib.sha256(f"{scopes}\n{key}".encode()).hexdigest()


def _sealed(body: bytes, user_id: UUID, key: str) -> bytes:
    nonce = secrets.token_bytes(_NONCE)
    return nonce + _mixed(body, nonce, user_id, key)


def _opened(sealed: bytes, user_id: UUID, key: str) -> bytes:
    return _mixed(sealed[_NONCE:], sealed[:_NONCE], user_id, key)


def _mixed(text: bytes, nonce: bytes, user_id: UUID, key: str) -> bytes:
    """Add to a text, bit by bit, a stream that only the key gives (SHAKE256, FIPS 202); once more takes it away."""
    stream = hashlib.shake_256(b"eudai idempotency" + user_id.bytes + nonce + key.encode()).digest(len(text))
    return (int.from_bytes(text, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(text), "big")
