"""Hashing passwords without hurting anybody else: a small pool of its own, and the same work for unknown users."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from eudai_core.contracts import PasswordHasher
from eudai_core.errors import ConfigError, FieldError, InvalidInput, TooManyRequests

__all__ = ["Passwords"]

T = TypeVar("T")
WORKERS: Final = 2
QUEUE: Final = 100
"""Passwords that may be at work or wait for it: some ten seconds' worth."""
SHORTEST: Final = 8
LONGEST: Final = 1024


class Passwords:
    """The password hashers in the operator's order: the first hashes, all verify."""

    def __init__(self, hashers: Mapping[str, PasswordHasher]) -> None:
        self._hashers = list(hashers.values())
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="eudai-password")
        self._waiting = 0
        self._dummy: str | None = None

    async def hash(self, password: str) -> str:
        """Return the hash of a new password.

        Raises:
            InvalidInput: it is shorter than 8 or longer than 1024 characters, or the hasher refuses it.
            TooManyRequests: too many passwords wait to be hashed.
        """
        # Bounded before it is normalised: the work of that grows with the square of a run of combining marks.
        text = normalise(password[: LONGEST + 1])
        if len(password) > LONGEST or not SHORTEST <= len(text) <= LONGEST:
            problem = f"must have {SHORTEST} to {LONGEST} characters"
            raise InvalidInput(f"The password {problem}.", errors=(FieldError("$.password", problem),))
        return await self._work(self._first().hash, text)

    async def verify(self, password: str, encoded: str | None) -> bool:
        """Tell whether the password belongs to the hash; None, for an unknown user, costs the same and is False.

        Raises:
            TooManyRequests: too many passwords wait to be verified.
        """
        # Made before the first answer of all, so that none of them takes longer than another.
        nobodys = await self._dummy_hash()
        hasher = next((one for one in self._hashers if encoded is not None and one.recognises(encoded)), None)
        if hasher is None or encoded is None or len(password) > LONGEST:
            await self._work(self._first().verify, normalise(password[:LONGEST]), nobodys)
            return False
        return await self._work(hasher.verify, normalise(password), encoded)

    def needs_rehash(self, encoded: str) -> bool:
        """Tell whether the hash should be made anew at this log-in."""
        first = self._first()
        return not first.recognises(encoded) or first.needs_rehash(encoded)

    def close(self) -> None:
        """End the pool."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _first(self) -> PasswordHasher:
        if not self._hashers:
            raise ConfigError("No password hasher is loaded: see `eudai plugins list` and EUDAI_PASSWORD_HASHERS.")
        return self._hashers[0]

    async def _dummy_hash(self) -> str:
        if self._dummy is None:
            self._dummy = await self._work(self._first().hash, "nobody has this password")
        return self._dummy

    async def _work(self, function: Callable[..., T], *args: str) -> T:
        if self._waiting >= QUEUE:
            raise TooManyRequests("Too many log-ins at once. Try again in a moment.", retry_after=2)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)
        finally:
            self._waiting -= 1


def normalise(password: str) -> str:
    """Return the password in NFKC, so that every keyboard gives the same bytes."""
    return unicodedata.normalize("NFKC", password)
