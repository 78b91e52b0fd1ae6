"""Exports: complete, the same every time, and harmless whatever was said."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest

from eudai_core.contracts import Exporter
from eudai_core.model import Citation, Conversation, Message, MessageStatus, Sender, Usage
from eudai_export import plugin
from eudai_export.html import HtmlExporter
from eudai_export.json import JsonExporter
from eudai_export.markdown import MarkdownExporter
from support.contexts import SimpleContext

START = datetime(2026, 11, 25, 12, 0, 0, 123456, UTC)
CONVERSATION = Conversation(UUID(int=1), UUID(int=2), UUID(int=3), "On *herons*\nand <fish>", START, START)
QUESTION = Message(UUID(int=10), CONVERSATION.id, None, Sender.USER, "What do herons eat?", START, client_id="c-1")
ANSWER = Message(
    UUID(int=11),
    CONVERSATION.id,
    QUESTION.id,
    Sender.LLM,
    "# Fish\n\nThey like small fish [F1].\n\n```python\nprint('<b>')\n```\n",
    START + timedelta(seconds=5),
    thinking="The user asks ``` about <herons>.",
    model="deepseek-r1:8b",
    usage=Usage(100, 20, 60, 5000, 300),
    citations=(Citation("F1", 0, 29, 33, "Herons like *small* fish best.", "verified"),),
    siblings=(UUID(int=11),),
)
EXPORTERS: list[Exporter] = [MarkdownExporter(), JsonExporter(), HtmlExporter()]
HOSTILE = [
    "<script>alert(1)</script>",
    "</pre></article><img src=x onerror=alert(1)>",
    "\"><svg onload='x'>",
    "{title} {0} %s",
    "</title><script>",
    "javascript:alert(1)",
    "nul \0 and \x1b[31m",
    "\u202eright to left",
]


async def stream(*messages: Message) -> AsyncIterator[Message]:
    for message in messages:
        yield message


async def export(exporter: Exporter, *messages: Message, conversation: Conversation = CONVERSATION) -> str:
    return b"".join([piece async for piece in exporter.export(conversation, stream(*messages))]).decode("utf-8")


@pytest.mark.parametrize("exporter", EXPORTERS, ids=lambda one: one.extension)
class TestEveryFormat:
    async def test_the_contract(self, exporter: Exporter) -> None:
        assert isinstance(exporter, Exporter)
        assert exporter.extension.isalnum()
        assert "/" in exporter.media_type

    async def test_the_same_input_gives_the_same_bytes(self, exporter: Exporter) -> None:
        assert await export(exporter, QUESTION, ANSWER) == await export(exporter, QUESTION, ANSWER)

    async def test_times_are_utc_whatever_zone_they_came_in(self, exporter: Exporter) -> None:
        elsewhere = timezone(timedelta(hours=5))
        moved = replace(QUESTION, timestamp=START.astimezone(elsewhere))
        conversation = replace(CONVERSATION, created_at=START.astimezone(elsewhere))
        assert await export(exporter, moved, conversation=conversation) == await export(exporter, QUESTION)

    async def test_it_streams(self, exporter: Exporter) -> None:
        taken = 0

        async def counted() -> AsyncIterator[Message]:
            nonlocal taken
            for message in (QUESTION, ANSWER):
                taken += 1
                yield message

        pieces = exporter.export(CONVERSATION, counted())
        await anext(pieces)
        assert taken == 0
        await anext(pieces)
        assert taken == 1

    async def test_an_empty_conversation(self, exporter: Exporter) -> None:
        assert "herons" in await export(exporter)

    @pytest.mark.parametrize("text", HOSTILE)
    async def test_anything_can_be_said(self, exporter: Exporter, text: str) -> None:
        citation = Citation(text, None, 0, 3, text, text)
        message = replace(ANSWER, text=text, thinking=text, model=text, citations=(citation,), error={"detail": text})
        assert await export(exporter, message, conversation=replace(CONVERSATION, title=text))

    async def test_a_lone_surrogate_breaks_nothing(self, exporter: Exporter) -> None:
        message = replace(ANSWER, text="a \ud800 b", thinking="\udfff")
        assert await export(exporter, message, conversation=replace(CONVERSATION, title="\ud800"))


async def test_markdown_word_for_word() -> None:
    assert await export(MarkdownExporter(), QUESTION, ANSWER) == (
        "# On \\*herons\\* and \\<fish\\>\n\n"
        "2026-11-25T12:00:00Z\n"
        "\n## User\n\n"
        "2026-11-25T12:00:00Z\n"
        "\nWhat do herons eat?\n"
        "\n## Assistant (deepseek-r1:8b)\n\n"
        "2026-11-25T12:00:05Z\n"
        "\n# Fish\n\nThey like small fish [F1].\n\n```python\nprint('<b>')\n```\n"
        "\nCitations:\n\n"
        "- F1 (verified): Herons like \\*small\\* fish best.\n"
    )


async def test_markdown_with_thinking_on_request() -> None:
    without = await export(MarkdownExporter(), ANSWER)
    assert "The user asks" not in without
    shown = await export(MarkdownExporter(thinking=True), ANSWER)
    assert "\n````thinking\nThe user asks ``` about <herons>.\n````\n" in shown


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (MessageStatus.COMPLETE, None),
        (MessageStatus.STOPPED, "stopped before its end"),
        (MessageStatus.INTERRUPTED, "was interrupted"),
        (MessageStatus.FAILED, "failed"),
        (MessageStatus.PENDING, "still being written"),
    ],
)
@pytest.mark.parametrize("exporter", [MarkdownExporter(), HtmlExporter()], ids=["md", "html"])
async def test_how_an_answer_ended_is_told(exporter: Exporter, status: MessageStatus, told: str | None) -> None:
    shown = await export(exporter, replace(ANSWER, status=status))
    assert "They like small fish" in shown
    assert ("This answer" in shown) is (told is not None)
    assert told is None or told in shown


async def test_an_untitled_conversation_has_a_title_all_the_same() -> None:
    nameless = replace(CONVERSATION, title=" \n")
    assert (await export(MarkdownExporter(), conversation=nameless)).startswith("# Untitled conversation\n")
    assert '<h1 dir="auto">Untitled conversation</h1>' in await export(HtmlExporter(), conversation=nameless)


async def test_json_holds_everything() -> None:
    error = MappingProxyType({"code": "llm_failed", "inner": MappingProxyType({"a": 1})})
    exported = json.loads(await export(JsonExporter(), QUESTION, replace(ANSWER, error=error)))
    assert exported["format"] == "eudai-conversation"
    assert exported["version"] == 1
    assert exported["conversation"] == {
        "id": str(CONVERSATION.id),
        "project_id": str(CONVERSATION.project_id),
        "title": CONVERSATION.title,
        "model": None,
        "active_message_id": None,
        "created_at": "2026-11-25T12:00:00.123456Z",
        "updated_at": "2026-11-25T12:00:00.123456Z",
    }
    question, answer = exported["messages"]
    assert question["client_id"] == "c-1"
    assert question["usage"] is None
    assert (answer["text"], answer["thinking"], answer["parent_id"]) == (ANSWER.text, ANSWER.thinking, str(QUESTION.id))
    assert answer["usage"]["reused_prefix_tokens"] == 60
    assert answer["citations"][0]["quote"] == "Herons like *small* fish best."
    assert answer["error"] == {"code": "llm_failed", "inner": {"a": 1}}
    assert answer["siblings"] == [str(ANSWER.id)]


async def test_json_refuses_what_it_cannot_write() -> None:
    with pytest.raises(TypeError, match="set has no place"):
        await export(JsonExporter(), replace(ANSWER, error={"odd": {1}}))


class Page(HTMLParser):
    """Notes elements, attributes and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("text", HOSTILE)
