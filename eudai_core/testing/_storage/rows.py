"""A storage under test, and rows to begin with."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from eudai_core.contracts import Storage, UnitOfWork
from eudai_core.ids import new_id
from eudai_core.model import (
    Command,
    CommandKind,
    Conversation,
    DocumentVersion,
    FileRecord,
    Message,
    MessageStatus,
    Project,
    Run,
    Sender,
    Url,
    User,
)
from eudai_core.testing._storage.keeping import refuses

__all__ = ["NOW", "Check", "Rows", "at", "digest"]

NOW: Final = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """Return the time so many seconds after :data:`NOW`."""
    return NOW + timedelta(seconds=seconds)


def digest(text: str) -> str:
    """Return the SHA-256 of a text's UTF-8 bytes in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


class Rows:
    """Makes and stores objects; ``user``, ``project`` and ``conversation`` are there from the beginning.

    ``another`` is a second handle on the same data, as another process has, or the same one where there can be none.
    """

    def __init__(self, storage: Storage, another: Storage) -> None:
        self.storage = storage
        self.another = another
        self.user = User(new_id(), "Ada", "ada@example.org", NOW)
        self.project = Project(new_id(), self.user.id, "Notes", "About notes", NOW, NOW, settings={"model": "m"})
        self.conversation = Conversation(new_id(), self.project.id, self.user.id, "Talk", NOW, NOW)

    async def begin(self) -> None:
        """Store what is there from the beginning."""
        async with self.writing() as work:
            await work.users.add(self.user, "hash")
            await work.projects.add(self.project)
            await work.conversations.add(self.conversation)

    @asynccontextmanager
    async def writing(self, storage: Storage | None = None) -> AsyncIterator[UnitOfWork]:
        """Open a unit of work that is committed at its end."""
        async with (storage or self.storage).unit_of_work() as work:
            yield work
            await work.commit()

    def reading(self, *, snapshot: bool = True) -> UnitOfWork:
        """Open a unit of work that reads."""
        return self.storage.unit_of_work(readonly=True, snapshot=snapshot)

    async def refused(
        self, kind: type[Exception], call: Callable[[UnitOfWork], Awaitable[object]], sentence: str
    ) -> None:
        """Check that a call, alone in a unit of work, raises ``kind``."""
        async with self.storage.unit_of_work() as work:
            with refuses(kind, sentence):
                await call(work)

    def handle(self, number: int) -> Storage:
        """Return one of the two handles in turn, for work of several processes at once."""
        return self.another if number % 2 else self.storage

    async def add_user(self, name: str) -> User:
        """Store another user."""
        user = User(new_id(), name, f"{name}@example.org", NOW)
        async with self.writing() as work:
            await work.users.add(user, "hash")
        return user

    async def add_project(self, owner: User | None = None, *, created: float = 0) -> Project:
        """Store another project."""
        project = Project(new_id(), (owner or self.user).id, "Other", "", at(created), at(created))
        async with self.writing() as work:
            await work.projects.add(project)
        return project

    async def add_conversation(self, project: Project | None = None, *, updated: float = 0) -> Conversation:
        """Store another conversation."""
        return (await self.add_conversations(1, project, updated=updated))[0]

    async def add_conversations(
        self, count: int, project: Project | None = None, *, updated: float = 0
    ) -> list[Conversation]:
        """Store other conversations."""
        home = project or self.project
        made = [Conversation(new_id(), home.id, home.owner_id, "Other", NOW, at(updated)) for _ in range(count)]
        async with self.writing() as work:
            for conversation in made:
                await work.conversations.add(conversation)
        return made

    def file(
        self, name: str = "a.txt", body: bytes = b"body", *, project: Project | None = None, uploaded: float = 0
    ) -> FileRecord:
        """Make a file without storing it; its blob key is its hash."""
        home, file_id, sha256 = project or self.project, new_id(), hashlib.sha256(body).hexdigest()
        version = DocumentVersion(
            id=new_id(),
            owner_type="file",
            owner_id=file_id,
            project_id=home.id,
            number=1,
            sha256=sha256,
            blob_key=f"blob/{sha256}",
            media_type="text/plain",
            size=len(body),
            created_at=at(uploaded),
        )
        return FileRecord(file_id, home.id, name, at(uploaded), home.owner_id, version)

    async def add_file(self, name: str = "a.txt", body: bytes = b"body", **options: Any) -> FileRecord:
        """Store a file."""
        file = self.file(name, body, **options)
        async with self.writing() as work:
            await work.documents.add_file(file)
        return file

    def version(
        self, owner: FileRecord | Url, number: int, body: bytes = b"body", *, created: float = 0
    ) -> DocumentVersion:
        """Make a version of a file or page without storing it; its blob key is its hash."""
        sha256 = hashlib.sha256(body).hexdigest()
        return DocumentVersion(
            id=new_id(),
            owner_type="file" if isinstance(owner, FileRecord) else "url",
            owner_id=owner.id,
            project_id=owner.project_id,
            number=number,
            sha256=sha256,
            blob_key=f"blob/{sha256}",
            media_type="text/plain",
            size=len(body),
            created_at=at(created),
        )

    async def add_version(self, owner: FileRecord | Url, number: int, body: bytes = b"body") -> DocumentVersion:
        """Store a further version of a file or page."""
        version = self.version(owner, number, body)
        async with self.writing() as work:
            await work.documents.add_version(version)
        return version

    def url(self, address: str = "https://example.org/", *, project: Project | None = None, created: float = 0) -> Url:
        """Make a page without storing it."""
        home = project or self.project
        return Url(new_id(), home.id, address, "", home.owner_id, at(created))

    async def add_url(self, address: str = "https://example.org/", **options: Any) -> Url:
        """Store a page."""
        url = self.url(address, **options)
        async with self.writing() as work:
            await work.urls.add(url)
        return url

    def message(
        self,
        parent: UUID | None = None,
        *,
        text: str = "",
        status: MessageStatus = MessageStatus.COMPLETE,
        conversation: Conversation | None = None,
        said: float = 0,
    ) -> Message:
        """Make a message without storing it: a question when it has no parent, else an answer."""
        sender = Sender.USER if parent is None else Sender.LLM
        return Message(new_id(), (conversation or self.conversation).id, parent, sender, text, at(said), status)

    async def add_message(self, parent: UUID | None = None, **options: Any) -> Message:
        """Store a message."""
        message = self.message(parent, **options)
        async with self.writing() as work:
            await work.messages.add(message)
        return message

    def run(
        self,
        conversation: Conversation | None = None,
        *,
        user: User | None = None,
        host: str = "gpu1",
        backend: str = "ollama",
        queued: float = 0,
    ) -> Run:
        """Make a run without storing it."""
        return Run(
            id=new_id(),
            conversation_id=(conversation or self.conversation).id,
            user_id=(user or self.user).id,
            message_id=new_id(),
            answer_id=new_id(),
            kind=CommandKind.MESSAGE,
            model="m",
            backend=backend,
            host=host,
            queued_at=at(queued),
            options={"temperature": 0.5},
        )

    def command(self, run: Run, client_id: str) -> Command:
        """Make the command that asked for a run, without storing it."""
        return Command(
            run.conversation_id, client_id, run.kind, "0" * 64, run.message_id, run.answer_id, run.id, run.queued_at
        )

    async def add_runs(self, *runs: Run) -> None:
        """Store queued runs."""
        async with self.writing() as work:
            for run in runs:
                await work.runs.add(run, None)


Check = Callable[[Rows], Awaitable[None]]
"""A check of a storage; raises BrokenContract with the sentence that is not kept."""
