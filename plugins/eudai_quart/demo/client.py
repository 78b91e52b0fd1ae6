"""What the demo does as a client, with nothing but HTTP and a WebSocket."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from eudai_quart.demo.documents import Document
from eudai_quart.demo.failure import DemoFailed

__all__ = ["Client", "connected"]

REQUEST_S: Final = 60.0
READY_S: Final = 180.0
LOOK_S: Final = 0.2
SILENCE_S: Final = 300.0
"""Seconds without an event, the loading of a large model included, after which an answer is given up."""


def connected(url: str) -> aiohttp.ClientSession:
    """Return a session for the server at ``url``."""
    return aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(total=REQUEST_S))


@dataclass(slots=True)
class Client:
    """A user of the server."""

    http: aiohttp.ClientSession
    token: str = ""

    async def sign_up_and_in(self) -> None:
        """Create an account and log in to it."""
        name, password = f"demo-{secrets.token_hex(4)}", secrets.token_urlsafe(16)
        account = {"username": name, "email": f"{name}@demo.invalid", "password": password}
        await self.call("POST", "/api/auth/signup", account)
        tokens = await self.call("POST", "/api/auth/login", {"username": name, "password": password})
        self.token = tokens["access_token"]

    async def create_project(self, name: str, instruction: str) -> str:
        """Create a project with one instruction and return its id."""
        project = await self.call("POST", "/api/projects", {"name": name, "description": "Made by eudai demo."})
        path = f"/api/projects/{project['id']}/instructions"
        await self.call("POST", path, {"instruction_text": instruction})
        return str(project["id"])

    async def upload(self, project_id: str, documents: Sequence[Document]) -> None:
        """Upload the documents in one request, and wait until all are ready to be used.

        Raises:
            DemoFailed: one could not be read.
        """
        form = aiohttp.FormData(quote_fields=False)
        for document in documents:
            form.add_field("files", document.content, filename=document.name)
        path = f"/api/projects/{project_id}/files"
        async with self.http.post(path, data=form, headers=self._headers()) as response:
            await _checked(response)
        async with asyncio.timeout(READY_S):
            while await self._unfinished(path):  # noqa: ASYNC110 -- another process can only be asked
                await asyncio.sleep(LOOK_S)

    async def create_conversation(self, project_id: str) -> str:
        """Begin a conversation and return its id."""
        conversation = await self.call("POST", f"/api/projects/{project_id}/conversations", {"title": "A demo"})
        return str(conversation["id"])

    async def ask(self, conversation_id: str, question: str) -> AsyncIterator[Mapping[str, Any]]:
        """Ask over the WebSocket, and give the events until the answer is complete.

        Raises:
            DemoFailed: the server refused, or the answer did not come to its end.
        """
        path = f"/ws/conversations/{conversation_id}"
        async with self.http.ws_connect(path, headers=self._headers(), max_msg_size=0) as socket:
            await socket.send_json({"type": "user_message", "content": question, "client_id": secrets.token_hex(8)})
            while True:
                message = await socket.receive(timeout=SILENCE_S)
                if message.type is not aiohttp.WSMsgType.TEXT:
                    raise DemoFailed(f"the socket was closed with {message.data}.")
                event = json.loads(message.data)
                if event["type"] == "error":
                    raise DemoFailed(f"{event['title']}: {event['detail']}")
                yield event
                if event["type"] == "bot_message":
                    return

    async def report(self, message_id: str) -> Mapping[str, Any]:
        """Return the context report of an answer."""
        report: Mapping[str, Any] = await self.call("GET", f"/api/messages/{message_id}/context")
        return report

    async def download(self, conversation_id: str) -> str:
        """Return the conversation as Markdown."""
        path = f"/api/download/conversations/{conversation_id}?format=markdown"
        async with self.http.get(path, headers=self._headers()) as response:
            await _checked(response)
            return await response.text()

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return the answer to a request with a JSON body.

        Raises:
            DemoFailed: the server refused it.
        """
        async with self.http.request(method, path, json=body, headers=self._headers()) as response:
            await _checked(response)
            return await response.json()

    async def _unfinished(self, path: str) -> bool:
        files = (await self.call("GET", f"{path}?limit=200"))["items"]
        for file in files:
            if file["status"] == "failed":
                raise DemoFailed(f"{file['filename']} cannot be read: {file['error']}")
        return any(file["status"] != "ready" for file in files)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


async def _checked(response: aiohttp.ClientResponse) -> None:
    if response.status >= 400:
        problem = json.loads(await response.text())
        raise DemoFailed(f"{problem['title']}: {problem['detail']} ({response.status})")
