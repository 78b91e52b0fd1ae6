"""A small client for tests: HTTP by aiohttp, sockets by websockets."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

__all__ = ["ANSWER_CHECKS", "EVENT_CHECKS", "Answer", "ChatSocket", "Client", "client", "events_of"]

WAIT_S = 30.0
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


ANSWER_CHECKS: list[Callable[[str, str, Answer], None]] = []
"""What is done with every answer: its method, its path, itself."""
EVENT_CHECKS: list[Callable[[dict[str, Any]], None]] = []
"""What is done with every event of a socket."""


@dataclass(slots=True)
class ChatSocket:
    """An open socket and everything that came over it."""

    socket: ClientConnection
    events: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, kind: str, **members: Any) -> None:
        """Send an event."""
        await self.socket.send(json.dumps({"type": kind, **members}))

    async def next(self) -> dict[str, Any]:
        """Return the next event."""
        event: dict[str, Any] = json.loads(await asyncio.wait_for(self.socket.recv(), WAIT_S))
        self.events.append(event)
        for check in EVENT_CHECKS:
            check(event)
        return event

    async def until(self, kind: str, **members: Any) -> dict[str, Any]:
        """Return the next event of a kind with these members; what comes before is kept in ``events``."""
        while True:
            event = await self.next()
            if event["type"] == kind and all(event.get(name) == value for name, value in members.items()):
                return event

    async def closed(self) -> int | None:
        """Wait until the server closes, and return the code."""
        try:
            while True:
                await self.next()
        except ConnectionClosed:
            return self.socket.close_code

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a kind that came so far."""
        return [event for event in self.events if event["type"] == kind]

    def text(self, message_id: str, kind: str = "delta") -> str:
        """Return the text of an answer as its pieces place it."""
        text = ""
        for event in self.events:
            if event.get("message_id") != message_id:
                continue
            if event["type"] == "snapshot":
                text = event["content" if kind == "delta" else "thinking"]
            elif event["type"] == kind:
                text = text[: event["offset"]] + event["content"]
        return text


@dataclass(slots=True)
class Client:
    """A user of a server."""

    url: str
    http: aiohttp.ClientSession
    token: str = ""
    tokens: dict[str, Any] = field(default_factory=dict)
    name: str = ""

    async def request(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None, **extra: Any
    ) -> Answer:
        """Send a request, with the token if there is one; ``body`` goes as JSON."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        sent.update(headers or {})
        if body is not None:
            extra["json"] = body
        async with self.http.request(method, self.url + path, headers=sent, **extra) as response:
            answer = Answer(response.status, response.headers.copy(), await response.read())
        for check in ANSWER_CHECKS:
            check(method, path, answer)
        return answer

    async def call(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        """Send a request that must have this status, and return its JSON."""
        answer = await self.request(method, path, body=body)
        assert answer.status == status, (answer.status, answer.body)
        return answer.json if answer.body else None

    async def sign_up(self, name: str = "") -> None:
        """Create an account and log in."""
        self.name = name or f"user{next(_numbers)}"
        account = {"username": self.name, "email": f"{self.name}@example.org", "password": "correct horse"}
        await self.call("POST", "/api/auth/signup", account, status=201)
        await self.log_in()

    async def log_in(self) -> None:
        """Log in."""
        self.tokens = await self.call("POST", "/api/auth/login", {"username": self.name, "password": "correct horse"})
        self.token = self.tokens["access_token"]

    async def project(self, name: str = "A project") -> str:
        """Create a project and return its id."""
        project = await self.call("POST", "/api/projects", {"name": name, "description": ""}, status=201)
        return str(project["id"])

    async def conversation(self, project_id: str | None = None) -> str:
        """Create a conversation, in a new project by default, and return its id."""
        project_id = project_id or await self.project()
        path = f"/api/projects/{project_id}/conversations"
        return str((await self.call("POST", path, {}, status=201))["id"])

    async def upload(self, project_id: str, *files: tuple[str, bytes]) -> Answer:
        """Upload files in one request."""
        form = aiohttp.FormData(default_to_multipart=True, quote_fields=False)
        for name, content in files:
            form.add_field("files", content, filename=name)
        return await self.request("POST", f"/api/projects/{project_id}/files", data=form)

    @asynccontextmanager
    async def chat(
        self, conversation_id: str, *, after: int | None = None, **options: Any
    ) -> AsyncIterator[ChatSocket]:
        """Open a socket of a conversation."""
        query = "" if after is None else f"?after={after}"
        url = f"ws{self.url.removeprefix('http')}/ws/conversations/{conversation_id}{query}"
        options.setdefault("additional_headers", {"Authorization": f"Bearer {self.token}"})
        async with connect(url, compression=None, max_size=None, **options) as socket:
            yield ChatSocket(socket)


@asynccontextmanager
async def client(url: str, *, signed_up: bool = True) -> AsyncIterator[Client]:
    """Give a client of the server at ``url``, with a new account."""
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=60), cookie_jar=aiohttp.DummyCookieJar()
    ) as http:
        user = Client(url, http)
        if signed_up:
            await user.sign_up()
        yield user


async def events_of(stream: aiohttp.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """Give the events of a text/event-stream, each with ``id`` if it has one."""
    event: dict[str, Any] = {}
    async for raw in stream:
        line = raw.decode().rstrip("\n")
        name, _, value = line.partition(": ")
        if name == "data":
            event.update(json.loads(value))
        elif name == "id":
            event["id"] = int(value)
        elif not line and event:
            yield event
            event = {}
