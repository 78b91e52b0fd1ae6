"""Which hosts the server answers to, and which pages may read its answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from eudai_core.errors import ConfigError
from eudai_quart.cors import Origins
from eudai_quart.hosts import Hosts, Misdirected
from support.client import Client, client
from support.server import RunningServer, running_server

LOOPBACK, OPEN = "127.0.0.1", "0.0.0.0"
PAGE = "https://chat.example"


@pytest.mark.parametrize(
    ("listed", "bound", "host", "good"),
    [
        ((), LOOPBACK, "localhost", True),
        ((), LOOPBACK, "LOCALHOST:8000", True),
        ((), LOOPBACK, "app.localhost:8000", True),
        ((), LOOPBACK, "127.0.0.1:8000", True),
        ((), LOOPBACK, "[::1]:8000", True),
        ((), LOOPBACK, "192.168.1.5", True),
        ((), LOOPBACK, "evil.example", False),
        ((), LOOPBACK, "evil.example:8000", False),
        ((), LOOPBACK, "localhost.evil.example", False),
        ((), LOOPBACK, "127.0.0.1.evil.example", False),
        ((), "localhost", "evil.example", False),
        ((), "::1", "evil.example", False),
        ((), OPEN, "chat.example", True),
        (("chat.example",), OPEN, "evil.example", False),
        (("chat.example",), OPEN, "chat.example.", True),
        (("chat.example",), LOOPBACK, "Chat.Example:443", True),
        (("chat.example",), LOOPBACK, "sub.chat.example", False),
        ((".chat.example",), LOOPBACK, "sub.chat.example", True),
        ((".chat.example",), LOOPBACK, "evilchat.example", False),
        (("*",), LOOPBACK, "evil.example", True),
        (("chat.example",), OPEN, "10.0.0.7", True),
        ((), "box.lan", "box.lan:8000", True),
        (("chat.example",), "box.lan", "box.lan:8000", True),
        ((), LOOPBACK, "", True),
    ],
)
def test_hosts(listed: tuple[str, ...], bound: str, host: str, good: bool) -> None:
    hosts = Hosts(listed, bound=bound)
    if good:
        hosts.check(host)
    else:
        with pytest.raises(Misdirected):
            hosts.check(host)


async def test_a_page_of_a_foreign_name_gets_nothing(user: Client) -> None:
    conversation = await user.conversation()
    foreign = {"Host": "evil.example"}
    for path in ("/api/health", "/api/projects", "/docs", "/api/nothing"):
        answer = await user.request("GET", path, headers=foreign)
        assert (answer.status, answer.json["code"]) == (421, "misdirected_request")
    headers = {"Authorization": f"Bearer {user.token}", **foreign}
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await user.http.ws_connect(f"{user.url}/ws/conversations/{conversation}", headers=headers)
    assert refused.value.status == 421


@pytest.mark.parametrize(
    "text", ["*", "null", "chat.example", "https://", "https://a/b", "https://u@a", "https://*.a", "https://a:x"]
)
def test_what_is_no_origin_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigError, match="EUDAI_ALLOWED_ORIGINS"):
        Origins((text,))


@pytest.fixture
async def open_server(tmp_path: Path) -> AsyncIterator[RunningServer]:
    settings = {
        "EUDAI_DATA_DIR": str(tmp_path / "data"),
        "EUDAI_OLLAMA_HOST": "127.0.0.1:1",
        "EUDAI_ALLOWED_ORIGINS": f"{PAGE}/,https://other.example:8443",
    }
    async with running_server(settings) as server:
        yield server


PREFLIGHT = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization, if-match"}


def cors(headers: object) -> set[str]:
    return {name for name in dict(headers) if name.lower().startswith("access-control-")}  # type: ignore[call-overload]


@pytest.mark.parametrize("origin", [PAGE, "https://other.example:8443"])
async def test_a_listed_page_may_ask_and_read(open_server: RunningServer, origin: str) -> None:
    async with client(open_server.url) as user:
        nobody = Client(user.url, user.http)
        asked = await nobody.request("OPTIONS", "/api/projects", headers={"Origin": origin, **PREFLIGHT})
        assert (asked.status, asked.body) == (204, b"")
        assert asked.headers["Access-Control-Allow-Origin"] == origin
        assert asked.headers["Access-Control-Allow-Credentials"] == "true"
        assert "PUT" in asked.headers["Access-Control-Allow-Methods"]
        for name in ("Authorization", "If-Match", "Idempotency-Key"):
            assert name in asked.headers["Access-Control-Allow-Headers"]
        for path, status in (("/api/projects", 200), ("/api/projects/x", 400), ("/api/nothing", 404)):
            answer = await user.request("GET", path, headers={"Origin": origin})
            assert answer.status == status
            assert answer.headers["Access-Control-Allow-Origin"] == origin
            assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
            assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://evil.example",
        "http://chat.example",
        "https://chat.example.evil.example",
        "https://evilchat.example",
        "https://chat.example:444",
        "https://other.example",
        "*",
        "",
    ],
)
async def test_any_other_page_learns_nothing(open_server: RunningServer, origin: str) -> None:
    async with client(open_server.url) as user:
        nobody = Client(user.url, user.http)
        asked = await nobody.request("OPTIONS", "/api/projects", headers={"Origin": origin, **PREFLIGHT})
        assert asked.status == 401
        assert cors(asked.headers) == set()
        answer = await user.request("GET", "/api/projects", headers={"Origin": origin})
        assert cors(answer.headers) == set()
        assert "Origin" in answer.headers["Vary"]


async def test_without_the_setting_there_is_no_cors_at_all(user: Client) -> None:
    nobody = Client(user.url, user.http)
    asked = await nobody.request("OPTIONS", "/api/projects", headers={"Origin": user.url, **PREFLIGHT})
    assert asked.status == 401
    answer = await user.request("GET", "/api/projects", headers={"Origin": user.url})
    assert cors(answer.headers) == cors(asked.headers) == set()
    assert "Vary" not in answer.headers
