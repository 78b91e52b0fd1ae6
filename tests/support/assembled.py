"""A project in a real database behind a real plugin host, whose conversation is assembled turn by turn."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import eudai_context
import eudai_sql
from eudai_context.paragraphs import ParagraphChunker
from eudai_core.context import Assembly, AssemblyRequest, ContextAssembler, TokenCounter
from eudai_core.contracts import SearchIndex, Storage
from eudai_core.ids import new_id
from eudai_core.model import (
    Conversation,
    DocumentStatus,
    DocumentVersion,
    FileRecord,
    Instruction,
    Message,
    MessageStatus,
    ModelInfo,
    Project,
    SearchDocument,
    SearchScope,
    Sender,
    Url,
    Usage,
    User,
)
from eudai_core.plugins import SEARCH_INDEXES, STORAGE, TOKENIZERS, PluginHost

__all__ = ["World", "open_world"]

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


class _NoJobs:
    """A job queue that nobody uses."""

    async def enqueue(self, kind: str, key: str, payload: Mapping[str, Any], *, delay: float = 0.0) -> None:
        raise AssertionError(f"a job {kind} was left")


@dataclass
class World:
    """One user's project with one conversation."""

    host: PluginHost
    storage: Storage
    search: SearchIndex
    project: Project
    conversation: Conversation
    model: ModelInfo = field(default_factory=lambda: ModelInfo("tester", "none", 8192))
    leaf: UUID | None = None
    last_answer: UUID | None = None

    async def add_file(self, name: str, text: str, *, pinned: bool = False) -> FileRecord:
        """Add a file that was read and indexed."""
        file_id, data = new_id(), text.encode()
        version = DocumentVersion(
            new_id(), "file", file_id, self.project.id, 1, hashlib.sha256(data).hexdigest(), f"blob/{file_id}",
            "text/markdown", len(data), NOW,
        )  # fmt: skip
        record = FileRecord(file_id, self.project.id, name, NOW, self.project.owner_id, version, pinned)
        tokens = TokenCounter(self.host.all(TOKENIZERS), "").count(text)
        async with self.storage.unit_of_work() as work:
            await work.documents.add_file(record)
            await work.documents.finish_version(version.id, status=DocumentStatus.READY, text=text, tokens=tokens)
            await work.commit()
        passages = list(ParagraphChunker().split(text, name=name, media_type="text/markdown"))
        await self.search.put([SearchDocument(SearchScope(self.project.id), file_id, 1, name, passages)])
        return record

    async def add_page(self, url: str, text: str, *, title: str = "") -> Url:
        """Add a page that was fetched, read and indexed."""
        page = Url(
            new_id(), self.project.id, url, "", self.project.owner_id, NOW, title, DocumentStatus.READY, fetched_at=NOW
        )
        data = text.encode()
        version = DocumentVersion(
            new_id(), "url", page.id, self.project.id, 1, hashlib.sha256(data).hexdigest(), f"blob/{page.id}",
            "text/plain", len(data), NOW,
        )  # fmt: skip
        tokens = TokenCounter(self.host.all(TOKENIZERS), "").count(text)
        async with self.storage.unit_of_work() as work:
            await work.urls.add(page)
            await work.documents.add_version(version)
            await work.documents.finish_version(version.id, status=DocumentStatus.READY, text=text, tokens=tokens)
            await work.commit()
        passages = list(ParagraphChunker().split(text, name=url, media_type="text/plain"))
        document = SearchDocument(SearchScope(self.project.id), page.id, 1, title or url, passages)
        await self.search.put([document])
        return page

    async def delete_page(self, page: Url) -> None:
        """Delete a page with its texts."""
        async with self.storage.unit_of_work() as work:
            await work.urls.delete(page.id)
            await work.commit()
        await self.search.remove(page.id)

    async def add_instruction(self, text: str, *, position: int = 0, enabled: bool = True) -> Instruction:
        """Add a standing instruction."""
        instruction = Instruction(new_id(), self.project.id, text, NOW, position, enabled)
        async with self.storage.unit_of_work() as work:
            await work.documents.add_instruction(instruction)
            await work.commit()
        return instruction

    async def delete_file(self, file: FileRecord) -> None:
        """Delete a file with its texts."""
        async with self.storage.unit_of_work() as work:
            await work.documents.delete_file(file.id)
            await work.commit()
        await self.search.remove(file.id)

    async def request(self, question: str) -> AssemblyRequest:
        """Store a question with its pending answer, and return the request for its prompt."""
        asked = Message(new_id(), self.conversation.id, self.leaf, Sender.USER, question, NOW)
        answer = Message(
            new_id(), self.conversation.id, asked.id, Sender.LLM, "", NOW, MessageStatus.PENDING, model=self.model.name
        )
        async with self.storage.unit_of_work() as work:
            path = await work.messages.path(self.leaf, limit=1000) if self.leaf else ()
            await work.messages.add(asked)
            await work.messages.add(answer)
            await work.commit()
        self.leaf = answer.id
        return AssemblyRequest(
            run_id=new_id(),
            answer_id=answer.id,
            user_id=self.project.owner_id,
            project=self.project,
            conversation_id=self.conversation.id,
            question=question,
            path=path,
            model=self.model,
            question_id=asked.id,
        )

    async def assemble(self, request: AssemblyRequest) -> Assembly:
        """Assemble and record."""
        assembly = await ContextAssembler(self.host, self.storage).assemble(request)
        async with self.storage.unit_of_work() as work:
            await work.contexts.put(assembly.record, assembly.texts)
            await work.commit()
        return assembly

    async def finish(
        self, answer_id: UUID, text: str, status: MessageStatus = MessageStatus.COMPLETE, tokens: int = 1
    ) -> None:
        """End an answer."""
        async with self.storage.unit_of_work() as work:
            await work.messages.finish(
                answer_id, text=text, thinking="", status=status, usage=Usage(prompt_tokens=tokens)
            )
            await work.commit()
        self.last_answer = answer_id

    async def ask(self, question: str, answer: str = "An answer.") -> Assembly:
        """Do a whole turn."""
        request = await self.request(question)
        assembly = await self.assemble(request)
        await self.finish(request.answer_id, answer)
        return assembly

    def with_model(self, **changes: Any) -> None:
        """Change the model of the turns to come."""
        self.model = replace(self.model, **changes)


@asynccontextmanager
async def open_world(url: str, *plugins: object, overrides: Mapping[str, str] | None = None) -> AsyncIterator[World]:
    """Open a host with storage, context and more plugins over a migrated database, with an empty project."""
    host = PluginHost.compose(
        overrides={"EUDAI_DATABASE_URL": url, **(overrides or {})},
        environ={},
        dotenv=None,
        plugins=[eudai_sql.plugin, eudai_context.plugin, *plugins],
    )
    host._guard._timer = lambda: 0.0  # a busy machine must not look like a blocking plugin
    await host.build(jobs=_NoJobs())
    try:
        storage = host.one(STORAGE)
        user = User(new_id(), "ada", "ada@example.org", NOW)
        project = Project(new_id(), user.id, "Project", "", NOW, NOW)
        conversation = Conversation(new_id(), project.id, user.id, "Talk", NOW, NOW)
        async with storage.unit_of_work() as work:
            await work.users.add(user, "no hash")
            await work.projects.add(project)
            await work.conversations.add(conversation)
            await work.commit()
        yield World(host, storage, host.one(SEARCH_INDEXES), project, conversation)
    finally:
        await host.aclose()
