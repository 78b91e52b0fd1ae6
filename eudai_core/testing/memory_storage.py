"""A storage that keeps everything in memory, and loses it with the process: for tests of plugins.

It keeps the whole contract (:class:`eudai_core.testing.StorageSuite` passes), without a database, a file or a thread.
Units of work that may write follow one after the other; readers see the state that was committed last.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from types import TracebackType
from typing import Self

from eudai_core.model import Health, HealthStatus, MigrationSource
from eudai_core.testing._memory.accounts import MemorySessions, MemoryUsers
from eudai_core.testing._memory.conversations import MemoryConversations
from eudai_core.testing._memory.credentials import (
    MemoryApiKeys,
    MemoryInvites,
    MemoryLoginFailures,
    MemorySigningKeys,
)
from eudai_core.testing._memory.documents import MemoryDocuments
from eudai_core.testing._memory.events import MemoryContexts, MemoryEvents
from eudai_core.testing._memory.messages import MemoryMessages
from eudai_core.testing._memory.projects import MemoryProjects
from eudai_core.testing._memory.runs import MemoryRuns
from eudai_core.testing._memory.transaction import Database, Transaction
from eudai_core.testing._memory.upkeep import MemoryAnswers, MemoryJobs, MemoryPluginStates
from eudai_core.testing._memory.urls import MemoryUrls

__all__ = ["MemoryStorage", "MemoryUnitOfWork"]


class MemoryStorage:
    """See eudai_core.contracts.Storage."""

    single_process = True
    description = "memory of this process; nothing is kept"

    def __init__(self) -> None:
        """Begin empty."""
        self._database = Database()

    def unit_of_work(self, *, readonly: bool = False, snapshot: bool = True) -> MemoryUnitOfWork:
        """Begin a transaction with the first statement."""
        return MemoryUnitOfWork(Transaction(self._database, readonly=readonly, snapshot=snapshot))

    def another(self) -> MemoryStorage:
        """Return another handle on the same data."""
        other = MemoryStorage()
        other._database = self._database
        return other

    async def migrate(self, sources: Sequence[MigrationSource], *, dry_run: bool = False) -> Sequence[str]:
        """There are no tables, and no plugin can bring any."""
        return ()

    async def health(self) -> Health:
        """It is always there."""
        return Health(HealthStatus.OK)

    async def aclose(self) -> None:
        """Nothing is to be let go of: another handle may still use the data."""


class MemoryUnitOfWork:
    """See eudai_core.contracts.UnitOfWork."""

    def __init__(self, transaction: Transaction) -> None:
        """Work in ``transaction``."""
        self._tx = transaction

    @cached_property
    def users(self) -> MemoryUsers:
        """Accounts."""
        return MemoryUsers(self._tx)

    @cached_property
    def sessions(self) -> MemorySessions:
        """Sign-ins."""
        return MemorySessions(self._tx)

    @cached_property
    def api_keys(self) -> MemoryApiKeys:
        """Keys for scripts."""
        return MemoryApiKeys(self._tx)

    @cached_property
    def invites(self) -> MemoryInvites:
        """Invitations."""
        return MemoryInvites(self._tx)

    @cached_property
    def signing_keys(self) -> MemorySigningKeys:
        """Names of keys that sign tokens."""
        return MemorySigningKeys(self._tx)

    @cached_property
    def login_failures(self) -> MemoryLoginFailures:
        """Log-ins that failed."""
        return MemoryLoginFailures(self._tx)

    @cached_property
    def projects(self) -> MemoryProjects:
        """Projects."""
        return MemoryProjects(self._tx)

    @cached_property
    def documents(self) -> MemoryDocuments:
        """Files and instructions."""
        return MemoryDocuments(self._tx)

    @cached_property
    def urls(self) -> MemoryUrls:
        """Web pages."""
        return MemoryUrls(self._tx)

    @cached_property
    def conversations(self) -> MemoryConversations:
        """Conversations."""
        return MemoryConversations(self._tx)

    @cached_property
    def messages(self) -> MemoryMessages:
        """Messages."""
        return MemoryMessages(self._tx)

    @cached_property
    def runs(self) -> MemoryRuns:
        """Commands and runs."""
        return MemoryRuns(self._tx)

    @cached_property
    def events(self) -> MemoryEvents:
        """The event log."""
        return MemoryEvents(self._tx)

    @cached_property
    def contexts(self) -> MemoryContexts:
        """Context records."""
        return MemoryContexts(self._tx)

    @cached_property
    def jobs(self) -> MemoryJobs:
        """Background jobs."""
        return MemoryJobs(self._tx)

    @cached_property
    def answers(self) -> MemoryAnswers:
        """Answers under idempotency keys."""
        return MemoryAnswers(self._tx)

    @cached_property
    def plugin_states(self) -> MemoryPluginStates:
        """Plugin states."""
        return MemoryPluginStates(self._tx)

    async def commit(self) -> None:
        """Make the changes visible to all."""
        self._tx.commit()

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Undo what was not committed."""
        self._tx.end()
