"""Addresses of pages: one form for each, and none that two programs read in two ways."""

from __future__ import annotations

import pytest

from eudai_core.errors import InvalidInput
from eudai_core.services.addresses import normal_address


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("http://example.org", "http://example.org/"),
        ("HTTP://Example.ORG:80/", "http://example.org/"),
        ("https://example.org:443?q", "https://example.org/?q"),
        ("https://example.org:/p", "https://example.org/p"),
        ("http://example.org:443/", "http://example.org:443/"),
        ("https://example.org./x#part", "https://example.org/x"),
        ("http://a_b.example/", "http://a_b.example/"),
        ("http://localhost:8000/", "http://localhost:8000/"),
        ("http://example.org/a/../b/./c/..", "http://example.org/b/"),
        ("http://example.org/../../x", "http://example.org/x"),
        ("http://example.org/%2e%2E/%7ex/%c3%a4", "http://example.org/~x/%C3%A4"),
        ("http://example.org//x//", "http://example.org//x//"),
        ("http://example.org/100%?a=%&b=ü c".replace(" ", "+"), "http://example.org/100%25?a=%25&b=%C3%BC+c"),
        ('http://example.org/<">|^`{}', "http://example.org/%3C%22%3E%7C%5E%60%7B%7D"),
        ("https://bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4"),
        ("https://例え。jp/", "https://xn--r8jz45g.jp/"),
        ("http://１２７．０．０．１/", "http://127.0.0.1/"),
        ("http://10.0.0.1:8080/", "http://10.0.0.1:8080/"),
        ("http://[2001:DB8:0::1]:80/", "http://[2001:db8::1]/"),
    ],
)
def test_an_address_has_one_normal_form(typed: str, normal: str) -> None:
    assert normal_address(typed) == normal
    assert normal_address(normal) == normal


@pytest.mark.parametrize(
    "typed",
    [
        *("", " ", "example.org", "//example.org/", "/path", "http:", "http:/", "http://", "http:///x", "http://?x"),
        *("ftp://example.org/", "file:///etc/passwd", "javascript:alert(1)", "data:,x", "httpx://example.org/"),
        *("http://user@example.org/", "http://user:pass@example.org/", "http://@example.org/", "http://a@b@c/"),
        *("http://127.0.0.1:6666\\@1.1.1.1/", "http:\\\\example.org", "http://example.org/a b", " http://example.org/"),
        *("http://exa\tmple.org/", "http://example.org/\n", "http://example.org/\0", "http://example.org/\x7f"),
        *("http://example.org/\u202e", "http://example.org/\u200b", "http://example.org/\u3000", "http://h/\ud800"),
        *("http://example.org:0/", "http://example.org:65536/", "http://example.org:x/", "http://example.org:80:80/"),
        *("http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://1.2.3.4.5/"),
        *("http://1.2.3/", "http://example.0x7f/", "http://127.0.0.1.1./", "http://256.0.0.1/"),
        *("http://[::1/", "http://::1/", "http://[::1]x/", "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/"),
        *("http://[127.0.0.1]/", "http://%31/", "http://ex%61mple.org/", "http://a..b/", "http://.a/", "http://.../"),
        *("http://-a.org/", "http://a-.org/", "http://a,b/", "http://a;b/", "http://a*b/", "http://faß.de/"),
        *("http://" + "b" * 64 + ".org/", "http://" + "b." * 127 + "org/", "http://example.org/" + "x" * 2048),
        "http://example.org/" + "\U0001f339" * 1000,
    ],
)
def test_what_is_no_address_of_a_page_is_refused(typed: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        normal_address(typed)
    assert [error.path for error in refused.value.errors] == ["$.url"]
    assert len(refused.value.detail) < 120
