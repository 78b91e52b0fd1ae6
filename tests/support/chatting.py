"""An application with a user, a project and a scripted Ollama, for tests of the chat engine without a surface."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from eudai_core.app import Application
from eudai_core.chat import Accepted, Frame, Subscription
from eudai_core.contracts import Clock
from eudai_core.model import Conversation, Credentials, Identity, Message, Project
from eudai_core.testing.scripted_ollama import ScriptedModel, ScriptedOllama
from support.databases import chosen

__all__ = ["PASSWORD", "PLAIN", "Chatting", "Follower", "chatting", "place"]

PASSWORD = "correct horse battery"
PLAIN = ScriptedModel("llama3.2:latest", capabilities=("completion",), family="llama")
"""A model that does not think, so that its first piece is an answer."""
SECRET = "a secret of the tests, longer than 32 bytes"


@dataclass(slots=True)
class Chatting:
    """A user's view of an application."""

    app: Application
    identity: Identity
    project: Project
    conversation: Conversation
    ollama: ScriptedOllama

    async def ask(self, content: str = "A question?", **options: Any) -> Accepted:
        """Send a message."""
        return await self.app.chat.send(self.identity, self.conversation.id, content=content, **options)

    async def answer(self, accepted: Accepted) -> Message:
        """Wait for the end of a run."""
        return (await self.app.chat.outcome(accepted))[1]

    async def said(self, content: str = "A question?", **options: Any) -> Message:
        """Send a message and wait for its answer."""
        return await self.answer(await self.ask(content, **options))

    @asynccontextmanager
    async def follow(self, after: int | None = None) -> AsyncIterator[Follower]:
        """Subscribe to the conversation."""
        async with self.app.chat.subscribe(self.identity, self.conversation.id, after=after) as subscription:
            yield Follower(subscription)

    async def messages(self) -> Sequence[Message]:
        """Return the active path."""
        conversation = await self.app.conversations.get(self.identity, self.conversation.id)
        return (await self.app.conversations.messages(self.identity, conversation, limit=200))[0]


class Follower:
    """A subscriber that keeps what it was given."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.frames: list[Frame] = []

    async def until(self, wanted: str | Callable[[Frame], bool], count: int = 1) -> list[Frame]:
        """Read until ``count`` frames of a type, or for which a function is true, were seen since the start."""
        matches = wanted if callable(wanted) else (lambda frame: frame.type == wanted)
        while sum(map(matches, self.frames)) < count:
            self.frames += await self.subscription.next()
        return self.frames

    def types(self) -> list[str]:
        """Return the types in order."""
        return [frame.type for frame in self.frames]


def place(frames: Sequence[Frame | Mapping[str, Any]], message_id: UUID | str, kind: str = "delta") -> str:
    """Return the text that a client ends with: pieces placed by their offsets, snapshots and the end taken as told."""
    text = ""
    for frame in frames:
        event = frame.payload if isinstance(frame, Frame) else frame
        if event.get("message_id") != str(message_id):
            continue
        if event["type"] == kind:
            assert event["offset"] <= len(text), "a piece was lost"
            text = text[: event["offset"]] + event["content"] + text[event["offset"] + len(event["content"]) :]
        elif event["type"] == "snapshot":
            text = event["content" if kind == "delta" else "thinking"]
        elif event["type"] == "bot_message" and kind == "delta":
            text = event["content"]
    return text


@asynccontextmanager
async def chatting(
    data_dir: Path,
    *,
    overrides: Mapping[str, str] | None = None,
    plugins: Sequence[Any] | None = None,
    clock: Clock | None = None,
    ollama: ScriptedOllama | None = None,
) -> AsyncIterator[Chatting]:
    """Open an application with everything in it that a chat needs."""
    async with AsyncExitStack() as stack:
        if ollama is None:
            ollama = await stack.enter_async_context(ScriptedOllama([PLAIN]))
        settings = {
            "EUDAI_DATA_DIR": str(data_dir),
            "EUDAI_SECRET_KEY": SECRET,
            "EUDAI_AUTH_BCRYPT_COST": "4",
            "EUDAI_OLLAMA_HOST": ollama.url,
            **chosen(),
            **(overrides or {}),
        }
        app = await stack.enter_async_context(
            Application.open(overrides=settings, environ={}, dotenv=None, plugins=plugins, clock=clock)
        )
        yield await _enter(app, ollama)


async def _enter(app: Application, ollama: ScriptedOllama) -> Chatting:
    await app.accounts.create_user(username="ada", email="ada@example.org", password=PASSWORD)
    pair = await app.accounts.log_in(login="ada", password=PASSWORD)
    identity = await app.accounts.authenticate(Credentials("bearer", pair.access_token))
    project = await app.projects.create(identity, name="A project")
    conversation = await app.conversations.create(identity, project.id)
    return Chatting(app, identity, project, conversation, ollama)
