"""The unit of work over one transaction."""

from __future__ import annotations

from functools import cached_property
from types import TracebackType
from typing import Self

from eudai_sql.answers import SqlAnswers
from eudai_sql.api_keys import SqlApiKeys
from eudai_sql.contexts import SqlContexts
from eudai_sql.conversations import SqlConversations
from eudai_sql.database import Database
from eudai_sql.documents import SqlDocuments
from eudai_sql.events import SqlEvents
from eudai_sql.invites import SqlInvites
from eudai_sql.jobs import SqlJobs
from eudai_sql.login_failures import SqlLoginFailures
from eudai_sql.messages import SqlMessages
from eudai_sql.plugin_sql import PluginSql
from eudai_sql.plugin_states import SqlPluginStates
from eudai_sql.projects import SqlProjects
from eudai_sql.runs import SqlRuns
from eudai_sql.sessions import SqlSessions
from eudai_sql.signing_keys import SqlSigningKeys
from eudai_sql.transaction import Transaction
from eudai_sql.urls import SqlUrls
from eudai_sql.users import SqlUsers

__all__ = ["SqlUnitOfWork"]


class SqlUnitOfWork:
    """See eudai_core.contracts.UnitOfWork. The transaction begins with the first statement."""

    def __init__(self, database: Database, *, readonly: bool, snapshot: bool = True) -> None:
        """Prepare."""
        self.transaction = Transaction(database, readonly=readonly, snapshot=snapshot)
        """For the search index of this package."""

    @cached_property
    def users(self) -> SqlUsers:
        """Accounts."""
        return SqlUsers(self.transaction)

    @cached_property
    def sessions(self) -> SqlSessions:
        """Sign-ins."""
        return SqlSessions(self.transaction)

    @cached_property
    def api_keys(self) -> SqlApiKeys:
        """Keys for scripts."""
        return SqlApiKeys(self.transaction)

    @cached_property
    def invites(self) -> SqlInvites:
        """Invitations."""
        return SqlInvites(self.transaction)

    @cached_property
    def signing_keys(self) -> SqlSigningKeys:
        """Names of keys that sign tokens."""
        return SqlSigningKeys(self.transaction)

    @cached_property
    def login_failures(self) -> SqlLoginFailures:
        """Log-ins that failed."""
        return SqlLoginFailures(self.transaction)

    @cached_property
    def projects(self) -> SqlProjects:
        """Projects."""
        return SqlProjects(self.transaction)

    @cached_property
    def documents(self) -> SqlDocuments:
        """Files and instructions."""
        return SqlDocuments(self.transaction)

    @cached_property
    def urls(self) -> SqlUrls:
        """Web pages."""
        return SqlUrls(self.transaction)

    @cached_property
    def conversations(self) -> SqlConversations:
        """Conversations."""
        return SqlConversations(self.transaction)

    @cached_property
    def messages(self) -> SqlMessages:
        """Messages."""
        return SqlMessages(self.transaction)

    @cached_property
    def runs(self) -> SqlRuns:
        """Commands and runs."""
        return SqlRuns(self.transaction)

    @cached_property
    def events(self) -> SqlEvents:
        """The event log."""
        return SqlEvents(self.transaction)

    @cached_property
    def contexts(self) -> SqlContexts:
        """Context records."""
        return SqlContexts(self.transaction)

    @cached_property
    def jobs(self) -> SqlJobs:
        """Background jobs."""
        return SqlJobs(self.transaction)

    @cached_property
    def answers(self) -> SqlAnswers:
        """Answers under idempotency keys."""
        return SqlAnswers(self.transaction)

    @cached_property
    def plugin_states(self) -> SqlPluginStates:
        """Plugin states."""
        return SqlPluginStates(self.transaction)

    @cached_property
    def sql(self) -> PluginSql:
        """Statements of plugins on their own tables."""
        return PluginSql(self.transaction)

    async def commit(self) -> None:
        """Make the changes durable."""
        await self.transaction.commit()

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Undo what was not committed."""
        await self.transaction.rollback()
