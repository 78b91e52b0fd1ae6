"""Answers over real sockets: every shape and fault of ollama.md, sections 1, 3, 4 and 10."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, cast

import pytest

from eudai_core.errors import (
    BackendBusy,
    BackendError,
    BackendUnavailable,
    ContextTooLong,
    ModelNotFound,
    StreamBroken,
)
from eudai_core.model import ChatRequest, Chunk, Done, ModelInfo, Phase, PromptMessage
from eudai_core.settings import Secret
from eudai_core.testing import FrozenClock, Reply, ScriptedModel, ScriptedOllama, chat_request
from eudai_core.testing.llm_checks import collect
from eudai_core.testing.scripted_ollama import Cut, End, ErrorLine, Gate, Load, Piece, Raw, context_exceeded
from eudai_ollama.backend import OllamaBackend
from eudai_ollama.settings import OllamaSettings

MakeBackend = Callable[..., OllamaBackend]


def told(chunks: Sequence[Chunk]) -> list[Any]:
    """Return chunks in short, without the phases before the first piece, which depend on who is faster."""
    short = [chunk.phase or chunk.text or ("thinking", chunk.thinking) for chunk in chunks if not chunk.done]
    return [part for part in short if part not in (Phase.LOADING, Phase.READING)]


def opened(backend: OllamaBackend, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
    return cast("AsyncGenerator[Chunk, None]", backend.stream(request))


async def drain(stream: AsyncGenerator[Chunk, None]) -> None:
    async for _ in stream:
        pass


async def text_until(stream: AsyncGenerator[Chunk, None], last: str) -> str:
    """Return the text up to the piece ``last``."""
    text = ""
    async for chunk in stream:
        text += chunk.text
        if chunk.text == last:
            break
    return text


async def broken_after(backend: OllamaBackend, model: ModelInfo) -> tuple[str, BackendError]:
    """Return the text that came, and the error that ended it."""
    text = ""
    try:
        async for chunk in backend.stream(chat_request(model)):
            text += chunk.text
    except BackendError as error:
        return text, error
    pytest.fail(f"the answer came to its end: {text}")


async def test_an_answer_with_thinking(ollama: ScriptedOllama, backend: OllamaBackend, thinker: ModelInfo) -> None:
    ollama.script(
        Reply(
            steps=(
                Piece(thinking="I "),
                Piece(),
                Piece(thinking="think."),
                Piece(content="So", thinking=" Yes."),
                Piece(content=" it is."),
            )
        )
    )
    chunks = await collect(backend, chat_request(thinker))
    assert told(chunks) == [
        Phase.THINKING,
        ("thinking", "I "),
        ("thinking", "think."),
        ("thinking", " Yes."),
        Phase.ANSWERING,
        "So",
        " it is.",
    ]
    assert chunks[-1] == Chunk(done=Done("stop", prompt_tokens=15, completion_tokens=7))


async def test_what_is_sent(ollama: ScriptedOllama, make_backend: MakeBackend, thinker: ModelInfo) -> None:
    backend = make_backend(api_key=Secret("s3cret"), keep_alive="-1", think="low")
    await collect(backend, chat_request(thinker, "Hi"))
    (seen,) = ollama.chats
    assert seen.headers["authorization"] == "Bearer s3cret"
    assert seen.headers["content-type"] == "application/json"
    assert seen.body["options"] == {"num_ctx": 8192, "num_predict": 4096}
    assert (seen.body["truncate"], seen.body["shift"]) == (False, False)
    assert (seen.body["think"], seen.body["keep_alive"]) == ("low", -1)


async def test_all_requests_share_one_window(
    ollama: ScriptedOllama, backend: OllamaBackend, plain: ModelInfo, thinker: ModelInfo
) -> None:
    for model in (plain, thinker, plain, thinker):
        await collect(backend, chat_request(model, "Hi", max_answer_tokens=5))
    assert ollama.loads == [Load("plain:latest", 8192, False), Load("deepseek-r1:latest", 8192, False)]


async def test_u0085_and_u2028_are_text(ollama: ScriptedOllama, backend: OllamaBackend, plain: ModelInfo) -> None:
    text = "a\x85b\u2028c\u2029d <é> & 🦊"
    ollama.script(Reply.of(text))
    assert told(await collect(backend, chat_request(plain)))[1:] == [text]


async def test_lines_cut_anywhere_and_blank_lines(
    ollama: ScriptedOllama, backend: OllamaBackend, plain: ModelInfo
) -> None:
    line = '{"message":{"role":"assistant","content":"né"},"done":false}\n'.encode()
    last = b'{"message":{"role":"assistant","content":" end"},"done":true,"done_reason":"stop"}'
    rest = Raw(line[45:] + b"\n  \n" + line)
    ollama.script(Reply(steps=(Raw(line[:45]), Gate("half"), rest, Raw(last), End())))
    reading = asyncio.create_task(collect(backend, chat_request(plain)))
    await ollama.standing("half")
    ollama.release("half")
    chunks = await reading
    assert told(chunks)[1:] == ["né", "né", " end"]
    assert chunks[-1].done == Done("stop", None, None, None)


async def test_counts_that_are_absent_are_unknown(
    ollama: ScriptedOllama, backend: OllamaBackend, plain: ModelInfo
) -> None:
    ollama.script(Reply(steps=(Piece("x"),), done={"prompt_eval_count": 0, "eval_count": 0, "done_reason": ""}))
    ollama.script(Reply(steps=(Piece("x"),), done={"prompt_eval_cached_count": 9}))
    assert (await collect(backend, chat_request(plain)))[-1].done == Done("stop", None, None, None)
    assert (await collect(backend, chat_request(plain)))[-1].done == Done("stop", 15, 2, 9)


async def test_an_answer_that_is_cut_by_its_length(
    ollama: ScriptedOllama, backend: OllamaBackend, plain: ModelInfo, thinker: ModelInfo
) -> None:
    ollama.script(Reply.of(*["w "] * 9), Reply.of("never", thinking=["t "] * 9))
    chunks = await collect(backend, chat_request(plain, max_answer_tokens=4))
    assert told(chunks)[1:] == ["w "] * 4
    assert chunks[-1].done == Done("length", 15, 4)
    chunks = await collect(backend, chat_request(thinker, max_answer_tokens=4))
    assert told(chunks) == [Phase.THINKING, *[("thinking", "t ")] * 4]
    assert chunks[-1].done == Done("length", 15, 4)


async def test_nothing_after_done_is_read(ollama: ScriptedOllama, backend: OllamaBackend, plain: ModelInfo) -> None:
    done = b'{"message":{"role":"assistant","content":""},"done":true}\n'
    ollama.script(Reply(steps=(Piece("x"), Raw(done + done + b'{"error":"late"}\n'), End())))
    chunks = await collect(backend, chat_request(plain))
    assert [bool(chunk.done) for chunk in chunks[-2:]] == [False, True]


async def test_thinking_that_leaks(ollama: ScriptedOllama, backend: OllamaBackend) -> None:
    ollama.install(ScriptedModel(name="hf.co/someone/r1-gguf:q4", rendered=False, capabilities=("completion",)))
    imported = next(model for model in await backend.models() if model.name.startswith("hf.co"))
    ollama.script(
        Reply.of("<thi", "nk>\nhm", "\n</th", "ink>\n\nFi", "ve"),
        Reply.of("hm ", "hm", "</think>", "\n\n", "Six"),
        Reply.of("hm ", "hm", "</think>", "Seven"),
    )
    first, second, third = [told(await collect(backend, chat_request(imported))) for _ in range(3)]
    assert first == [Phase.THINKING, ("thinking", "hm"), Phase.ANSWERING, "Fi", "ve"]
    assert second == [Phase.THINKING, ("thinking", "hm hm"), Phase.ANSWERING, "Six"]
    assert third == [Phase.THINKING, ("thinking", "hm"), ("thinking", " hm"), Phase.ANSWERING, "Seven"]
    assert all("think" not in seen.body for seen in ollama.chats)


async def test_a_library_model_that_does_not_think_streams(
    ollama: ScriptedOllama, backend: OllamaBackend, thinker: ModelInfo
) -> None:
    ollama.script(Reply(steps=(Piece("at "), Gate("g"), Piece("once"))))
    stream = opened(backend, chat_request(thinker))
    assert await text_until(stream, "at ") == "at "
    ollama.release("g")
    assert await text_until(stream, "once") == "once"
    await stream.aclose()


async def test_thinking_without_an_answer(ollama: ScriptedOllama, backend: OllamaBackend, thinker: ModelInfo) -> None:
    ollama.script(Reply.of("<think>", "only this"))
    chunks = await collect(backend, chat_request(thinker))
    assert told(chunks) == [Phase.THINKING, ("thinking", "only this")]
    assert chunks[-1].done is not None


async def test_a_prefilled_answer_is_continued(
    ollama: ScriptedOllama, backend: OllamaBackend, thinker: ModelInfo
) -> None:
    request = chat_request(thinker)
    messages = (PromptMessage("user", "Say it"), PromptMessage("assistant", "Once upon"))
    request = ChatRequest(request.run_id, request.conversation_id, thinker, messages, "Say it", 50)
    ollama.script(Reply.of(" a", " time"))
    assert told(await collect(backend, request)) == [Phase.ANSWERING, " a", " time"]
    assert ollama.chats[0].body["messages"][-1] == {"role": "assistant", "content": "Once upon"}


async def test_phases_while_nothing_comes(
    ollama: ScriptedOllama, backend: OllamaBackend, plain: ModelInfo, clock: FrozenClock
) -> None:
    ollama.hold("load")
    ollama.script(Reply(steps=(Gate("prompt"), Piece("x"))))
    stream = opened(backend, chat_request(plain))
    assert await anext(stream) == Chunk(phase=Phase.LOADING)
    assert len(ollama.chats) == 1
    ollama.release("load")
    await ollama.standing("prompt")
    reading = asyncio.ensure_future(anext(stream))
    await clock.sleeping(2)
    clock.advance(1)
    assert await reading == Chunk(phase=Phase.READING)
    ollama.release("prompt")
    assert [await anext(stream) for _ in range(2)] == [Chunk(phase=Phase.ANSWERING), Chunk(text="x")]
    await stream.aclose()


async def test_the_request_does_not_wait_for_the_phase(
    ollama: ScriptedOllama, backend: OllamaBackend, plain: ModelInfo
) -> None:
    ollama.hold("/api/ps")
    chunks = await collect(backend, chat_request(plain))
    assert chunks[0] == Chunk(phase=Phase.ANSWERING)
    ollama.fail("/api/ps", 500, "no")
    ollama.release("/api/ps")
    ollama.script(Reply(steps=(Gate("g"), Piece("x"))))
    stream = opened(backend, chat_request(plain))
    assert await anext(stream) == Chunk(phase=Phase.READING)
    await stream.aclose()


@pytest.mark.parametrize(
    ("reply", "kind", "says"),
    [
        (Reply.busy(), BackendBusy, "Try again"),
        (Reply.forbidden(), BackendUnavailable, "Host"),
        (Reply.too_long(9000, 8192), ContextTooLong, "9000 tokens"),
        (Reply.refusing(500, 'Post "http://127.0.0.1:1/x": EOF'), BackendError, "[address]"),
        (Reply.refusing(500, "timed out waiting for llama-server to start"), BackendError, "timed out"),
        (Reply.refusing(502), BackendUnavailable, "502"),
        (Reply.refusing(401, "unauthorized"), BackendError, "EUDAI_OLLAMA_API_KEY"),
        (Reply(steps=(Cut(),)), BackendUnavailable, "cannot be reached"),
        (Reply(steps=(Cut(reset=True),)), BackendUnavailable, "cannot be reached"),
        (Reply(steps=(ErrorLine(context_exceeded(9, 8)),)), ContextTooLong, "9 tokens"),
        (Reply(steps=(Raw(b""), End())), StreamBroken, "without saying"),
    ],
)
async def test_no_answer(
    ollama: ScriptedOllama,
    backend: OllamaBackend,
    plain: ModelInfo,
    reply: Reply,
    kind: type[BackendError],
    says: str,
) -> None:
    ollama.script(reply)
    text, error = await broken_after(backend, plain)
    assert text == ""
    assert type(error) is kind
    assert says in error.detail
    assert "127.0.0.1" not in error.detail
    assert len(ollama.chats) == 1


@pytest.mark.parametrize(
    ("end", "says"),
    [
        ((ErrorLine("runner crashed at /usr/lib/ollama/x"),), "runner crashed at [path]"),
        ((ErrorLine(context_exceeded(9, 8)),), "exceeds the available context size"),
        ((End(),), "without saying that it was done"),
        ((Cut(),), "connection to Ollama was lost"),
        ((Cut(reset=True),), "connection to Ollama was lost"),
        ((Raw(b"garbage\n"),), "no part of an answer"),
        ((Raw(b'{"message":3}\n'),), "no part of an answer"),
        ((Raw(b"\xff\xfe\n"),), "no part of an answer"),
        ((Raw(b'{"mess'), End()), "no part of an answer"),
        ((Raw(b"x" * 2_000_000 + b"\n"),), "too long"),
    ],
)
async def test_an_answer_that_breaks_off(
    ollama: ScriptedOllama, backend: OllamaBackend, plain: ModelInfo, end: Sequence[Any], says: str
) -> None:
    # The gate lets the pieces be read before a reset would throw them away.
    ollama.script(Reply(steps=(Piece("some"), Piece(" text"), Gate("end"), *end)))
    stream = opened(backend, chat_request(plain))
    assert await text_until(stream, " text") == "some text"
    ollama.release("end")
    with pytest.raises(StreamBroken) as caught:
        await drain(stream)
    assert says in caught.value.detail


async def test_no_model_and_no_ollama(ollama: ScriptedOllama, backend: OllamaBackend, plain: ModelInfo) -> None:
    ghost = ModelInfo(name="ghost:7b", backend="ollama", window=100)
    _, error = await broken_after(backend, ghost)
    assert isinstance(error, ModelNotFound)
    assert "ollama pull ghost:7b" in error.detail
    await ollama.refuse()
    _, error = await broken_after(backend, plain)
    assert isinstance(error, BackendUnavailable)


async def test_a_prompt_one_token_over_the_window_is_refused(
    ollama: ScriptedOllama, backend: OllamaBackend, plain: ModelInfo
) -> None:
    small = ModelInfo(name="plain:latest", backend="ollama", window=64)
    await collect(backend, chat_request(small, "w " * 62, max_answer_tokens=1))
    with pytest.raises(ContextTooLong) as caught:
        await collect(backend, chat_request(small, "w " * 63, max_answer_tokens=1))
    assert (caught.value.prompt_tokens, caught.value.window) == (64, 64)


async def test_a_silent_answer_is_given_up(
    ollama: ScriptedOllama, make_backend: MakeBackend, plain: ModelInfo, clock: FrozenClock
) -> None:
    ollama.script(Reply(steps=(Piece("x"), Gate("silence"))))
    stream = opened(make_backend(idle_timeout=90), chat_request(plain))
    await text_until(stream, "x")
    reading = asyncio.ensure_future(anext(stream))
    await ollama.standing("silence")
    await clock.sleeping(1, exactly=True)
    clock.advance(89)
    await asyncio.sleep(0)
    assert not reading.done()
    clock.advance(1)
    with pytest.raises(StreamBroken, match="90 seconds"):
        await reading
    await ollama.disconnected()


async def test_a_slow_reader_is_no_silent_answer(
    ollama: ScriptedOllama, backend: OllamaBackend, plain: ModelInfo, clock: FrozenClock
) -> None:
    ollama.script(Reply(steps=(Piece("a"), Gate("g"), Piece("b"))))
    stream = opened(backend, chat_request(plain))
    await text_until(stream, "a")
    await clock.sleeping()
    clock.advance(1000)
    await asyncio.sleep(0)
    ollama.release("g")
    assert (await anext(stream)).text == "b"
    await stream.aclose()


async def test_no_first_byte_in_time(
    ollama: ScriptedOllama, make_backend: MakeBackend, plain: ModelInfo, clock: FrozenClock
) -> None:
    backend = make_backend(first_byte_timeout=300, wedge_timeout=0)
    await collect(backend, chat_request(plain))
    ollama.script(Reply(steps=(Gate("never"),)))
    stream = opened(backend, chat_request(plain))
    assert await anext(stream) == Chunk(phase=Phase.READING)
    await ollama.standing("never")
    clock.advance(300)
    with pytest.raises(BackendError, match="300 seconds"):
        await anext(stream)
    await ollama.disconnected()


async def test_a_refusal_whose_body_never_comes(
    make_backend: MakeBackend, plain: ModelInfo, clock: FrozenClock
) -> None:
    async def half_an_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 10\r\n\r\n{")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(half_an_answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        reading = asyncio.create_task(broken_after(make_backend(host=f"127.0.0.1:{port}"), plain))
        await clock.sleeping(3)  # the wait for a first byte, for the list of loaded models, and for the body
        clock.advance(11)
        _, error = await reading
    assert "500" in error.detail


@pytest.mark.parametrize("early", [True, False], ids=["before the first byte", "between pieces"])
@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_stopping_closes_the_connection(
    ollama: ScriptedOllama, backend: OllamaBackend, plain: ModelInfo, how: str, early: bool
) -> None:
    ollama.script(Reply(steps=(Gate("never"),) if early else (Piece("x"), Gate("never"))))
    stream = opened(backend, chat_request(plain))
    await (anext(stream) if early else text_until(stream, "x"))
    await ollama.standing("never")
    if how == "close":
        await asyncio.wait_for(stream.aclose(), 0.2)
    else:
        reading = asyncio.create_task(drain(stream))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(reading, 0.2)
    await asyncio.wait_for(ollama.disconnected(), 0.2)
    assert ollama.chats[0].left


async def test_more_than_a_hundred_answers_at_once(plain: ModelInfo, clock: FrozenClock) -> None:
    count = 120
    async with ScriptedOllama([ScriptedModel(name="plain:latest")], slots=count) as ollama:
        backend = OllamaBackend(OllamaSettings(host=ollama.url), clock)
        ollama.script(*[Reply(steps=(Piece("x"), Gate("all")))] * count)
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(collect(backend, chat_request(plain)))
            await ollama.standing("all", count)
            ollama.release("all")
        await backend.aclose()


async def test_connections_are_used_again(ollama: ScriptedOllama, backend: OllamaBackend, plain: ModelInfo) -> None:
    for _ in range(5):
        await collect(backend, chat_request(plain))
    await ollama.finished(len(ollama.requests))
    assert not any(seen.left for seen in ollama.chats)
