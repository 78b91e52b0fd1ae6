"""The example that authenticates by a proxy's header, before a real server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets

from eudai_core.errors import ConfigError
from eudai_core.plugins.discovery import discover
from eudai_proxy_auth import ProxyAuthPlugin
from support.client import Client, client
from support.server import RunningServer, running_server

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "eudai-proxy-auth"
HERE = "127.0.0.1"


def with_proxy_auth() -> Sequence[Any]:
    """Every default plugin, and the example."""
    own = [one.record.name for one in discover() if one.record.distribution == "eudai"]
    return [*own, ("eudai-proxy-auth", ProxyAuthPlugin())]


@asynccontextmanager
async def served(data: Path, trusted: str, **more: str) -> AsyncIterator[tuple[RunningServer, Client]]:
    """Serve behind a proxy at ``trusted``, and give a client that says nothing of itself."""
    settings = {
        "EUDAI_DATA_DIR": str(data),
        "EUDAI_OLLAMA_HOST": "127.0.0.1:1",
        "EUDAI_AUTHENTICATORS": "jwt,api_key,proxy",
        "EUDAI_PROXY_AUTH_TRUSTED": trusted,
        **more,
    }
    async with (
        running_server(settings, plugins=with_proxy_auth()) as server,
        client(server.url, signed_up=False) as nobody,
    ):
        for name in ("ada", "bob"):
            await server.app.accounts.create_user(username=name, email=f"{name}@example.org", password="correct horse")
        yield server, nobody


async def test_the_header_of_the_proxy_is_a_log_in(tmp_path: Path) -> None:
    async with served(tmp_path, HERE) as (server, nobody):
        ada = {"X-Remote-User": "ada", "Origin": server.url}
        assert (await nobody.request("GET", "/api/users/me", headers=ada)).json["username"] == "ada"
        made = await nobody.request("POST", "/api/projects", body={"name": "Hers"}, headers=ada)
        assert made.status == 201
        bob = await nobody.request("GET", made.headers["Location"], headers={"X-Remote-User": "bob"})
        assert bob.status == 404
        assert (await nobody.request("GET", "/api/projects")).status == 401
        assert (await nobody.request("GET", "/api/projects", headers={"X-Remote-User": "eve"})).status == 401


async def test_a_log_in_of_the_server_goes_on_working_and_goes_first(tmp_path: Path) -> None:
    async with served(tmp_path, HERE) as (_, nobody):
        tokens = await nobody.call("POST", "/api/auth/login", {"username": "bob", "password": "correct horse"})
        both = {"Authorization": f"Bearer {tokens['access_token']}", "X-Remote-User": "ada"}
        assert (await nobody.request("GET", "/api/users/me", headers=both)).json["username"] == "bob"
        bad = {"Authorization": "Bearer nonsense", "X-Remote-User": "ada"}
        assert (await nobody.request("GET", "/api/users/me", headers=bad)).status == 401


@pytest.mark.parametrize("forwarded", [{}, {"X-Forwarded-For": "10.0.0.5"}, {"Forwarded": "for=10.0.0.5"}])
async def test_from_elsewhere_it_is_refused_whatever_else_is_said(tmp_path: Path, forwarded: dict[str, str]) -> None:
    async with served(tmp_path, "10.0.0.5", EUDAI_QUART_TRUSTED_PROXIES=HERE) as (_, nobody):
        answer = await nobody.request("GET", "/api/users/me", headers={"X-Remote-User": "ada", **forwarded})
        assert answer.status == 401


async def test_behind_a_proxy_that_tells_of_the_client_its_own_address_counts(tmp_path: Path) -> None:
    async with served(tmp_path, HERE, EUDAI_QUART_TRUSTED_PROXIES=HERE) as (_, nobody):
        told = {"X-Remote-User": "ada", "X-Forwarded-For": "203.0.113.9"}
        assert (await nobody.request("GET", "/api/users/me", headers=told)).status == 200


async def test_a_header_that_came_twice_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path, HERE) as (server, _):
        reader, writer = await asyncio.open_connection(HERE, int(server.url.rpartition(":")[2]))
        head = "GET /api/users/me HTTP/1.1\r\nHost: {}\r\nX-Remote-User: bob\r\nX-Remote-User: ada\r\n"
        writer.write((head.format(server.url.removeprefix("http://")) + "Connection: close\r\n\r\n").encode())
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        assert answer.startswith(b"HTTP/1.1 401")


async def test_a_foreign_page_can_do_nothing_with_it(tmp_path: Path) -> None:
    async with served(tmp_path, HERE) as (server, nobody):
        ada = {"X-Remote-User": "ada"}
        for said in ({}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            answer = await nobody.request("POST", "/api/projects", body={"name": "x"}, headers={**ada, **said})
            assert answer.status == 403
        project = (
            await nobody.request("POST", "/api/projects", body={"name": "x"}, headers={**ada, "Origin": server.url})
        ).json["id"]
        path = f"/api/projects/{project}/conversations"
        talk = (await nobody.request("POST", path, body={}, headers={**ada, "Origin": server.url})).json["id"]
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with nobody.chat(talk, additional_headers={**ada, "Origin": "https://evil.example"}):
                pass
        assert refused.value.response.status_code == 403
        async with nobody.chat(talk, additional_headers={**ada, "Origin": server.url}) as chat:
            await chat.send("ping")
            assert (await chat.next())["type"] == "pong"


async def test_disabling_ends_it_at_once_also_on_sockets(tmp_path: Path) -> None:
    async with served(tmp_path, HERE) as (server, nobody):
        ada = {"X-Remote-User": "ada", "Origin": server.url}
        project = (await nobody.request("POST", "/api/projects", body={"name": "x"}, headers=ada)).json["id"]
        path = f"/api/projects/{project}/conversations"
        talk = (await nobody.request("POST", path, body={}, headers=ada)).json["id"]
        async with nobody.chat(talk, additional_headers=ada) as chat:
            await server.app.operator.change((await server.app.operator.find("ada")).id, disabled=True)
            assert await chat.closed() == 4401
        assert (await nobody.request("GET", "/api/users/me", headers=ada)).status == 401


async def test_without_trusted_addresses_the_server_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="EUDAI_PROXY_AUTH_TRUSTED"):
        async with served(tmp_path, ""):
            pass


async def test_its_own_tests_pass() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        cwd=EXAMPLE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
