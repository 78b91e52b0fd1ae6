"""Storage: short units of work over one repository per concern.

Leaving a unit of work without ``commit()`` rolls it back. A unit of work is never open while a model streams, a file
uploads or a page loads. Repositories return values, never live rows. All of them raise ``StorageUnavailable`` within
two seconds when the database does not answer, ``NotFound`` where an object is asked for by an id that is not there,
and ``Conflict`` where a unique name is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable
from uuid import UUID

from eudai_core.model import (
    Citation,
    Command,
    ContextRecord,
    Conversation,
    DocumentStatus,
    DocumentVersion,
    EventRecord,
    FileRecord,
    Health,
    Instruction,
    Job,
    Lease,
    Message,
    MessageStatus,
    MigrationSource,
    Page,
    PluginState,
    Project,
    RefreshUse,
    Run,
    RunStatus,
    Session,
    Usage,
    User,
)

__all__ = [
    "Contexts",
    "Conversations",
    "Documents",
    "Events",
    "Jobs",
    "Messages",
    "PluginStates",
    "Projects",
    "Runs",
    "Sessions",
    "Storage",
    "UnitOfWork",
    "Users",
]


class Users(Protocol):
    """Accounts."""

    async def add(self, user: User, password_hash: str) -> None:
        """Add a user. Raises Conflict when the name or e-mail is taken (compared without case)."""
        ...

    async def get(self, user_id: UUID) -> User:
        """Return a user."""
        ...

    async def by_login(self, login: str) -> tuple[User, str] | None:
        """Return the user with this name or e-mail and the password hash, or None."""
        ...

    async def set_password_hash(self, user_id: UUID, password_hash: str) -> None:
        """Replace the password hash."""
        ...


class Sessions(Protocol):
    """Sign-ins and their refresh tokens. Only SHA-256 hashes of tokens are kept."""

    async def add(self, session: Session) -> None:
        """Add a session."""
        ...

    async def get(self, session_id: UUID) -> Session:
        """Return a session, revoked or not."""
        ...

    async def revoke(self, session_id: UUID, at: datetime) -> None:
        """End a session; one that has ended stays as it is."""
        ...

    async def add_refresh_token(self, token_sha256: str, session_id: UUID, expires_at: datetime) -> None:
        """Keep a refresh token of a session."""
        ...

    async def spend_refresh_token(self, token_sha256: str, at: datetime) -> RefreshUse | None:
        """Spend a token and tell its session; None when it is unknown or expired. Atomic: one caller wins."""
        ...


class Projects(Protocol):
    """Projects. ``list`` and ``get`` fill in the counts."""

    async def add(self, project: Project) -> None:
        """Add a project."""
        ...

    async def get(self, project_id: UUID) -> Project:
        """Return a project."""
        ...

    async def list(self, owner_id: UUID, *, cursor: str | None, limit: int) -> Page[Project]:
        """List the owner's projects. Raises InvalidInput for a cursor that is not one of ours."""
        ...

    async def update(self, project: Project, *, expected_version: int | None) -> Project:
        """Store name, description and settings under the next version, and return the result.

        Raises StaleVersion when ``expected_version`` is given and is not the stored one.
        """
        ...

    async def delete(self, project_id: UUID) -> Sequence[str]:
        """Delete a project with everything in it; return the blob keys that nothing names any more."""
        ...


class Documents(Protocol):
    """Files, instructions, document versions, and the texts that they and context records name by hash."""

    async def add_file(self, file: FileRecord) -> None:
        """Add a file with its first version."""
        ...

    async def get_file(self, file_id: UUID) -> FileRecord:
        """Return a file with its current version."""
        ...

    async def find_file(self, project_id: UUID, filename: str, sha256: str) -> FileRecord | None:
        """Return the project's file of this name whose current version has these bytes, or None."""
        ...

    async def list_files(self, project_id: UUID, *, cursor: str | None, limit: int) -> Page[FileRecord]:
        """List a project's files."""
        ...

    async def all_files(self, project_id: UUID) -> Sequence[FileRecord]:
        """Return every file of a project, oldest first."""
        ...

    async def delete_file(self, file_id: UUID) -> Sequence[str]:
        """Delete a file, its versions and texts nobody else names; return blob keys that nothing names any more."""
        ...

    async def get_version(self, version_id: UUID) -> DocumentVersion:
        """Return one version of a document."""
        ...

    async def finish_version(
        self,
        version_id: UUID,
        *,
        status: DocumentStatus,
        error: str | None = None,
        text: str | None = None,
        tokens: int = 0,
    ) -> DocumentVersion:
        """Store the outcome of reading a version, with its text when there is one, and return the result."""
        ...

    async def text_of(self, version_id: UUID) -> str:
        """Return the extracted text of a version. Raises NotFound when there is none."""
        ...

    async def add_instruction(self, instruction: Instruction) -> None:
        """Add an instruction."""
        ...

    async def get_instruction(self, instruction_id: UUID) -> Instruction:
        """Return an instruction."""
        ...

    async def list_instructions(self, project_id: UUID) -> Sequence[Instruction]:
        """Return all instructions of a project by position, then oldest first."""
        ...

    async def update_instruction(self, instruction: Instruction) -> Instruction:
        """Store text, position and enabled under the next version, and return the result."""
        ...

    async def delete_instruction(self, instruction_id: UUID) -> None:
        """Delete an instruction."""
        ...


