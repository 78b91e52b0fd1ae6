"""Every refusal is a named error that says what to do and gives no address away."""

from __future__ import annotations

import json

import pytest

from eudai_core.errors import (
    BackendBusy,
    BackendError,
    BackendUnavailable,
    ContextTooLong,
    ModelNotFound,
    StreamBroken,
)
from eudai_core.testing.scripted_ollama import context_exceeded
from eudai_ollama.faults import cleaned, line_error, refused


def error(text: str) -> bytes:
    return json.dumps({"error": text}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        (403, b"", BackendUnavailable, "Host"),
        (403, error("cloud is disabled"), BackendError, "cloud is disabled"),
        (401, error("unauthorized"), BackendError, "EUDAI_OLLAMA_API_KEY"),
        (404, error("model 'nope' not found"), ModelNotFound, "ollama pull nope"),
        (404, b"404 page not found", BackendUnavailable, "EUDAI_OLLAMA_HOST"),
        (405, b"", BackendUnavailable, "EUDAI_OLLAMA_HOST"),
        (302, b"", BackendUnavailable, "EUDAI_OLLAMA_HOST"),
        (429, error("slow down"), BackendBusy, "Try again"),
        (503, error("server busy, please try again.  maximum pending requests exceeded"), BackendBusy, "Try again"),
        (502, b"<html>", BackendUnavailable, "502"),
        (504, b"", BackendUnavailable, "504"),
        (500, error("model runner has unexpectedly stopped"), BackendError, "unexpectedly stopped"),
        (500, b"", BackendError, "no reason"),
        (500, b"\xff\xfe", BackendError, "no reason"),
        (400, error("something else"), BackendError, "something else"),
        (400, b'{"error":{"message":"nested object"}}', BackendError, "nested object"),
        (400, error(context_exceeded(10, 5)), ContextTooLong, "10 tokens, the window holds 5"),
        (
            400,
            error("the prompt is longer than the context length currently available"),
            ContextTooLong,
            "does not fit",
        ),
        (400, error("the input length exceeds the context length"), ContextTooLong, "does not fit"),
    ],
)
def test_refusals(status: int, body: bytes, kind: type[BackendError], says: str) -> None:
    found = refused(status, body, model="nope")
    assert type(found) is kind
    assert says in found.detail


def test_the_sizes_of_a_prompt_that_is_too_long() -> None:
    found = refused(400, error(context_exceeded(2157, 1024)), model="m")
    assert isinstance(found, ContextTooLong)
    assert (found.prompt_tokens, found.window) == (2157, 1024)


def test_busy_tells_when_to_come_back() -> None:
    assert refused(503, b"", model="m", retry_after="7").retry_after == 7
    assert refused(503, b"", model="m", retry_after="Wed, 21 Oct 2026 07:28:00 GMT").retry_after == 5
    assert refused(429, b"", model="m").retry_after == 5


def test_an_error_line_before_and_after_pieces() -> None:
    assert isinstance(line_error(context_exceeded(2, 1), given=False), ContextTooLong)
    after = line_error(context_exceeded(2, 1), given=True)
    assert isinstance(after, StreamBroken)
    assert "exceeds the available context size" in after.detail
    assert isinstance(line_error({"message": "boom"}, given=False), StreamBroken)
    assert "without a text" in line_error("", given=False).detail


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('Post "http://127.0.0.1:41234/completion": EOF', 'Post "[address] EOF'),
        ("dial tcp 10.0.0.7:443: connection refused", "dial tcp [address]: connection refused"),
        ("dial tcp [fd00::7]:443 failed", "dial tcp [address] failed"),
        ("open /var/lib/ollama/blobs/sha256-ab: no such file", "open [path]: no such file"),
        (r"open C:\Users\me\x.gguf failed", "open [path] failed"),
        ("either/or and 3.5 of 8.0 GiB\nleft.", "either/or and 3.5 of 8.0 GiB left"),
        ("", ""),
        (None, ""),
    ],
)
def test_texts_are_cleaned(text: str | None, shown: str) -> None:
    assert cleaned(text) == shown


def test_long_texts_are_shortened() -> None:
    assert len(cleaned("x" * 1000)) == 300
