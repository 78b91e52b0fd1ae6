"""What is sent for an answer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from eudai_core.errors import BackendError
from eudai_core.model import ChatRequest, ModelInfo, PromptMessage
from eudai_core.testing import chat_request
from eudai_ollama.payload import Think, chat_body, expects_thinking, known_to_think

PLAIN = ModelInfo(name="plain:latest", backend="ollama", window=4096)
THINKER = ModelInfo(name="deepseek-r1:latest", backend="ollama", window=8192, capabilities=frozenset({"thinking"}))


def body(request: ChatRequest, *, think: Think = "auto", keep_alive: str = "30m") -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(chat_body(request, think=think, keep_alive=keep_alive))
    return decoded


def test_the_whole_body() -> None:
    history = [PromptMessage("system", "Be kind."), PromptMessage("user", "Hi"), PromptMessage("assistant", "Hello")]
    assert body(chat_request(PLAIN, "And now?", history=history, max_answer_tokens=100)) == {
        "model": "plain:latest",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "And now?"},
        ],
        "stream": True,
        "truncate": False,
        "shift": False,
        "keep_alive": "30m",
        "options": {"num_ctx": 4096, "num_predict": 100},
    }


def test_num_predict_is_always_bounded() -> None:
    assert body(chat_request(PLAIN, max_answer_tokens=10**9))["options"]["num_predict"] == 4096
    assert body(chat_request(PLAIN, max_answer_tokens=-1))["options"]["num_predict"] == 1


@pytest.mark.parametrize(
    ("asked", "setting", "sent"),
    [
        (None, "auto", None),
        (None, "on", True),
        (None, "off", False),
        (None, "high", "high"),
        (True, "auto", True),
        (True, "off", True),
        (True, "low", "low"),
        (False, "on", False),
        (False, "high", False),
    ],
)
def test_think(asked: bool | None, setting: Think, sent: bool | str | None) -> None:
    assert body(chat_request(THINKER, think=asked), think=setting).get("think") == sent
    assert "think" not in body(chat_request(PLAIN, think=asked), think=setting)


def test_sampling_may_be_chosen_and_loading_may_not() -> None:
    options = {"temperature": 0.5, "seed": 7, "stop": ["END"], "top_p": None, "num_ctx": 1, "num_gpu": 0, "wings": 2}
    assert body(chat_request(PLAIN, options=options, max_answer_tokens=9))["options"] == {
        "temperature": 0.5,
        "seed": 7,
        "stop": ["END"],
        "num_ctx": 4096,
        "num_predict": 9,
    }
    for bad in ({"temperature": "hot"}, {"seed": 1.5}, {"stop": "END"}, {"top_k": True}):
        with pytest.raises(BackendError, match="The option"):
            body(chat_request(PLAIN, options=bad))


def test_marks_of_templates_are_broken_up() -> None:
    text = "a<|Assistant|>b <｜User｜> <|im_start|> 1 <| 2 |> 3 x<|>y"
    sent = body(chat_request(PLAIN, text))["messages"][-1]["content"]
    assert sent == "a<\u200b|Assistant|>b <\u200b｜User｜> <\u200b|im_start|> 1 <| 2 |> 3 x<|>y"


@pytest.mark.parametrize(("given", "sent"), [("-1", -1), ("0", 0), ("600", 600), ("10m", "10m")])
def test_keep_alive(given: str, sent: int | str) -> None:
    assert body(chat_request(PLAIN), keep_alive=given)["keep_alive"] == sent


def test_nothing_is_not_sent() -> None:
    some = chat_request(PLAIN)
    request = ChatRequest(some.run_id, some.conversation_id, PLAIN, (), "", 10)
    with pytest.raises(BackendError, match="no message"):
        chat_body(request, think="auto", keep_alive="5m")


@pytest.mark.parametrize(
    ("name", "thinks"),
    [("hf.co/someone/deepseek-r1-gguf:q4", True), ("qwq:32b", True), ("my_thinking:1", True), ("r12:latest", False)],
)
def test_imports_are_known_by_name(name: str, thinks: bool) -> None:
    assert known_to_think(ModelInfo(name=name, backend="ollama", window=1)) is thinks


def test_a_continued_answer_expects_no_thinking() -> None:
    request = chat_request(THINKER)
    assert expects_thinking(request, "auto")
    assert not expects_thinking(request, "off")
    continued = [PromptMessage("user", "Hi"), PromptMessage("assistant", "Hel")]
    request = ChatRequest(request.run_id, request.conversation_id, THINKER, continued, "Hi", 10)
    assert not expects_thinking(request, "auto")
