"""``POST /api/chat``: plays a reply over a connection, in Ollama's shapes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from eudai_core.testing._ollama.gojson import dumps, prune, timestamp
from eudai_core.testing._ollama.http import Connection
from eudai_core.testing._ollama.library import Library, Runner
from eudai_core.testing._ollama.reply import Cut, End, ErrorLine, Gate, Piece, Raw, Reply
from eudai_core.testing._ollama.request import ChatCall, RefusalError
from eudai_core.testing._ollama.signals import Gates
from eudai_core.testing._ollama.window import Fitted, TooLongError, fit, piece_tokens

if TYPE_CHECKING:
    from eudai_core.contracts import Clock

__all__ = ["NDJSON", "Stage", "play"]

NDJSON = "application/x-ndjson"
_JSON = "application/json; charset=utf-8"
_LOAD_NS = 254093053
_PROMPT_NS = 1270000
_EVAL_NS = 3320845


@dataclass(frozen=True, slots=True)
class Stage:
    """What playing needs besides the request: the time, the gates, the models, and the server's manners."""

    clock: Clock
    gates: Gates
    library: Library
    pace: float | None = None
    cached_counts: bool = False
    sent: Callable[[], None] = field(default=lambda: None)


async def play(stage: Stage, call: ChatCall, reply: Callable[[], Reply], connection: Connection) -> None:
    """Answer a chat request.

    ``reply`` is asked for the reply when the model is loaded and a slot is free, which is when a real server would
    begin to read the prompt.

    Raises:
        RefusalError: the answer is an error; nothing was sent.
    """
    if not call.messages:
        await _load_or_unload(stage, call, connection)
        return
    async with stage.library.running(call.model, call.num_ctx, call.shift) as runner:
        stage.library.keep(runner, call.keep_alive)
        try:
            fitted = fit(
                call.messages,
                runner.load.num_ctx,
                truncate=call.truncate,
                shift=call.shift,
                rendered=call.model.rendered,
            )
        except TooLongError as error:
            raise RefusalError(400, str(error)) from error
        chosen = reply()
        if chosen.status != 200:
            raise RefusalError(chosen.status, chosen.error)
        await _Performance(stage, call, runner, fitted, chosen, connection).run()
    if call.keep_alive == 0:
        await stage.library.unload(call.model.name)


async def _load_or_unload(stage: Stage, call: ChatCall, connection: Connection) -> None:
    if call.keep_alive == 0:
        await stage.library.unload(call.model.name)
    else:
        runner = await stage.library.ensure(call.model, call.num_ctx, call.shift)
        stage.library.keep(runner, call.keep_alive)
    line = {
        "model": call.model.name,
        "created_at": timestamp(stage.clock.now(), 921),
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "unload" if call.keep_alive == 0 else "load",
    }
    await connection.answer(200, dumps(line), _JSON)


class _Performance:
    """One reply on its way."""

    def __init__(
        self, stage: Stage, call: ChatCall, runner: Runner, fitted: Fitted, reply: Reply, connection: Connection
    ) -> None:
        self._stage = stage
        self._call = call
        self._reply = reply
        self._fitted = fitted
        self._connection = connection
        self._begun = False
        self._lines = 0
        self._tokens = 0
        self._started = asyncio.get_running_loop().time()
        self._whole: dict[str, Any] = {"role": "assistant", "content": ""}
        words = " ".join(f"{m.get('role')}: {m.get('content')}" for m in fitted.messages).split()
        self._reused = runner.reuse(tuple(words)) if stage.cached_counts else 0
        room = runner.load.num_ctx - fitted.tokens if not call.shift else 10 * runner.load.num_ctx
        self._limit = min(room, call.num_predict) if call.num_predict > 0 else room

    async def run(self) -> None:
        """Play the steps, then the last line unless a step ended the stream."""
        for step in self._reply.steps:
            if isinstance(step, Piece):
                await self._pace()
                if self._tokens >= self._limit:
                    await self._finish("length")
                    return
                await self._piece(step)
            elif not await self._other(step):
                return
        await self._finish("stop")

    async def _other(self, step: Raw | Gate | ErrorLine | Cut | End) -> bool:
        match step:
            case Gate(name):
                await self._stage.gates.passing(name)
                return True
            case Raw(data):
                await self._send(data)
                return True
            case Cut(reset):
                await self._connection.close(reset=reset)
            case ErrorLine(text):
                await self._send(dumps({"error": text}) + b"\n")
                await self._connection.end()
            case End():
                await self._begin()
                await self._connection.end()
        return False

    async def _pace(self) -> None:
        pace = self._reply.pace or self._stage.pace
        if pace is not None:
            due = self._started + (self._lines + 1) / pace
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))

    async def _piece(self, piece: Piece) -> None:
        self._tokens += piece_tokens(piece.thinking) + piece_tokens(piece.content)
        extra = prune({"thinking": piece.thinking, "tool_calls": list(piece.tool_calls)})
        message = {"role": "assistant", "content": piece.content, **extra}
        if self._call.stream:
            await self._send(dumps(self._line(message) | {"done": False}) + b"\n")
            return
        for key in ("content", "thinking"):
            if message.get(key):
                self._whole[key] = self._whole.get(key, "") + message[key]
        self._whole.update(prune({"tool_calls": [*self._whole.get("tool_calls", ()), *piece.tool_calls]}))

    async def _finish(self, reason: str) -> None:
        # The end token counts as generated when the model gave it.
        generated = self._tokens + (reason == "stop")
        counts = {
            "done_reason": reason,
            "total_duration": _LOAD_NS + self._fitted.tokens * _PROMPT_NS + generated * _EVAL_NS,
            "load_duration": _LOAD_NS,
            "prompt_eval_count": self._fitted.tokens,
            "prompt_eval_cached_count": self._reused,
            "prompt_eval_duration": self._fitted.tokens * _PROMPT_NS,
            "eval_count": generated,
            "eval_duration": generated * _EVAL_NS,
        }
        line = self._line(self._whole) | {"done": True} | prune(counts | dict(self._reply.done or {}))
        if not self._call.stream:
            await self._connection.answer(200, dumps(line), _JSON)
            return
        await self._send(dumps(line) + b"\n")
        await self._connection.end()

    def _line(self, message: Mapping[str, Any]) -> dict[str, Any]:
        model = self._call.model
        remote = {"remote_model": model.name.removesuffix("-cloud"), "remote_host": model.remote_host}
        now = timestamp(self._stage.clock.now(), self._lines * 37 % 1000)
        head = {"model": model.name, **(remote if model.remote_host else {})}
        return head | {"created_at": now, "message": dict(message)}

    async def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            await self._connection.begin(NDJSON)

    async def _send(self, data: bytes) -> None:
        await self._begin()
        if data:  # an empty chunk would end the body
            await self._connection.chunk(data)
        self._lines += 1
        self._stage.sent()
