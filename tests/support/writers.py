"""Users who write all the time, and remember what the server acknowledged."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any

import aiohttp
from websockets.exceptions import WebSocketException

from eudai_core.testing.scripted_ollama import Piece, Reply
from support.client import ChatSocket, Client
from support.writers_ledger import Shelf, Trying, Turn

__all__ = ["CUT", "Writer", "scripted_answer"]

CUT = (aiohttp.ClientError, OSError, WebSocketException, TimeoutError)
"""What a client meets when its server is killed."""
MOST = {"project": 3, "file": 6, "conversation": 6}
THOUGHTS = 8
PIECES = (20, 30, 100)
"""How many pieces an answer has; a long one takes longer than any batch may be late."""
PACE = 60.0
UNFINISHED = 2
"""How many answers of one user are waited for at most before the next write."""
_WEIGHTS = {
    "create_project": 2,
    "upload": 4,
    "create_conversation": 4,
    "ask": 12,
    "ask_and_stop": 3,
    "ask_over_http": 3,
    "regenerate": 3,
    "rename_conversation": 3,
    "rename_project": 2,
    "delete_file": 1,
    "delete_conversation": 1,
    "delete_project": 1,
}


def scripted_answer(_model: str, messages: Any, thinks: bool) -> Reply:
    """Answer at a steady pace by a text that only the question decides."""
    question = str(messages[-1]["content"]).rstrip().rpartition("\n")[2]
    thinking = _pieces(f"thinking of {question}", (THOUGHTS,)) if thinks else []
    steps = (*(Piece(thinking=piece) for piece in thinking), *(Piece(piece) for piece in _pieces(question, PIECES)))
    return Reply(steps=steps, pace=PACE)


def answer_to(question: str) -> str:
    """Return the whole text of :func:`scripted_answer`."""
    return "".join(_pieces(question, PIECES))


def _pieces(question: str, counts: Sequence[int]) -> list[str]:
    source = random.Random(question)
    return [f"{source.randrange(10**6)}\u00e9\U0001d54f " for _ in range(source.choice(counts))]


class Writer:
    """A user. One write at a time is under way, and any number of answers."""

    def __init__(self, user: Client, seed: str, noticed: Callable[[], None]) -> None:
        """Write as ``user``; ``noticed`` is called at everything that comes from the server."""
        self.user = user
        self.random = random.Random(seed)
        self.shelves = {kind: Shelf(kind) for kind in MOST}
        self.turns: list[Turn] = []
        """Those of this round."""
        self.trying: Trying | None = None
        self.acknowledged = 0
        self._noticed = noticed
        self._names = 0
        self._last: dict[str, str] = {}
        self._watching: list[asyncio.Task[None]] = []

    async def write(self, killed: asyncio.Event) -> None:
        """Write until the server is killed.

        Raises:
            AssertionError: the server refused something, or broke off before it was killed.
        """
        try:
            while True:
                name = self.random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
                step: Callable[[], Coroutine[Any, Any, bool]] = getattr(self, f"_{name}")
                if await step():
                    self.acknowledged += 1
        except CUT as error:
            if not killed.is_set():
                raise AssertionError("the server broke off before it was killed") from error
        finally:
            await asyncio.gather(*self._watching)

    async def settle(self, kind: str, found: Mapping[str, Mapping[str, Any]]) -> None:
        """Compare the objects of a kind with those that the server has."""
        self.shelves[kind].settle(found, self.trying)

    def forget_children(self) -> None:
        """Forget what went with a project that is gone."""
        projects = self.shelves["project"].there
        for kind in ("file", "conversation"):
            for key in [k for k, fields in self.shelves[kind].there.items() if fields["project_id"] not in projects]:
                self.shelves[kind].drop(key)

    def begin_round(self) -> None:
        """Forget the turns of the last round; what they left is in the database, and stays compared there."""
        self.turns.clear()
        self.trying = None
        self._watching.clear()

    async def _call(self, trying: Trying, method: str, path: str, body: Any, status: int) -> Any:
        self.trying = trying
        answer = await self.user.call(method, path, body, status=status)
        self._noticed()
        return answer

    def _name(self, what: str) -> str:
        self._names += 1
        return f"{what} {self._names} of {self.user.name}"

    def _pick(self, kind: str) -> str | None:
        there = self.shelves[kind].there
        return self.random.choice(sorted(there)) if there else None

    def _full(self, kind: str) -> bool:
        return len(self.shelves[kind].there) >= MOST[kind]

    async def _create_project(self) -> bool:
        if self._full("project"):
            return await self._delete_project()
        fields = {"name": self._name("project"), "description": "as it was"}
        made = await self._call(Trying("project", None, [fields]), "POST", "/api/projects", fields, 201)
        self.shelves["project"].put(made["id"], fields)
        return True

    async def _rename_project(self) -> bool:
        key = self._pick("project")
        if key is None:
            return False
        fields = {"name": self._name("project"), "description": "as it is now"}
        await self._call(Trying("project", key, [fields]), "PUT", f"/api/projects/{key}", fields, 200)
        self.shelves["project"].put(key, fields)
        return True

    async def _delete_project(self) -> bool:
        key = self._pick("project")
        if key is None or len(self.shelves["project"].there) < MOST["project"]:
            return False
        await self._call(Trying("project", key), "DELETE", f"/api/projects/{key}", None, 204)
        self.shelves["project"].drop(key)
        self.forget_children()
        return True

    async def _upload(self) -> bool:
        project = self._pick("project")
        if project is None:
            return False
        if self._full("file"):
            return await self._delete_file()
        files = [(f"{self._name('file')}.md", self._body()) for _ in range(self.random.choice((1, 1, 3)))]
        fields = [
            {"project_id": project, "filename": name, "sha256": hashlib.sha256(body).hexdigest()}
            for name, body in files
        ]
        self.trying = Trying("file", None, fields)
        answer = await self.user.upload(project, *files)
        assert answer.status == 201, answer.body
        self._noticed()
        for item, one in zip(answer.json["items"], fields, strict=True):
            self.shelves["file"].put(item["id"], one)
        return True

    def _body(self) -> bytes:
        lines = [
            f"# {self._name('heading')}",
            *(f"Line {self.random.random()}." for _ in range(self.random.choice((3, 300)))),
        ]
        return "\n\n".join(lines).encode()

    async def _delete_file(self) -> bool:
        key = self._pick("file")
        if key is None:
            return False
        path = f"/api/projects/{self.shelves['file'].there[key]['project_id']}/files/{key}"
        await self._call(Trying("file", key), "DELETE", path, None, 204)
        self.shelves["file"].drop(key)
        return True

    async def _create_conversation(self) -> bool:
        project = self._pick("project")
        if project is None:
            return False
        if self._full("conversation"):
            return await self._delete_conversation()
        title = self._name("conversation")
        trying = Trying("conversation", None, [{"project_id": project, "title": title}])
        made = await self._call(trying, "POST", f"/api/projects/{project}/conversations", {"title": title}, 201)
        self.shelves["conversation"].put(made["id"], trying.fields[0])
        return True

    async def _rename_conversation(self) -> bool:
        key = self._pick("conversation")
        if key is None:
            return False
        fields = {**self.shelves["conversation"].there[key], "title": self._name("conversation")}
        body = {"title": fields["title"]}
        await self._call(Trying("conversation", key, [fields]), "PATCH", f"/api/conversations/{key}", body, 200)
        self.shelves["conversation"].put(key, fields)
        return True

    async def _delete_conversation(self) -> bool:
        key = self._pick("conversation")
        if key is None:
            return False
        await self._call(Trying("conversation", key), "DELETE", f"/api/conversations/{key}", None, 204)
        self.shelves["conversation"].drop(key)
        return True

    def _turn(self, target: str | None = None, conversation: str | None = None) -> Turn | None:
        conversation = conversation or self._pick("conversation")
        if conversation is None:
            return None
        name = self._name("question")
        self.trying = None
        self.turns.append(Turn(conversation, f"{name} \u00e9", name, target))
        return self.turns[-1]

    async def _ask(self, *, stop: bool = False) -> bool:
        turn = self._turn()
        if turn is None:
            return False
        stored = asyncio.Event()
        task = asyncio.create_task(self._follow(turn, stored, stop=stop))
        self._watching.append(task)
        waiting = asyncio.create_task(stored.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not stored.is_set():
            raise ConnectionError("the socket ended before the message was acknowledged")
        await self._wait_for_answers(UNFINISHED)
        return True

    async def _wait_for_answers(self, most: int) -> None:
        while len(running := [task for task in self._watching if not task.done()]) > most:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)

    async def _ask_and_stop(self) -> bool:
        return await self._ask(stop=True)

    async def _follow(self, turn: Turn, stored: asyncio.Event, *, stop: bool) -> None:
        """Ask over a socket and read to the end of the answer, or of the server, or of the conversation."""
        with suppress(*CUT):
            async with self.user.chat(turn.conversation, open_timeout=30) as socket:
                await socket.send("user_message", content=turn.content, client_id=turn.client_id)
                while turn.end is None:
                    event = await socket.next()
                    if event["type"] == "ack" and event["client_id"] == turn.client_id:
                        turn.acknowledge(event)
                        self._last[turn.conversation] = str(turn.answer_id)
                        stored.set()
                    if event["type"] == "error":
                        assert turn.conversation in self.shelves["conversation"].deleted, event
                    turn.take(event, time.monotonic())
                    self._noticed()
                    if stop and event["type"] == "delta" and event["message_id"] == turn.answer_id:
                        await self._stop(turn, socket)
                        stop = False

    async def _stop(self, turn: Turn, socket: ChatSocket) -> None:
        turn.stop_sent = True
        await socket.send("stop", run_id=turn.run_id)

    async def _ask_over_http(self) -> bool:
        turn = self._turn()
        if turn is None:
            return False
        body = {"content": turn.content, "client_id": turn.client_id}
        answer = await self.user.call("POST", f"/api/conversations/{turn.conversation}/messages", body)
        self._noticed()
        turn.message_id, turn.answer_id = answer["user_message"]["id"], answer["bot_message"]["id"]
        turn.end = {"content": answer["bot_message"]["text"], "status": answer["bot_message"]["status"]}
        self._last[turn.conversation] = str(turn.answer_id)
        return True

    async def _regenerate(self) -> bool:
        known = sorted(set(self._last) & set(self.shelves["conversation"].there))
        if not known:
            return False
        conversation = self.random.choice(known)
        turn = self._turn(self._last[conversation], conversation)
        assert turn is not None
        body = {"message_id": turn.target, "client_id": turn.client_id}
        answer = await self.user.call("POST", f"/api/conversations/{conversation}/regenerate", body, status=202)
        self._noticed()
        turn.acknowledge(answer)
        self._last[conversation] = str(turn.answer_id)
        return True
