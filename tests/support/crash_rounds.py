"""Rounds of writing, kill -9 at a moment drawn by lot, and looking whether all is there that was acknowledged."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from eudai_core.contracts import Storage
from eudai_core.testing.scripted_ollama import ScriptedModel, ScriptedOllama
from eudai_sql.storage import open_storage
from support.client import Client, client
from support.crash_rows import active_runs, orphans, rows, unnamed_blobs, wrong_blobs
from support.eventually import eventually
from support.server import ServerProcess, server_process
from support.writers import Writer, answer_to, scripted_answer
from support.writers_ledger import Turn

__all__ = ["RoundFigures", "kill_rounds"]

KEPT_S = 0.3
"""What was seen this long before the kill is to be kept, where the processor is not the bottleneck."""
RESENT = 6
"""How many of its last commands each user sends again."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class RoundFigures:
    """What a round came to. Times are in seconds."""

    seed: str
    moment: int
    """After how many things that came from the server it was killed."""
    acknowledged: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    lost_s: float = 0.0
    """The most that an interrupted answer lacks: how long before the kill its first lost piece was seen."""
    late: int = 0
    """How many interrupted answers lack something that was seen more than KEPT_S before the kill."""
    start_s: float = 0.0
    recovery_s: float = 0.0
    """From the start of the next process until no run is queued or running."""
    check_s: float = 0.0
    unnamed_blobs: int = 0


