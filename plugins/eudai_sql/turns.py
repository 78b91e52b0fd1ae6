"""Waiting for one of few connections, in the order of coming, as long as the database gets on with its work."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

import sqlalchemy as sa

__all__ = ["Turns"]

_LONGEST: Final = 15.0
"""Seconds after which nobody waits any more, however well the database works."""


class Turns:
    """So many may use a connection at once; the others wait for their turn.

    Many at once are no failure: whoever waits is sent away only when the database has answered nobody for as long as
    one is ready to wait.
    """

    def __init__(self, places: int) -> None:
        """Let ``places`` in at once."""
        self._free = places
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._answered = float("-inf")

    def answered(self) -> None:
        """The database has done something for somebody."""
        self._answered = asyncio.get_running_loop().time()

    def left(self, begun: float, patience: float) -> float:
        """Return the seconds that one who began at ``begun`` is still to wait for the database."""
        return max(begun, self._answered) + patience - asyncio.get_running_loop().time()

    async def take(self, begun: float, patience: float) -> None:
        """Return when it is one's turn; give it back once, whatever happens.

        Raises:
            sqlalchemy.exc.TimeoutError: the database has answered nobody for ``patience`` seconds.
        """
        if self._free:
            self._free -= 1
            return
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        try:
            while not turn.done():
                left = min(self.left(begun, patience), begun + _LONGEST - loop.time())
                if left <= 0:
                    raise sa.exc.TimeoutError("every connection is in use, and none comes free")
                await asyncio.wait([turn], timeout=left)
        except BaseException:
            if turn.done():
                self.give_back()
            else:
                self._waiting.remove(turn)
            raise

    def give_back(self) -> None:
        """Let the next one in."""
        if self._waiting:
            self._waiting.popleft().set_result(None)
        else:
            self._free += 1
