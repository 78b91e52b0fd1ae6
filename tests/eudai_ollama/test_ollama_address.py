"""How OLLAMA_HOST is read."""

from __future__ import annotations

import pytest

from eudai_core.errors import ConfigError
from eudai_ollama.address import base_url


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("127.0.0.1", "http://127.0.0.1:11434"),
        ("ollama:11434", "http://ollama:11434"),
        (":8080", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("http://0.0.0.0:11434/", "http://127.0.0.1:11434"),
        ("[::]:11434", "http://[::1]:11434"),
        ("[fd00::1]", "http://[fd00::1]:11434"),
        ("http://box", "http://box:80"),
        ("https://ollama.com", "https://ollama.com:443"),
        ("https://proxy.example/ollama/", "https://proxy.example:443/ollama"),
        ("http://user:pw@box:1", "http://user:pw@box:1"),
        (' "box:1" ', "http://box:1"),
    ],
)
def test_addresses(given: str, url: str) -> None:
    assert base_url(given) == url


@pytest.mark.parametrize(
    "given", ["ftp://box", "one:1,two:2", "box:port", "box:99999", "a b", "http://box/?q=1", "unix:///run/ollama.sock"]
)
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(ConfigError) as caught:
        base_url(given)
    assert "EUDAI_OLLAMA_HOST" in caught.value.detail
