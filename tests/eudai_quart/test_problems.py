"""Errors: one shape, the right status, nothing that leaks."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eudai_core import errors
from eudai_quart import problems
from eudai_quart.wire.decode import decode
from eudai_quart.wire.events import ClientEvent
from eudai_quart.wire.requests import NewMessage
from support.client import Client
from support.server import RunningServer


def kinds(root: type[errors.EudaiError]) -> list[type[errors.EudaiError]]:
    children = [child for child in root.__subclasses__() if child.__module__ == root.__module__]
    return [root, *(kind for child in children for kind in kinds(child))]


def test_every_error_of_the_core_has_a_status() -> None:
    assert {kind.code for kind in kinds(errors.EudaiError)} <= problems.STATUS.keys()


CODE = re.compile(r"""(?:^    code = |["']code["']: )["']([a-z_]+)["']""", re.MULTILINE)


def test_every_code_that_any_package_names_has_a_status() -> None:
    """Some errors are stored or told without a class: with a dict that has a code."""
    root = Path(problems.__file__).parents[2]
    packages = [root / "eudai_core", *(root / "plugins").glob("eudai_*")]
    found = [path for package in packages for path in package.rglob("*.py")]
    sources = [path for path in found if not {"testing", "demo"} & set(path.parts)]
    named = {code for path in sources for code in CODE.findall(path.read_text("utf-8"))}
    assert {"interrupted", "bad_file", "draining"} <= named
    assert named <= problems.STATUS.keys()


def test_a_stored_error_of_a_plugins_kind_is_about_the_model() -> None:
    assert problems.told({"code": "garden_closed", "title": "Closed", "detail": "Come back."}, "m").status == 503
    assert problems.told({"code": "interrupted", "title": "Interrupted", "detail": "Again."}, "m").status == 503


def test_a_plugins_own_error_has_the_status_of_its_ancestor() -> None:
    class Closed(errors.NotFound):
        code = "closed_for_today"

    assert problems.problem_of(Closed("Come back tomorrow.")).status == 404
    assert problems.status_of("nobody_knows") == 500


BROKEN = [
    b"",
    b"{",
    b"nonsense",
    b"[]",
    b'"text"',
    b"null",
    b"{}",
    b'{"name": 1}',
    b'{"name": null}',
    b'{"name": "x", "other": 1}',
    b'{"name": "x"} y',
    b'{"name": "\xff"}',
    b'{"name": "\\ud800"}',
    b'{"name": "\\u0000"}',
    b'{"name": "a\\u0000b", "description": "x"}',
    b"\xef\xbb\xbf{}",
    b"\xff\xfe",
    b'{"name": ' + b"9" * 6000 + b"}",
    b'{"name": ' + b"[" * 100_000,
    b'{"name": NaN}',
    b'{"name": "x", "description": ' + b'{"a":' * 50_000,
]


@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
async def test_broken_json_is_400_and_names_the_place(user: Client, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await user.request("POST", "/api/projects", data=body, headers=headers)
    problem = answer.json
    assert (answer.status, problem["title"], problem["status"]) == (400, "Bad request", 400)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["errors"][0]["path"].startswith("$")
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    assert set(problem) == {"type", "title", "status", "detail", "code", "request_id", "errors"}


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("limit=0", "$.limit"),
        ("limit=201", "$.limit"),
        ("limit=x", "$.limit"),
        ("limit=99999999999999999999999", "$.limit"),
        ("nothing=1", "$.nothing"),
        ("cursor=%00", "$.cursor"),
        ("cursor=nonsense", None),
    ],
)
async def test_broken_queries_are_400(user: Client, query: str, path: str | None) -> None:
    answer = await user.request("GET", f"/api/projects?{query}")
    assert answer.status == 400
    if path is not None:
        assert answer.json["errors"][0]["path"] == path


async def test_what_the_framework_refuses_is_a_problem_too(user: Client) -> None:
    wrong_method = await user.request("PUT", "/api/models")
    assert (wrong_method.status, wrong_method.json["title"]) == (405, "Method not allowed")
    assert "GET" in wrong_method.headers["Allow"]
    wrong_type = await user.request("POST", "/api/projects", data=b"name=x", headers={"Content-Type": "text/plain"})
    assert (wrong_type.status, wrong_type.json["title"]) == (415, "Unsupported media type")
    unknown = await user.request("GET", "/api/nothing")
    assert (unknown.status, unknown.json["title"]) == (404, "Not found")


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_413_however_it_is_sent(user: Client, chunked: bool) -> None:
    size = 20
    piece = b" " * 65536

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(size):
            yield piece

    headers = {"Content-Type": "application/json"}
    if not chunked:
        headers["Content-Length"] = str(size * len(piece))
    answer = await user.request("POST", "/api/projects", data=pieces(), headers=headers)
    assert (answer.status, answer.json["title"]) == (413, "Content too large")


async def test_what_nobody_foresaw_is_500_logged_and_tells_nothing(
    server: RunningServer, user: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> str:
        raise RuntimeError("secret detail in /a/path")

    server.surface._got_first_request = False
    server.surface.add_url_rule("/api/broken", "broken", broken)
    server.surface._got_first_request = True
    with caplog.at_level(logging.ERROR):
        answer = await user.request("GET", "/api/broken")
    assert (answer.status, answer.json["title"]) == (500, "Internal error")
    assert b"secret" not in answer.body
    assert any(record.exc_info and answer.json["request_id"] in record.getMessage() for record in caplog.records)


def test_a_nul_that_is_only_spelt_out_is_allowed() -> None:
    assert decode(b'{"content": "a \\\\u0000 b"}', NewMessage).content == "a \\u0000 b"


@pytest.mark.parametrize("event", ["{}", "[]", '{"type": "unknown"}', '{"type": "ping", "more": 1}', '{"type": 1}'])
def test_events_are_as_strict(event: str) -> None:
    with pytest.raises(errors.InvalidInput) as refused:
        decode(event, ClientEvent)
    assert refused.value.errors[0].path.startswith("$")
