"""Input that hung, crashed or misled: each case was found by an attack."""

from __future__ import annotations

import asyncio
import io
import zipfile

import pytest

from eudai_core.ids import new_id
from eudai_core.services.passwords import LONGEST
from eudai_quart.origins import is_ours
from eudai_quart.problems import _one_line
from support.client import Client, client
from support.server import RunningServer


async def test_a_long_password_of_combining_marks_costs_nothing(user: Client) -> None:
    password = "a" + "\u0301\u0316" * 40_000
    async with asyncio.timeout(3):
        answer = await user.request("POST", "/api/auth/login", body={"username": user.name, "password": password})
        assert answer.status == 401
        account = {"username": "other", "email": "o@example.org", "password": password}
        assert (await user.request("POST", "/api/auth/signup", body=account)).status == 400
    assert len(password) > LONGEST


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "http://[evil]"])
def test_an_origin_that_is_no_url_is_not_ours(origin: str) -> None:
    assert not is_ours(origin, scheme="http", host="localhost", allowed=())


async def test_a_foreign_project_looks_like_one_that_is_not_there(server: RunningServer, user: Client) -> None:
    foreign, unknown = await user.project(), str(new_id())
    async with client(server.url) as stranger:
        told = [await stranger.request("GET", f"/api/projects/{key}") for key in (foreign, unknown)]
    assert [answer.status for answer in told] == [404, 404]
    assert told[0].json["detail"].replace(foreign, "?") == told[1].json["detail"].replace(unknown, "?")


@pytest.mark.parametrize("declared", [b"application/x\r\nX-Evil: 1", b"application/\0x", b"application/" + b"y" * 999])
async def test_a_zip_cannot_choose_the_headers_of_its_download(user: Client, declared: bytes) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("mimetype", declared)
    project = await user.project()
    uploaded = await user.upload(project, ("book.epub", packed.getvalue()))
    assert uploaded.status == 201
    file = uploaded.json["items"][0]
    answer = await user.request("GET", f"/api/download/files/{file['id']}")
    assert (answer.status, answer.body) == (200, packed.getvalue())
    assert "X-Evil" not in answer.headers


def test_a_detail_is_one_bounded_line_of_the_log() -> None:
    assert _one_line("a\n2026 ERROR forged\x1b[31m") == "a\\n2026 ERROR forged\\x1b[31m"
    assert len(_one_line("x" * 10_000)) == 500
