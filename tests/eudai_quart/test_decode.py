"""From bytes to values: all that can be wrong with JSON, each with its place."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from eudai_core.errors import InvalidInput
from eudai_quart.wire.decode import decode
from eudai_quart.wire.requests import NewMessage, NewProject
from support.client import Client


class Loose(msgspec.Struct):
    """Takes anything, as deep as it likes."""

    options: Any = None


def deep(levels: int, inside: str) -> bytes:
    return b'{"options": ' + b'{"a": ' * levels + inside.encode() + b"}" * levels + b"}"


@pytest.mark.parametrize(
    ("raw", "kind", "path", "message"),
    [
        (b'{"content": "a", "content": "b"}', NewMessage, "$.content", "is there twice"),
        (b'{"content": "a", "c\\u006fntent": "b"}', NewMessage, "$.content", "is there twice"),
        (b'{"content": "a", "options": {"seed": 1, "seed": 1}}', NewMessage, "$.options.seed", "is there twice"),
        (b'{"options": [{"a": 1}, {"a": 1, "a": 2}]}', Loose, "$.options[1].a", "is there twice"),
        (b'{"content": "a\\u0000"}', NewMessage, "$.content", "holds a NUL character, which cannot be stored"),
        (b'{"options": {"a\\u0000": 1}}', Loose, "$.options", "holds a NUL character, which cannot be stored"),
        (b'{"content": "a", "options": {"seed": 9223372036854775808}}', NewMessage, "$.options.seed", None),
        (b'{"content": "a", "options": {"seed": ' + b"9" * 5000 + b"}}", NewMessage, "$.options.seed", None),
        (b'{"content": "a", "options": {"temperature": 1e400}}', NewMessage, "$.options.temperature", None),
        (
            b'{"content": "a", "options": {"temperature": -1}}',
            NewMessage,
            "$.options.temperature",
            "must be at least 0",
        ),
        (b'{"content": "a", "options": {"temperature": 1e308}}', NewMessage, "$.options.temperature", None),
        (b'{"content": "a", "options": {"top_p": 2}}', NewMessage, "$.options.top_p", "must be at most 1"),
        (b'{"content": "a", "options": {"temperature": NaN}}', NewMessage, "$", None),
        (b'{"content": "a", "options": {"temperature": Infinity}}', NewMessage, "$", None),
        (b'{"options": ' + b"9" * 5000 + b', "x": 1}', Loose, "$.options", None),
        (b'{"content": "\\ud800 a"}', NewMessage, "$", "is not valid JSON"),
        (b'{"content": "\\udc00\\ud800"}', NewMessage, "$", "is not valid JSON"),
        (b'{"content": "\xed\xa0\x80"}', NewMessage, "$", "is not valid JSON"),
        (b'\xef\xbb\xbf{"content": "a"}', NewMessage, "$", "is not valid JSON"),
        ('{"content": "a"}'.encode("utf-16"), NewMessage, "$", "is not valid JSON"),
        ('{"content": "a"}'.encode("utf-16-be"), NewMessage, "$", "is not valid JSON"),
        ('{"content": "a"}'.encode("utf-32"), NewMessage, "$", "is not valid JSON"),
        (b'{"content": "a"}\x00', NewMessage, "$", "is not valid JSON"),
        (b'{"content": "a",}', NewMessage, "$", "is not valid JSON"),
        (b"{'content': 'a'}", NewMessage, "$", "is not valid JSON"),
        (b'{"content": "a" /* no */}', NewMessage, "$", "is not valid JSON"),
        (b'{"content": "a\nb"}', NewMessage, "$", "is not valid JSON"),
        (b"[" * 200_000, NewMessage, "$", None),
        (deep(100_000, "1"), Loose, "$", None),
        (deep(900, '"\\u0000"'), Loose, "$.options.a", None),
        (deep(900, '{"b": 1, "b": 2}'), Loose, "$.options.a", None),
    ],
    ids=range(31),
)
def test_what_is_wrong_has_a_place(raw: bytes, kind: Any, path: str, message: str | None) -> None:
    with pytest.raises(InvalidInput) as refused:
        decode(raw, kind)
    (error,) = refused.value.errors
    assert error.path == path or (len(path) > 8 and error.path.startswith(path))
    assert len(error.path) <= 200
    if message is not None:
        assert error.message == message
    assert refused.value.detail.isprintable()


@pytest.mark.parametrize(
    "value",
    [
        {"name": "a", "description": "b"},
        {"name": "\U0001f331 é \u202e", "description": "a \\u0000 b"},
        {"name": "twice", "description": '"name": "name":'},
    ],
)
def test_what_is_right_comes_as_it_is(value: dict[str, str]) -> None:
    for raw in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        found = decode(raw, NewProject)
        assert {"name": found.name, "description": found.description} == value


@pytest.mark.parametrize("query", ["limit=%ff", "cursor=%ed%a0%80", "cursor=%c0%80", "%fe=1"])
async def test_a_query_that_is_no_utf8_is_invalid(user: Client, query: str) -> None:
    answer = await user.request("GET", f"/api/projects?{query}")
    assert (answer.status, answer.json["code"]) == (400, "bad_request")
