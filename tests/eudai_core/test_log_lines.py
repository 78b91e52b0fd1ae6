"""Lines of the log: what they belong to, and what never stands in one."""

from __future__ import annotations

import asyncio
import logging
import sys

import pytest

from eudai_core import lines
from eudai_core.lines import LineFormatter

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
KEY = f"eud_{'0a' * 16}_{'S3cr-t' * 7}"


def line(message: str, *arguments: object, exc_info: object = None) -> str:
    record = logging.LogRecord("eudai.test", logging.INFO, __file__, 1, message, arguments, exc_info)  # type: ignore[arg-type]
    return LineFormatter().format(record)


async def test_ids_follow_the_work_and_not_its_neighbours() -> None:
    async def work(name: str) -> str:
        lines.begin(request=name)
        lines.add(user=f"u{name}")
        await asyncio.sleep(0)
        return await asyncio.create_task(inner())

    async def inner() -> str:
        return line("done")

    first, second = await asyncio.gather(work("1"), work("2"))
    assert "eudai.test [request=1 user=u1]: done" in first
    assert "eudai.test [request=2 user=u2]: done" in second
    assert line("outside").endswith("INFO eudai.test: outside")


@pytest.mark.parametrize(
    "message",
    [
        f"Authorization: Bearer {JWT}",
        f"offered eudai, bearer.{JWT}",
        f"a token {JWT} somewhere",
        f"key {KEY}",
        f"Cookie: a=b; eudai_session={JWT}; c=d",
        '{"username": "ada", "password": "hunter two"}',
        "{'password': 'hunter two', 'x': 1}",
        "password=hunter-two&x=1",
        '{"refresh_token":"hunter two"}',
        "cannot connect to postgresql://eudai:hunter@db/eudai",
        "GET /api/search?q=hunter was slow",
        "https://example.org/page?token=hunter failed",
        "ws://host/ws/events?hunter",
    ],
)
def test_secrets_and_queries_are_taken_out(message: str) -> None:
    text = line("%s", message)
    for secret in ("hunter", JWT, "c2lnbmF0dXJl", "S3cr"):
        assert secret not in text
    assert "[hidden]" in text


def test_also_out_of_tracebacks() -> None:
    try:
        raise RuntimeError(f"refused: Bearer {JWT}")
    except RuntimeError:
        text = line("failed", exc_info=sys.exc_info())
    assert "Traceback" in text
    assert JWT not in text


def test_a_message_is_one_line() -> None:
    text = line("%s", "a\n2026-01-01 ERROR forged\r\x1b[31m\u2028\x85b")
    assert text.endswith("a\\x0a2026-01-01 ERROR forged\\x0d\\x1b[31m\\u2028\\x85b")


@pytest.mark.parametrize("message", ["The username or the password is wrong.", "Why? Because.", "run 5 of 7: é"])
def test_what_is_no_secret_stays(message: str) -> None:
    assert line("%s", message).endswith(f": {message}")
