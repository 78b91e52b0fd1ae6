"""Rows for tests of storages."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import UUID

from eudai_core.contracts import Storage
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
    User,
)

__all__ = ["NOW", "Rows", "at"]

NOW = datetime(2026, 11, 25, 12, 0, 0, 123456, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """Return a time so many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)


class Rows:
    """Makes and stores objects; ``user``, ``project`` and ``conversation`` are there from the beginning."""

    def __init__(self, storage: Storage) -> None:
        """Store into ``storage``."""
        self.storage = storage
        self.user = User(new_id(), "Ada", "ada@example.org", NOW)
        self.project = Project(new_id(), self.user.id, "Notes", "About notes", NOW, NOW, settings={"model": "m"})
        self.conversation = Conversation(new_id(), self.project.id, self.user.id, "Talk", NOW, NOW)

    async def begin(self) -> None:
        """Store what is there from the beginning."""
        async with self.storage.unit_of_work() as work:
            await work.users.add(self.user, "hash")
            await work.projects.add(self.project)
            await work.conversations.add(self.conversation)
            await work.commit()

    async def add_user(self, name: str) -> User:
        """Store another user."""
        user = User(new_id(), name, f"{name}@example.org", NOW)
        async with self.storage.unit_of_work() as work:
            await work.users.add(user, "hash")
            await work.commit()
        return user

    async def add_project(self, owner: User | None = None, *, created: float = 0, name: str = "Other") -> Project:
        """Store another project."""
        project = Project(new_id(), (owner or self.user).id, name, "", at(created), at(created))
        async with self.storage.unit_of_work() as work:
            await work.projects.add(project)
            await work.commit()
        return project

    async def add_conversation(self, project: Project | None = None, *, updated: float = 0) -> Conversation:
        """Store another conversation."""
        project = project or self.project
        conversation = Conversation(new_id(), project.id, project.owner_id, "Other", NOW, at(updated))
        async with self.storage.unit_of_work() as work:
            await work.conversations.add(conversation)
            await work.commit()
        return conversation

    async def add_file(
        self, name: str = "a.txt", body: bytes = b"body", *, project: Project | None = None, uploaded: float = 0
    ) -> FileRecord:
        """Store a file; its blob key is its hash."""
        project = project or self.project
        file_id, digest = new_id(), hashlib.sha256(body).hexdigest()
        version = DocumentVersion(
            id=new_id(),
            owner_type="file",
            owner_id=file_id,
            project_id=project.id,
            number=1,
            sha256=digest,
            blob_key=f"blob/{digest}",
            media_type="text/plain",
            size=len(body),
            created_at=at(uploaded),
        )
        file = FileRecord(file_id, project.id, name, at(uploaded), project.owner_id, version)
        async with self.storage.unit_of_work() as work:
            await work.documents.add_file(file)
            await work.commit()
        return file

    async def add_message(
        self,
        parent: UUID | None = None,
        *,
        text: str = "",
        sender: Sender = Sender.USER,
        status: MessageStatus = MessageStatus.COMPLETE,
        conversation: Conversation | None = None,
    ) -> Message:
        """Store a message."""
        conversation_id = (conversation or self.conversation).id
        message = Message(new_id(), conversation_id, parent, sender, text, NOW, status)
        async with self.storage.unit_of_work() as work:
            await work.messages.add(message)
            await work.commit()
        return message

    def run(
        self,
        *,
        conversation: Conversation | None = None,
        user: User | None = None,
        host: str = "gpu1",
        queued: float = 0,
    ) -> Run:
        """Make a run without storing it."""
        conversation_id = (conversation or self.conversation).id
        return Run(
            id=new_id(),
            conversation_id=conversation_id,
            user_id=(user or self.user).id,
            message_id=new_id(),
            answer_id=new_id(),
            kind=CommandKind.MESSAGE,
            model="m",
            backend="ollama",
            host=host,
            queued_at=at(queued),
            options={"temperature": 0.5},
        )

    def command(self, run: Run, client_id: str) -> Command:
        """Make the command that asked for a run, without storing it."""
        return Command(
            run.conversation_id, client_id, run.kind, "0" * 64, run.message_id, run.answer_id, run.id, run.queued_at
        )

    async def add_run(
        self,
        *,
        conversation: Conversation | None = None,
        user: User | None = None,
        host: str = "gpu1",
        queued: float = 0,
    ) -> Run:
        """Store a queued run; without a conversation, in a new one."""
        conversation = conversation or await self.add_conversation()
        run = self.run(conversation=conversation, user=user, host=host, queued=queued)
        async with self.storage.unit_of_work() as work:
            await work.runs.add(run, None)
            await work.commit()
        return run
