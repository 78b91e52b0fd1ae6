"""One transaction over a state: many may read, one writes."""

from __future__ import annotations

import asyncio

from eudai_core.testing._memory.state import State

__all__ = ["Database", "Repository", "Transaction"]


class Database:
    """The state that was committed last, and whose turn it is to change it."""

    def __init__(self) -> None:
        """Begin empty."""
        self.state = State()
        self.turn = asyncio.Lock()


class Transaction:
    """Begins with its first statement. Whoever may write has a copy of the state, and nobody else may meanwhile."""

    def __init__(self, database: Database, *, readonly: bool, snapshot: bool) -> None:
        """Prepare."""
        self._database = database
        self._readonly = readonly
        self._keeps = snapshot
        self._state: State | None = None
        self._ended = False

    async def reading(self) -> State:
        """Return the state to read in a statement."""
        if self._ended:
            raise RuntimeError("this unit of work has ended; begin another one")
        if self._state is None and not self._readonly:
            await self._database.turn.acquire()
            self._state = self._database.state.copy()
        # As with every real database, others have their turn meanwhile.
        await asyncio.sleep(0)
        if self._state is None and self._keeps:
            self._state = self._database.state
        return self._state or self._database.state

    async def writing(self) -> State:
        """Return the state to change in a statement."""
        if self._readonly:
            raise RuntimeError("this unit of work is readonly; begin one that may write")
        return await self.reading()

    def commit(self) -> None:
        """Put this transaction's state in place of the last one, and end."""
        if self._state is not None and not self._ended and not self._readonly:
            self._database.state = self._state
        self.end()

    def end(self) -> None:
        """Forget what was not committed."""
        if self._state is not None and not self._readonly:
            self._database.turn.release()
        self._state = None
        self._ended = True


class Repository:
    """Statements of one concern, in one transaction."""

    __slots__ = ("_tx",)

    def __init__(self, transaction: Transaction) -> None:
        """Work in ``transaction``."""
        self._tx = transaction
