"""The transaction, and the database behind it."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from eudai_core.contracts.storage.accounts import ApiKeys, Invites, LoginFailures, Sessions, SigningKeys, Users
from eudai_core.contracts.storage.conversations import Conversations, Messages
from eudai_core.contracts.storage.documents import Documents, Urls
from eudai_core.contracts.storage.projects import Projects
from eudai_core.contracts.storage.runs import Contexts, Events, Runs
from eudai_core.contracts.storage.upkeep import Answers, Jobs, PluginStates
from eudai_core.model import Health, MigrationSource

__all__ = ["Storage", "UnitOfWork"]


class UnitOfWork(Protocol):
    """One short transaction."""

    @property
    def users(self) -> Users: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def api_keys(self) -> ApiKeys: ...
    @property
    def invites(self) -> Invites: ...
    @property
    def signing_keys(self) -> SigningKeys: ...
    @property
    def login_failures(self) -> LoginFailures: ...
    @property
    def projects(self) -> Projects: ...
    @property
    def documents(self) -> Documents: ...
    @property
    def urls(self) -> Urls: ...
    @property
    def conversations(self) -> Conversations: ...
    @property
    def messages(self) -> Messages: ...
    @property
    def runs(self) -> Runs: ...
    @property
    def events(self) -> Events: ...
    @property
    def contexts(self) -> Contexts: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def answers(self) -> Answers: ...
    @property
    def plugin_states(self) -> PluginStates: ...

    async def commit(self) -> None:
        """Make the changes durable. Nothing may be done with the unit of work afterwards: that is a RuntimeError."""
        ...

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


@runtime_checkable
class Storage(Protocol):
    """The database."""

    @property
    def single_process(self) -> bool:
        """Whether this process is the only server that can use the database (embedded SQLite)."""
        ...

    @property
    def description(self) -> str:
        """Where the data is, for people, without credentials."""
        ...

    def unit_of_work(self, *, readonly: bool = False, snapshot: bool = True) -> UnitOfWork:
        """Begin a transaction with the first statement; a ``readonly`` one sees one state of the database.

        ``readonly=True, snapshot=False`` is for a single read: no transaction is begun, and each further statement
        sees what is there by then. Writing in a ``readonly`` unit of work is a fault of the caller: it raises, and
        nothing is kept. Readers never wait for writers. A cancelled unit of work leaves nothing, as one without
        ``commit()``; cancelled in the middle of ``commit()``, all of it is kept or nothing.
        """
        ...

    async def migrate(self, sources: Sequence[MigrationSource], *, dry_run: bool = False) -> Sequence[str]:
        """Bring the core tables, then each source's, to their newest revision; return the revisions applied.

        Safe when many processes do it at once. Raises ConfigError when the database is newer than this program.
        """
        ...

    async def health(self) -> Health:
        """Tell within two seconds whether the database answers and its schema is the one needed."""
        ...

    async def aclose(self) -> None:
        """Let go of every resource."""
        ...