class Conversations(Protocol):
    """Conversations, and the lease that numbers their events."""

    async def add(self, conversation: Conversation) -> None:
        """Add a conversation; its ``owner_id`` is the project's and is not stored again."""
        ...

    async def get(self, conversation_id: UUID) -> Conversation:
        """Return a conversation with its owner."""
        ...

    async def list(
        self, owner_id: UUID, *, project_id: UUID | None, cursor: str | None, limit: int
    ) -> Page[Conversation]:
        """List conversations by last change, of one project or of all of the owner's."""
        ...

    async def update(self, conversation: Conversation, *, expected_version: int | None) -> Conversation:
        """Store title, model and active message under the next version, and return the result."""
        ...

    async def touch(self, conversation_id: UUID, *, active_message_id: UUID, at: datetime) -> None:
        """Make a message the active leaf and move the conversation to the front of lists."""
        ...

    async def delete(self, conversation_id: UUID) -> None:
        """Delete a conversation with its messages, runs, events and context records."""
        ...

    async def lease(
        self, conversation_id: UUID, *, owner: str, now: datetime, until: datetime, headroom: int
    ) -> Lease | None:
        """Take or renew the right to number events; None while another owner's lease runs.

        The ceiling is stored and lies ``headroom`` above the floor; nobody ever gets a number at or below a ceiling
        that somebody else had. An owner that renews keeps counting where it was and only the ceiling moves.
        """
        ...


class Messages(Protocol):
    """Messages."""

    async def add(self, message: Message) -> None:
        """Add a message."""
        ...

    async def get(self, message_id: UUID) -> Message:
        """Return a message with its siblings."""
        ...

    async def path(self, leaf_id: UUID, *, limit: int) -> Sequence[Message]:
        """Return the last ``limit`` messages of the branch that ends in ``leaf_id``, oldest first, with siblings."""
        ...

    async def save_partial(self, texts: Sequence[tuple[UUID, str, str]]) -> None:
        """Store the text and thinking so far of answers that are being made: (message id, text, thinking)."""
        ...

    async def finish(
        self,
        message_id: UUID,
        *,
        text: str,
        thinking: str,
        status: MessageStatus,
        usage: Usage | None = None,
        citations: Sequence[Citation] = (),
        error: Mapping[str, Any] | None = None,
    ) -> None:
        """Store the end of an answer."""
        ...

    async def reopen(self, message_id: UUID) -> None:
        """Make an ended answer pending again, so that a run can continue it."""
        ...