class _Moment:
    """Sets ``reached`` when so many things came from the server."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self._left = 0

    def draw(self, count: int) -> None:
        self.reached.clear()
        self._left = count

    def notice(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self.reached.set()


class _Trial:
    def __init__(
        self,
        data: Path,
        url: str,
        ollama: ScriptedOllama,
        writers: Sequence[Writer],
        moment: _Moment,
        most_lost_s: float,
    ) -> None:
        self.data = data
        self.url = url
        self.writers = writers
        self.moment = moment
        self.most_lost_s = most_lost_s
        self.environ = {
            "EUDAI_DATABASE_URL": url,
            "OLLAMA_HOST": ollama.url,
            "EUDAI_OLLAMA_CAPACITY": "16",
            "EUDAI_RUN_LEASE_S": "2",
            "EUDAI_LOG_LEVEL": "error",
        }

    async def write_and_kill(self, server: ServerProcess) -> float:
        """Let all write, kill the server at the moment, and return when that was."""
        killed = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for writer in self.writers:
                writer.user.url = server.url
                writer.begin_round()
                group.create_task(writer.write(killed))
            await self.moment.reached.wait()
            at = time.monotonic()
            killed.set()
            server.signal(signal.SIGKILL)
        await server.wait()
        return at

    async def check(self, server: ServerProcess, storage: Storage, at: float, figures: RoundFigures) -> None:
        """Check everything that was acknowledged, and resend what was asked."""
        begun = time.monotonic()
        for writer in self.writers:
            writer.user.url = server.url
        await eventually(lambda: _settled(storage))
        figures.recovery_s = time.monotonic() - begun
        await _each(_objects_are_there(writer) for writer in self.writers)
        await self._answers_are_there(storage, at, figures)
        await _each(_resent_commands_are_the_same(writer) for writer in self.writers)
        await eventually(lambda: _settled(storage))
        await _each(_questions_are_in_the_path(writer) for writer in self.writers)
        figures.check_s = time.monotonic() - begun - figures.recovery_s
        found = await orphans(storage)
        assert not found, found
        assert await wrong_blobs(storage, self.data) == []
        figures.unnamed_blobs = await unnamed_blobs(storage, self.data)

    async def _answers_are_there(self, storage: Storage, at: float, figures: RoundFigures) -> None:
        found = {
            str(UUID(key)): (status, text, thinking) for key, status, text, thinking in await rows(storage, _ANSWERS)
        }
        for writer in self.writers:
            for turn in _kept(writer):
                if not turn.acknowledged:
                    continue
                assert turn.answer_id in found, f"the answer to {turn.client_id} is lost"
                status, text, thinking = found[turn.answer_id]
                _answer_is_right(turn, status, text, thinking)
                figures.answers[status] += 1
                lost = turn.lost(text, thinking, at)
                assert lost <= self.most_lost_s, f"the last {lost:.3f} s of the answer to {turn.client_id} are lost"
                figures.lost_s = max(figures.lost_s, lost)
                figures.late += lost > KEPT_S


_ANSWERS = "select cast(id as text), status, text, thinking from messages where sender = 'llm'"


def _kept(writer: Writer) -> list[Turn]:
    return [turn for turn in writer.turns if turn.conversation in writer.shelves["conversation"].there]


def _answer_is_right(turn: Turn, status: str, text: str, thinking: str) -> None:
    whole = answer_to(turn.content)
    told = f"{turn.client_id} is {status} with {text!r} and {thinking!r}"
    assert status in {"complete", "interrupted", *(["stopped"] if turn.stop_sent else [])}, told
    if turn.end is not None:
        assert (text, status) == (turn.end["content"], turn.end["status"]), f"{told}, and was told as {turn.end}"
    if turn.target is None:
        assert whole.startswith(text), told
        assert status != "complete" or text == whole, told


async def _settled(storage: Storage) -> bool:
    return not await active_runs(storage)


async def _worked_off(storage: Storage) -> bool:
    """Whether no job is due. One that a dead process did has a lease, and does not count."""
    return not await rows(storage, "select 1 from jobs where state = 'waiting' and attempts = 0 limit 1")


async def _each(work: Any) -> None:
    async with asyncio.TaskGroup() as group:
        for one in work:
            group.create_task(one)


async def _listed(user: Client, path: str) -> list[Mapping[str, Any]]:
    items: list[Mapping[str, Any]] = []
    cursor = ""
    while True:
        page = await user.call("GET", f"{path}?limit=200{cursor}")
        items += page["items"]
        if page["next"] is None:
            return items
        cursor = f"&cursor={page['next']}"


async def _objects_are_there(writer: Writer) -> None:
    user = writer.user
    projects = await _listed(user, "/api/projects")
    await writer.settle("project", {item["id"]: _only(item, "name", "description") for item in projects})
    writer.forget_children()
    files: dict[str, Mapping[str, Any]] = {}
    conversations: dict[str, Mapping[str, Any]] = {}
    for project in projects:
        path = f"/api/projects/{project['id']}"
        for item in await _listed(user, f"{path}/files"):
            files[item["id"]] = _only(item, "project_id", "filename", "sha256")
        for item in await _listed(user, f"{path}/conversations"):
            conversations[item["id"]] = _only(item, "project_id", "title")
        counts = {"files": 0, "conversations": 0} | project["counts"]
        assert counts["files"] == sum(one["project_id"] == project["id"] for one in files.values())
        assert counts["conversations"] == sum(one["project_id"] == project["id"] for one in conversations.values())
    await writer.settle("file", files)
    await writer.settle("conversation", conversations)
    for kind, path in (("project", "/api/projects"), ("conversation", "/api/conversations")):
        for key in sorted(writer.shelves[kind].deleted)[-2:]:
            await user.call("GET", f"{path}/{key}", status=404)


def _only(item: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    return {name: item[name] for name in names}


async def _resent_commands_are_the_same(writer: Writer) -> None:
    """Send each command again, over whichever way; one that was cut off before its acknowledgement happens now."""
    kept = _kept(writer)
    for turn in [turn for turn in kept[:-RESENT] if not turn.acknowledged] + kept[-RESENT:]:
        path = f"/api/conversations/{turn.conversation}"
        if turn.target is not None:
            body = {"message_id": turn.target, "client_id": turn.client_id}
            turn.acknowledge(await writer.user.call("POST", f"{path}/regenerate", body, status=202))
        elif turn.acknowledged and writer.random.random() < 0.5:
            body = {"content": turn.content, "client_id": turn.client_id}
            answer = await writer.user.request("POST", f"{path}/messages", body=body)
            if answer.status == 200:
                ids = {"message_id": answer.json["user_message"]["id"], "answer_id": answer.json["bot_message"]["id"]}
                turn.acknowledge({**ids, "run_id": turn.run_id})
            else:  # nothing of the answer was made before the kill
                assert (answer.json["code"], answer.json["message_id"]) == ("interrupted", turn.answer_id), answer.body
        else:
            async with writer.user.chat(turn.conversation) as socket:
                await socket.send("user_message", content=turn.content, client_id=turn.client_id)
                turn.acknowledge(await socket.until("ack", client_id=turn.client_id))


async def _questions_are_in_the_path(writer: Writer) -> None:
    for conversation in sorted({turn.conversation for turn in _kept(writer)}):
        path: dict[str, str] = {}
        cursor = ""
        while cursor is not None:
            body = await writer.user.call("GET", f"/api/conversations/{conversation}?limit=200{cursor}")
            path |= {item["id"]: item["text"] for item in body["messages"]["items"]}
            cursor = body["messages"]["next"] and f"&cursor={body['messages']['next']}"
        for turn in _kept(writer):
            if turn.conversation == conversation and turn.target is None:
                assert path.get(str(turn.message_id)) == turn.content, f"{turn.client_id} is not in the path"


async def kill_rounds(
    data: Path,
    url: str,
    *,
    seed: int,
    rounds: int,
    writers: int = 8,
    most: int = 1_200,
    most_lost_s: float = KEPT_S,
) -> list[RoundFigures]:
    """Write, kill and check on the same data, so many times; a failure names the seed and the round.

    Args:
        data: the data directory; made when it is not there.
        url: a migrated database.
        seed: decides what is written and when the server is killed; not how the two meet.
        rounds: how often.
        writers: how many users write at once.
        most: after how many things that came from the server it is killed at the latest.
        most_lost_s: how much of the end of an answer may be lost: what was seen so long before the kill.
    """
    source, moment, told = random.Random(seed), _Moment(), []
    async with AsyncExitStack() as stack:
        ollama = await stack.enter_async_context(ScriptedOllama([ScriptedModel()], slots=16))
        ollama.answer = scripted_answer
        storage = open_storage(url)
        stack.push_async_callback(storage.aclose)
        users = [await stack.enter_async_context(client("", signed_up=False)) for _ in range(writers)]
        them = [Writer(user, f"{seed} {number}", moment.notice) for number, user in enumerate(users)]
        trial = _Trial(data, url, ollama, them, moment, most_lost_s)
        servers = AsyncExitStack()
        stack.push_async_callback(servers.aclose)
        server = await servers.enter_async_context(server_process(data, environ=trial.environ))
        for user in users:
            user.url = server.url
            await user.sign_up()
        for number in range(rounds):
            figures = RoundFigures(f"{seed} round {number}", source.randrange(50, most))
            moment.draw(figures.moment)
            before = sum(writer.acknowledged for writer in them)
            at = await trial.write_and_kill(server)
            figures.acknowledged = sum(writer.acknowledged for writer in them) - before
            begun = time.monotonic()
            server = await servers.enter_async_context(server_process(data, environ=trial.environ))
            figures.start_s = time.monotonic() - begun
            await trial.check(server, storage, at, figures)
            _log.info("%s", figures)
            told.append(figures)
        await eventually(lambda: _worked_off(storage))
        found = await orphans(storage)
        assert not found, found
    return told