async def test_html_lets_nothing_become_markup(text: str) -> None:
    citation = Citation(text, None, 0, 3, text, text)
    plain = replace(
        ANSWER, text="x" * len(text), thinking="x", model="x", citations=(replace(citation, id="x", quote="x"),)
    )
    hostile = replace(ANSWER, text=text, thinking=text, model=text, citations=(citation,))
    harmless = Page(await export(HtmlExporter(), plain))
    shown = Page(await export(HtmlExporter(), hostile, conversation=replace(CONVERSATION, title=text)))
    assert shown.elements == harmless.elements
    assert {name for name, _ in shown.attributes} == {name for name, _ in harmless.attributes}
    assert not {name for name, _ in shown.attributes if name.startswith("on") or name == "src"}
    assert shown.open == []


async def test_html_shows_the_text_and_links_citations() -> None:
    page = await export(HtmlExporter(), QUESTION, ANSWER)
    shown = Page(page)
    assert ANSWER.text in "".join(shown.texts)
    assert '<a href="#m2c1">[F1]</a>' in page
    assert '<li id="m2c1" dir="auto">F1 (verified): Herons like *small* fish best.</li>' in page
    assert "<details><summary>Thinking</summary>" in page
    assert "script" not in shown.elements
    assert "default-src 'none'" in page
    assert {value for name, value in shown.attributes if name == "href"} == {"#m2c1"}


async def test_citations_out_of_place_are_listed_without_a_link() -> None:
    citations = tuple(
        Citation("F1", 0, start, end, "quote", "verified") for start, end in [(2, 4), (3, 5), (-1, 2), (0, 99), (5, 5)]
    )
    page = await export(HtmlExporter(), replace(ANSWER, text="0123456789", citations=citations))
    assert page.count("<li") == 5
    assert page.count("<a href") == 1
    assert "".join(Page(page).texts).count("0123456789") == 1


def test_the_style_is_the_one_that_the_policy_allows() -> None:
    import base64
    import hashlib

    from eudai_export import html

    assert base64.b64encode(hashlib.sha256(html._STYLE.encode()).digest()).decode() == html._STYLE_HASH
    assert "<" not in html._STYLE


def test_every_late_name_is_there() -> None:
    registered: dict[str, Any] = {}
    getattr(plugin, "eudai_register_exporters")(registered.__setitem__)  # noqa: B009
    made = {}
    for name, late in registered.items():
        module, _, factory = late.partition(":")
        made[name] = getattr(importlib.import_module(module), factory)(SimpleContext()).extension
    assert made == {"markdown": "md", "json": "json", "html": "html"}


def test_importing_the_plugin_is_light() -> None:
    code = (
        "import sys, eudai_export; print([m for m in ('asyncio', 'html', 'eudai_core.contracts') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