class Runs(Protocol):
    """Commands and runs: the queue, its leases, and idempotency."""

    async def add(self, run: Run, command: Command | None) -> None:
        """Queue a run, and keep the command that asked for it. Raises Conflict when its client_id is taken."""
        ...

    async def command(self, conversation_id: UUID, client_id: str) -> Command | None:
        """Return the accepted command with this idempotency key, or None."""
        ...

    async def get(self, run_id: UUID) -> Run:
        """Return a run."""
        ...

    async def of_answer(self, answer_id: UUID) -> Run:
        """Return the newest run of an answer."""
        ...

    async def active(self, conversation_id: UUID) -> Sequence[Run]:
        """Return the queued and running runs of a conversation in their order."""
        ...

    async def position(self, run_id: UUID) -> int:
        """Return how many queued runs stand before this one for the same backend host; 0 when it is next or running."""
        ...

    async def queued(self, backend: str | None = None) -> int:
        """Return how many runs are queued, for one backend or for all."""
        ...

    async def claim(
        self, *, owner: str, now: datetime, until: datetime, capacity: Mapping[tuple[str, str], int], limit: int
    ) -> Sequence[Run]:
        """Take up to ``limit`` queued runs that may start, and return them as running.

        One run of a conversation at a time, in their order; at most ``capacity[(backend, host)]`` running per backend
        host over all processes (a host not named has no room); users with fewer running answers first, then the
        longest waiting. Safe against other processes.
        """
        ...

    async def announce(self, run_id: UUID) -> None:
        """Note that the ``user_message`` event of a run has been given out."""
        ...

    async def heartbeat(self, *, owner: str, until: datetime) -> Sequence[UUID]:
        """Renew the leases of all of an owner's runs; return those of them that somebody asked to stop."""
        ...

    async def request_stop(self, run_id: UUID) -> Run:
        """Ask the run's owner to stop; a queued run is ended as stopped at once. Returns the run as it is then."""
        ...

    async def finish(self, run_id: UUID, status: RunStatus, *, at: datetime) -> None:
        """End a run."""
        ...

    async def abandoned(self, *, now: datetime, except_owner: str | None, limit: int) -> Sequence[Run]:
        """Return running runs whose lease ran out; with ``except_owner``, all that are not this owner's."""
        ...


class Events(Protocol):
    """The event log of conversations."""

    async def append(self, events: Sequence[EventRecord]) -> None:
        """Store events of any number of conversations, in one statement."""
        ...

    async def after(self, conversation_id: UUID, seq: int, *, limit: int) -> Sequence[EventRecord]:
        """Return the events numbered above ``seq``, in order."""
        ...

    async def of_run(self, run_id: UUID) -> Sequence[EventRecord]:
        """Return every event of a run, in order."""
        ...


class Contexts(Protocol):
    """Context records, and the texts that they name."""

    async def put(self, record: ContextRecord, texts: Mapping[str, str]) -> None:
        """Store a record and the texts not stored yet, by SHA-256 of their UTF-8 bytes in hex."""
        ...

    async def of_message(self, answer_id: UUID) -> ContextRecord | None:
        """Return the newest record of an answer, or None."""
        ...

    async def of_messages(self, answer_ids: Sequence[UUID]) -> Mapping[UUID, ContextRecord]:
        """Return the newest records of several answers, in one statement; without those that have none."""
        ...

    async def texts(self, hashes: Sequence[str]) -> Mapping[str, str]:
        """Return texts by hash; an erased one is missing."""
        ...


class Jobs(Protocol):
    """Background jobs."""

    async def add(self, job: Job) -> bool:
        """Add a job; False when one of the same kind and key waits already."""
        ...

    async def claim(
        self, kinds: Sequence[str], *, owner: str, now: datetime, until: datetime, limit: int
    ) -> Sequence[Job]:
        """Take jobs that are due, or whose lease ran out, oldest first; safe against other processes."""
        ...

    async def finish(self, job_id: UUID) -> None:
        """A job is done."""
        ...

    async def retry(self, job_id: UUID, *, error: str, run_after: datetime) -> None:
        """A job failed and is to be tried again."""
        ...

    async def fail(self, job_id: UUID, *, error: str) -> None:
        """A job failed for good."""
        ...

    async def next_due(self, kinds: Sequence[str]) -> datetime | None:
        """Return when the next waiting job is due, or None."""
        ...


class PluginStates(Protocol):
    """How the plugins of each process are doing, for the CLI and for other processes."""

    async def save(self, instance: str, states: Sequence[PluginState], *, at: datetime) -> None:
        """Replace the states that one server process reported."""
        ...

    async def latest(self) -> Sequence[PluginState]:
        """Return the states that the process that reported last saw."""
        ...


class UnitOfWork(Protocol):
    """One short transaction."""

    @property
    def users(self) -> Users: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def projects(self) -> Projects: ...
    @property
    def documents(self) -> Documents: ...
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
    def plugin_states(self) -> PluginStates: ...

    async def commit(self) -> None:
        """Make the changes durable. Nothing may be done with the unit of work afterwards."""
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

    def unit_of_work(self, *, readonly: bool = False) -> UnitOfWork:
        """Begin a transaction when entered; ``readonly`` reads are a snapshot and are never written."""
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
