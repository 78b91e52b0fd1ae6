"""An Ollama for tests: real HTTP, the real server's shapes, and every fault it is known for, on demand.

In a test::

    async with ScriptedOllama() as ollama:
        ollama.script(Reply.of("Hel", "lo", thinking=("hm",)))
        ...  # point the client at ollama.url
        assert ollama.chats[0].body["options"]["num_ctx"] == 8192

As a process: ``python -m eudai_core.testing.scripted_ollama --port 0`` prints its address and is scripted over
``/_script`` (eudai_core.testing._ollama.control tells the orders).

Without a script it answers each chat by a text made from the request, which names the last question, the number of
messages, the beginning of the system text and the question before, so that an end-to-end test sees what was sent.
Tokens are counted by white space: a message has one token more than it has words, a generated piece as many as it has
words and at least one.

Gates hold work until they are released: a path (``/api/chat``, ``/api/tags``, …) holds requests to it, ``load`` the
loading of a model, ``pull`` a download, and a :class:`Gate` among a reply's steps that reply.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import json
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from eudai_core.clock import SystemClock
from eudai_core.testing._ollama import control, endpoints
from eudai_core.testing._ollama.answer import default_answer
from eudai_core.testing._ollama.chat import Stage, play
from eudai_core.testing._ollama.gojson import dumps
from eudai_core.testing._ollama.http import Connection, Request
from eudai_core.testing._ollama.library import Library, Load, ScriptedModel, canonical
from eudai_core.testing._ollama.listener import Listener, Received
from eudai_core.testing._ollama.reply import (
    Cut,
    End,
    ErrorLine,
    Gate,
    Piece,
    Raw,
    Reply,
    Step,
    context_exceeded,
    reply_from_json,
)
from eudai_core.testing._ollama.request import ChatCall, RefusalError, read_chat, read_json
from eudai_core.testing._ollama.signals import Gates

if TYPE_CHECKING:
    from eudai_core.contracts import Clock

__all__ = [
    "Cut",
    "End",
    "ErrorLine",
    "Gate",
    "Load",
    "Piece",
    "Raw",
    "Received",
    "Reply",
    "ScriptedModel",
    "ScriptedOllama",
    "Step",
    "context_exceeded",
    "reply_from_json",
]

_JSON = "application/json; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"
_LOCAL_SUFFIXES = (".localhost", ".local", ".internal")
_METHODS = {
    "/": "GET",
    "/api/version": "GET",
    "/api/tags": "GET",
    "/api/ps": "GET",
    "/api/chat": "POST",
    "/api/show": "POST",
    "/api/pull": "POST",
    "/api/embed": "POST",
    "/api/delete": "DELETE",
}


class ScriptedOllama:
    """The server. Use it as an async context manager; every method is to be called in its event loop."""

    def __init__(
        self,
        models: Sequence[ScriptedModel] = (ScriptedModel(),),
        *,
        port: int = 0,
        version: str = "0.33.0",
        slots: int = 4,
        default_window: int = 4096,
        tags_facts: bool = True,
        cached_counts: bool = False,
        pace: float | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Prepare a server with these models.

        Args:
            models: what is installed.
            port: where to listen on 127.0.0.1; 0 takes a free port.
            version: what ``/api/version`` tells.
            slots: OLLAMA_NUM_PARALLEL; further requests to a model wait without a byte.
            default_window: the window when a request names none.
            tags_facts: whether ``/api/tags`` tells capabilities and context lengths, as newer servers do.
            cached_counts: whether the last line tells ``prompt_eval_cached_count``, as newer servers do.
            pace: pieces a second (None: as fast as possible).
            clock: where timestamps come from.
        """
        self.version = version
        self.pace = pace
        self.tags_facts = tags_facts
        self.cached_counts = cached_counts
        self.pullable: dict[str, ScriptedModel] = {}
        self.answer: Callable[[str, Sequence[Mapping[str, Any]], bool], Reply] = default_answer
        """What is answered when nothing was scripted: called with model, messages and whether it thinks."""
        self._listener = Listener(port, self._answer)
        self._clock = clock or SystemClock()
        self._gates = Gates()
        self._replies: deque[tuple[str | None, Reply]] = deque()
        self._failures: dict[str, RefusalError] = {}
        self._library = Library(self._clock, self._gates, slots=slots, default_window=default_window)
        for model in models:
            self.install(model)

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return f"http://127.0.0.1:{self._listener.port}"

    @property
    def requests(self) -> list[Received]:
        """Every request that came, oldest first."""
        return self._listener.requests

    @property
    def chats(self) -> list[Received]:
        """The chat requests with messages, in the order in which they came."""
        return [seen for seen in self.requests if seen.path == "/api/chat" and (seen.body or {}).get("messages")]

    @property
    def loads(self) -> list[Load]:
        """Every loading of a model so far: more than one for one model is a reload."""
        return self._library.loads

    @property
    def loaded(self) -> dict[str, int]:
        """The loaded models with their windows."""
        return {name: runner.load.num_ctx for name, runner in self._library.loaded.items()}

    def script(self, *replies: Reply, model: str | None = None) -> None:
        """Queue replies for the next chat requests, of ``model`` or of any; their gates are held from now on."""
        for reply in replies:
            for step in reply.steps:
                if isinstance(step, Gate):
                    self._gates.hold(step.name)
            self._replies.append((canonical(model) if model else None, reply))

    def hold(self, gate: str) -> None:
        """Hold a gate."""
        self._gates.hold(gate)

    def release(self, gate: str) -> None:
        """Release a gate."""
        self._gates.release(gate)

    async def standing(self, gate: str, count: int = 1) -> None:
        """Return once ``count`` requests stand at a gate."""
        await self._gates.standing(gate, count)

    async def received(self, count: int = 1, path: str = "/api/chat") -> Received:
        """Return the ``count``-th request to ``path`` once it came."""
        await self._listener.signal.until(lambda: len(self._to(path)) >= count)
        return self._to(path)[count - 1]

    async def disconnected(self, count: int = 1) -> None:
        """Return once ``count`` requests were left by their clients before the answer was complete."""
        await self._listener.signal.until(lambda: sum(seen.left for seen in self.requests) >= count)

    async def finished(self, count: int = 1) -> None:
        """Return once ``count`` requests have ended, in whatever way."""
        await self._listener.signal.until(lambda: sum(seen.ended for seen in self.requests) >= count)

    def fail(self, path: str, status: int, error: str | None = None) -> None:
        """Refuse every request to ``path`` with this status and error (None: an empty body) until :meth:`mend`."""
        self._failures[path] = RefusalError(status, error)

    def mend(self, path: str) -> None:
        """Take :meth:`fail` back."""
        self._failures.pop(path, None)

    def install(self, model: ScriptedModel) -> None:
        """Install a model, or put another one in the place of the one with its name."""
        self._library.installed[canonical(model.name)] = model

    def remove(self, name: str) -> None:
        """Remove an installed model."""
        self._library.installed.pop(canonical(name), None)

    def wedge(self, name: str) -> None:
        """Make every later request to a loaded model wait for ever, until the model is unloaded.

        Raises:
            LookupError: the model is not loaded.
        """
        self._library.wedge(name)

    def reset(self) -> None:
        """Forget what came and what was scripted, and open every gate; models stay."""
        self.requests.clear()
        self._replies.clear()
        self._failures.clear()
        self._gates.release_all()
        self.pace = None

    async def accept(self) -> None:
        """Listen, on the same port as before."""
        await self._listener.accept()

    async def refuse(self) -> None:
        """Stop listening and drop idle connections: new ones are refused until :meth:`accept`. Answers go on."""
        await self._listener.refuse()

    async def aclose(self) -> None:
        """Stop, and drop every connection."""
        await self._listener.aclose()

    def _to(self, path: str) -> list[Received]:
        return [seen for seen in self.requests if seen.path == path]

    async def _answer(self, request: Request, seen: Received, connection: Connection) -> None:
        try:
            if not _known_host(request.headers):
                raise RefusalError(403, None)
            await self._gates.passing(request.path)
            if request.path in self._failures:
                raise self._failures[request.path]
            await self._route(request, seen, connection)
        except RefusalError as refusal:
            if refusal.text is None:
                await connection.answer(refusal.status, b"", "")
            else:
                await connection.answer(refusal.status, dumps({"error": refusal.text}), _JSON)

    async def _route(self, request: Request, seen: Received, connection: Connection) -> None:
        if request.path == "/_script":
            await self._control(request, connection)
            return
        method = _METHODS.get(request.path)
        if method is None:
            await connection.answer(404, b"404 page not found", _TEXT)
        elif request.method not in (method, "HEAD" if method == "GET" else method):
            await connection.answer(405, b"405 method not allowed", _TEXT)
        elif request.path == "/":
            await connection.answer(200, b"Ollama is running", _TEXT)
        elif request.path == "/api/chat":
            await self._chat(read_chat(self._library, read_json(request.body)), seen, connection)
        elif request.path == "/api/pull":
            await endpoints.pull(self._library, self._gates, self.pullable, read_json(request.body), connection)
        else:
            await connection.answer(200, dumps(self._plain(request)), _JSON)

    def _plain(self, request: Request) -> Any:
        match request.path:
            case "/api/version":
                return {"version": self.version}
            case "/api/tags":
                return self._library.tags(facts=self.tags_facts)
            case "/api/ps":
                return self._library.ps()
            case "/api/show":
                return endpoints.show(self._library, read_json(request.body))
            case "/api/embed":
                return endpoints.embed(self._library, read_json(request.body))
        self.remove(str(read_json(request.body).get("model", "")))
        return None

    async def _chat(self, call: ChatCall, seen: Received, connection: Connection) -> None:
        def sent() -> None:
            seen.lines += 1
            self._listener.signal.notify()

        stage = Stage(self._clock, self._gates, self._library, self.pace, self.cached_counts, sent)
        await play(stage, call, lambda: self._next_reply(call), connection)

    def _next_reply(self, call: ChatCall) -> Reply:
        for index, (model, reply) in enumerate(self._replies):
            if model in (None, canonical(call.model.name)):
                del self._replies[index]
                return reply
        return self.answer(call.model.name, call.messages, call.thinks)

    async def _control(self, request: Request, connection: Connection) -> None:
        if request.method == "GET":
            await connection.answer(200, dumps(control.report(self)), _JSON)
            return
        try:
            orders = json.loads(request.body)
            for order in orders if isinstance(orders, list) else [orders]:
                control.obey(self, order)
        except (ValueError, TypeError, LookupError) as error:
            raise RefusalError(400, str(error)) from error
        await connection.answer(200, b"{}", _JSON)


def _known_host(headers: Mapping[str, str]) -> bool:
    """Tell whether a server bound to loopback answers this Host: names of this machine and private addresses."""
    name = headers.get("host", "").rpartition("@")[2].lower()
    name = name.partition("]")[0].lstrip("[") if name.startswith("[") else name.partition(":")[0]
    if name in ("", "localhost") or name.endswith(_LOCAL_SUFFIXES):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_private or address.is_unspecified


async def _run(arguments: argparse.Namespace) -> None:
    models = [ScriptedModel(name=name) for name in arguments.model or [ScriptedModel().name]]
    async with ScriptedOllama(models, port=arguments.port, pace=arguments.pace, slots=arguments.slots) as ollama:
        sys.stdout.write(f"{ollama.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    """Run the server as a process until it is interrupted."""
    parser = argparse.ArgumentParser(prog="scripted_ollama", description="A scripted Ollama for tests.")
    parser.add_argument("--port", type=int, default=0, help="where to listen on 127.0.0.1; 0 takes a free port")
    parser.add_argument("--pace", type=float, default=None, help="pieces a second")
    parser.add_argument("--slots", type=int, default=4, help="answers of one model at the same time")
    parser.add_argument("--model", action="append", help="an installed model; may be given several times")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
