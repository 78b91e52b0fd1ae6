"""How the documents are served, and the page that shows them."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from eudai_quart.openapi.asyncapi import asyncapi_document
from eudai_quart.openapi.document import openapi_document
from eudai_quart.openapi.page import render
from eudai_quart.openapi.types import prose, type_text
from support.client import client
from support.conformance import bare_surface
from support.server import RunningServer

OPENAPI, ASYNCAPI = openapi_document(bare_surface()), asyncapi_document(bare_surface())
VOID = {"br", "meta"}


@pytest.fixture
def every_database() -> str:
    """One database is enough: the documents do not ask it."""
    return "sqlite"


class Reader(HTMLParser):
    """Reads a page strictly: every element that opens must close, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        found = dict(attrs)
        self.ids += [found["id"] or ""] if "id" in found else []
        self.links += [found["href"] or ""] if "href" in found else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.mark.parametrize(
    ("path", "media"),
    [("/openapi.json", "application/json"), ("/asyncapi.json", "application/json"), ("/docs", "text/html")],
)
async def test_documents_are_open_to_all_and_sent_once(server: RunningServer, path: str, media: str) -> None:
    async with client(server.url, signed_up=False) as nobody:
        first = await nobody.request("GET", path)
        assert (first.status, first.headers["Content-Type"].partition(";")[0]) == (200, media)
        assert first.headers["Cache-Control"] == "no-cache"
        again = await nobody.request("GET", path, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status, again.body) == (304, b"")
        other = await nobody.request("GET", path, headers={"If-None-Match": '"other"'})
        assert other.body == first.body


async def test_the_documents_of_a_server_are_those_of_its_routes(server: RunningServer) -> None:
    async with client(server.url, signed_up=False) as nobody:
        openapi, asyncapi = await nobody.call("GET", "/openapi.json"), await nobody.call("GET", "/asyncapi.json")
    assert openapi["info"].pop("version") == server.app.version
    assert asyncapi["info"].pop("version") == server.app.version
    assert openapi == {**OPENAPI, "info": {k: v for k, v in OPENAPI["info"].items() if k != "version"}}
    assert asyncapi["channels"] == ASYNCAPI["channels"]


async def test_the_policy_of_the_page_lets_nothing_but_its_style_work(server: RunningServer) -> None:
    async with client(server.url, signed_up=False) as nobody:
        answer = await nobody.request("GET", "/docs")
    style = re.search(r"<style>(.*?)</style>", answer.body.decode(), re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert "prefers-color-scheme: dark" in style[1]


def test_the_page_needs_no_scripts_and_no_other_host() -> None:
    page = render(OPENAPI, ASYNCAPI)[0].decode()
    reader = read(page)
    assert reader.tags.isdisjoint({"script", "link", "img", "iframe", "object", "form", "base"})
    assert not any(name.startswith("on") or name in {"src", "style"} for name in reader.attributes)
    assert all(link.startswith(("/", "#")) and not link.startswith("//") for link in reader.links)
    assert "url(" not in page
    assert "@import" not in page


def test_the_page_shows_everything_and_its_links_lead_somewhere() -> None:
    page = render(OPENAPI, ASYNCAPI)[0].decode()
    reader, shown = read(page), html.unescape(re.sub(r"</?code>", "", page))
    assert len(reader.ids) == len(set(reader.ids))
    assert {link.removeprefix("#") for link in reader.links if link.startswith("#")} <= set(reader.ids)
    for path, methods in OPENAPI["paths"].items():
        assert f"<code>{path}</code>" in page
        for described in methods.values():
            assert described["operationId"] in reader.ids
            assert described["summary"].replace("`", "") in shown
    assert {f"schema-{name}" for name in OPENAPI["components"]["schemas"]} <= set(reader.ids)
    for message in ASYNCAPI["components"]["messages"].values():
        assert f"<code>{message['name']}</code>" in page


def test_what_plugins_say_of_themselves_is_only_text() -> None:
    evil: Any = {**OPENAPI, "info": {"title": "<b>x", "version": "1", "description": "`<script>` [x](javascript:1)"}}
    page = render(evil, ASYNCAPI)[0].decode()
    assert "<b>x" not in page
    assert "<script>" not in page
    assert 'href="javascript' not in page


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string", "minLength": 1, "maxLength": 9}, "text, at least 1 characters, at most 9 characters"),
        ({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]}, "whole number, from 0 or null"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/X"}}, 'list of <a href="#schema-X">X</a>'),
        ({"type": "object", "additionalProperties": {"type": "boolean"}}, "object, each member true or false"),
        ({"enum": ["a", "<b>"]}, "<code>a</code> or <code>&lt;b&gt;</code>"),
        ({"type": "boolean", "default": False}, "true or false, by default <code>false</code>"),
        ({"type": "string", "format": "uuid"}, "UUID"),
        ({}, "anything"),
    ],
)
def test_schemas_in_words(schema: dict[str, Any], text: str) -> None:
    assert str(type_text(schema)) == text


def test_prose_has_paragraphs_code_and_links() -> None:
    text = "One `x`\nline.\n\nSee [there](/docs) & [no](http://x)."
    assert str(prose(text)) == (
        '<p>One <code>x</code> line.</p>\n<p>See <a href="/docs">there</a> &amp; [no](http://x).</p>'
    )
