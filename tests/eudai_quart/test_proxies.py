"""Reverse proxies: whose word is taken, and which one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from quart import request

from eudai_core.errors import ConfigError
from eudai_quart.proxies import Kind, Proxies, networks
from support.client import client
from support.server import running_server

TRUSTED = networks(("10.0.0.0/8", "127.0.0.1", "fd00::/8"))


async def seen(
    headers: Mapping[str, str] | list[tuple[str, str]],
    *,
    peer: str = "10.0.0.1",
    kind: Kind = "x-forwarded",
    scope_type: str = "http",
) -> tuple[str, str, str]:
    """Return client address, scheme and host as the application sees them."""
    pairs = list(headers.items()) if isinstance(headers, Mapping) else headers
    found: dict[str, Any] = {}

    async def app(scope: Any, *_: Any) -> None:
        found.update(scope)

    scope = {
        "type": scope_type,
        "client": (peer, 1234),
        "scheme": "http" if scope_type == "http" else "ws",
        "headers": [(b"host", b"inside"), *((name.lower().encode(), value.encode()) for name, value in pairs)],
    }
    await Proxies(app, TRUSTED, kind)(scope, None, None)
    names = [name for name, _ in found["headers"]]
    assert not any(name.startswith(b"x-forwarded") or name == b"forwarded" for name in names)
    return found["client"][0], found["scheme"], dict(found["headers"])[b"host"].decode()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Forwarded-For": "203.0.113.5"}, ("203.0.113.5", "http", "inside")),
        ({"X-Forwarded-For": "1.1.1.1, 203.0.113.5"}, ("203.0.113.5", "http", "inside")),
        ({"X-Forwarded-For": "1.1.1.1, 203.0.113.5, 10.9.9.9"}, ("203.0.113.5", "http", "inside")),
        ({"X-Forwarded-For": "127.0.0.1, 203.0.113.5"}, ("203.0.113.5", "http", "inside")),
        ({"X-Forwarded-For": "10.1.1.1, 10.2.2.2"}, ("10.1.1.1", "http", "inside")),
        ({"X-Forwarded-For": "[2001:db8::1]:443"}, ("2001:db8::1", "http", "inside")),
        ({"X-Forwarded-For": "203.0.113.5:8080"}, ("203.0.113.5", "http", "inside")),
        ({"X-Forwarded-For": "::ffff:203.0.113.5"}, ("203.0.113.5", "http", "inside")),
        ({"X-Forwarded-For": "nonsense"}, ("10.0.0.1", "http", "inside")),
        ({"X-Forwarded-For": "nonsense, 10.2.2.2"}, ("10.2.2.2", "http", "inside")),
        ({"X-Forwarded-For": ""}, ("10.0.0.1", "http", "inside")),
        ({"X-Forwarded-For": ", ,"}, ("10.0.0.1", "http", "inside")),
        ({"X-Forwarded-Proto": "https"}, ("10.0.0.1", "https", "inside")),
        ({"X-Forwarded-Proto": "gopher"}, ("10.0.0.1", "http", "inside")),
        (
            {"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "chat.example"},
            ("203.0.113.5", "https", "chat.example"),
        ),
        (
            {"X-Forwarded-For": "1.1.1.1, 203.0.113.5, 10.2.2.2", "X-Forwarded-Proto": "http, https, http"},
            ("203.0.113.5", "https", "inside"),
        ),
        ({"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "http, https"}, ("203.0.113.5", "https", "inside")),
        ({"X-Forwarded-Host": "evil\r\nX: y"}, ("10.0.0.1", "http", "inside")),
        ({"X-Forwarded-Host": "a/b"}, ("10.0.0.1", "http", "inside")),
        ({"X-Forwarded-Host": "evil@chat.example"}, ("10.0.0.1", "http", "inside")),
        ({"X-Forwarded-Host": "[::1]:8000"}, ("10.0.0.1", "http", "[::1]:8000")),
        ({"Forwarded": "for=203.0.113.5;proto=https"}, ("10.0.0.1", "http", "inside")),
        ({"X-Real-IP": "203.0.113.5"}, ("10.0.0.1", "http", "inside")),
    ],
)
async def test_x_forwarded(headers: dict[str, str], expected: tuple[str, str, str]) -> None:
    assert await seen(headers) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("for=203.0.113.5", ("203.0.113.5", "http", "inside")),
        ('For="[2001:db8::1]:4711";Proto=https;host=chat.example', ("2001:db8::1", "https", "chat.example")),
        (
            "for=1.1.1.1;host=evil.example, for=203.0.113.5;proto=https;host=chat.example, for=10.2.2.2;host=inner",
            ("203.0.113.5", "https", "chat.example"),
        ),
        ("for=unknown;proto=https", ("10.0.0.1", "https", "inside")),
        ("for=_hidden", ("10.0.0.1", "http", "inside")),
        ('for="203.0.113.5', ("10.0.0.1", "http", "inside")),
        ('for="1.1.1.1, for=203.0.113.5', ("203.0.113.5", "http", "inside")),
        ("nonsense", ("10.0.0.1", "http", "inside")),
        ("", ("10.0.0.1", "http", "inside")),
        (";;,,==", ("10.0.0.1", "http", "inside")),
        ("for=203.0.113.5;" * 2000, ("203.0.113.5", "http", "inside")),
        ("for=1.1.1.1," * 2000 + "for=203.0.113.5", ("203.0.113.5", "http", "inside")),
    ],
)
async def test_forwarded(text: str, expected: tuple[str, str, str]) -> None:
    assert await seen({"Forwarded": text}, kind="forwarded") == expected


async def test_lines_are_one_list_in_their_order() -> None:
    lines = [("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-For", "203.0.113.5")]
    assert (await seen(lines))[0] == "203.0.113.5"


@pytest.mark.parametrize("peer", ["203.0.113.9", "::ffff:203.0.113.9", "nonsense", ""])
async def test_a_stranger_is_not_believed(peer: str) -> None:
    headers = {"X-Forwarded-For": "1.1.1.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "chat.example"}
    assert await seen(headers, peer=peer) == (peer, "http", "inside")


@pytest.mark.parametrize("peer", ["10.0.0.1", "::ffff:10.0.0.1", "fd00::1", "127.0.0.1"])
async def test_a_trusted_peer_is_believed_however_its_address_is_written(peer: str) -> None:
    assert (await seen({"X-Forwarded-For": "203.0.113.5"}, peer=peer))[0] == "203.0.113.5"


async def test_a_socket_behind_tls_is_wss() -> None:
    assert (await seen({"X-Forwarded-Proto": "https"}, scope_type="websocket"))[1] == "wss"


@pytest.mark.parametrize("text", ["10.0.0.0/40", "10.0.0.1/8", "example.org", ""])
def test_what_is_no_network_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigError, match="EUDAI_QUART_TRUSTED_PROXIES"):
        networks((text,))


@pytest.mark.parametrize("trusted", [True, False])
async def test_the_routes_see_the_client_and_the_cookie_is_bound_to_https(tmp_path: Path, trusted: bool) -> None:
    settings = {
        "EUDAI_DATA_DIR": str(tmp_path / "data"),
        "EUDAI_OLLAMA_HOST": "127.0.0.1:1",
        "EUDAI_QUART_ALLOWED_HOSTS": "chat.example",
        **({"EUDAI_QUART_TRUSTED_PROXIES": "127.0.0.0/8"} if trusted else {}),
    }
    told = {"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "chat.example"}
    async with running_server(settings) as server, client(server.url) as user:
        places: list[tuple[Any, ...]] = []

        @server.surface.after_request
        async def note(response: Any) -> Any:
            places.append((request.remote_addr, request.scheme, request.host))
            return response

        body = {"username": user.name, "password": "correct horse", "cookie": True}
        answer = await user.request("POST", "/api/auth/login", body=body, headers=told)
        assert answer.status == 200
    if trusted:
        assert places == [("203.0.113.5", "https", "chat.example")]
        assert answer.headers["Set-Cookie"].startswith("__Host-eudai_session=")
        assert "; Secure" in answer.headers["Set-Cookie"]
    else:
        assert places == [("127.0.0.1", "http", server.url.removeprefix("http://"))]
        assert answer.headers["Set-Cookie"].startswith("eudai_session=")
