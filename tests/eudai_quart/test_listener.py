"""Binding: a taken port, an unknown host, and what is said of them."""

from __future__ import annotations

import socket

import pytest

from eudai_core.errors import ConfigError, Unavailable
from eudai_quart.server.listener import bind, url_of


def test_a_free_port_is_taken() -> None:
    with bind("localhost", 0) as listener:
        port = listener.getsockname()[1]
        assert url_of(listener, "localhost") == f"http://localhost:{port}"
        assert url_of(listener, "::1") == f"http://[::1]:{port}"


def test_a_taken_port_is_told_with_one_that_is_free() -> None:
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(Unavailable) as refused:
            bind("127.0.0.1", port)
    assert f"Port {port} on 127.0.0.1 is in use" in refused.value.detail
    free = int(refused.value.detail.split("Port ")[2].split(" ")[0])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", free))


def test_an_unknown_host_is_a_matter_of_settings() -> None:
    with pytest.raises(ConfigError) as refused:
        bind("no-such-host.invalid", 0)
    assert "no-such-host.invalid" in refused.value.detail


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(Unavailable) as refused:
        bind("192.0.2.1", 8000)
    assert "--host" in refused.value.detail
