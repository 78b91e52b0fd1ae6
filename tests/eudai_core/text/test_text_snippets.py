"""Snippets: the right stretch, cut between words, with what was asked for marked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eudai_core.model import Snippet
from eudai_core.text import snippet, tokenise

LETTERS = st.text(st.sampled_from("ab cd é\u0301水東 ไท한국\n. 𝄞_"), max_size=400)


def marked(found: Snippet) -> list[str]:
    return [found.text[one.start : one.end] for one in found.highlights]


@pytest.mark.parametrize(
    ("text", "asked", "expected"),
    [
        ("The foxes were running fast.", "fox runs", ["foxes", "running"]),
        ("maxTokens is 5", "tokens", ["maxTokens"]),
        ("In Zürich, nicht in Zurich.", "zurich", ["Zürich", "Zurich"]),
        ("東京都の水", "京都", ["京都"]),
        ("水を飲む", "水", []),
        ("한국어", "한국", ["한국"]),
        ("🎉 done 🎉", "done", ["done"]),
        ("nothing here", "else", []),
    ],
)
def test_what_was_asked_for_is_marked(text: str, asked: str, expected: list[str]) -> None:
    found = snippet(text, tokenise(asked))
    assert found.text == text
    assert marked(found) == expected


def test_the_stretch_with_most_different_words_is_shown() -> None:
    text = "fox " * 40 + "filler " * 100 + "the lazy dog and the fox met. " + "filler " * 100 + "dog " * 40
    found = snippet(text, tokenise("lazy dog fox"))
    assert "lazy dog and the fox" in found.text
    assert {"lazy", "dog", "fox"} <= set(marked(found))
    assert found.text.split() == [word for word in found.text.split() if word in text.split()]


def test_a_text_without_a_match_begins_at_its_beginning() -> None:
    found = snippet("  one two " + "three " * 100, ["absent"])
    assert found.text.startswith("one two three")
    assert len(found.text) <= 240
    assert found.text.endswith("three")
    assert snippet("", ["a"]) == snippet("   ", ["a"]) == Snippet("")


@given(LETTERS, st.lists(st.sampled_from(["a", "ab", "水", "水東", "ไท", "cd", "é", "한국"]), max_size=3))
def test_every_snippet_is_a_short_stretch_of_its_text(text: str, asked: list[str]) -> None:
    terms = {term for word in asked for term in tokenise(word)}
    found = snippet(text, terms, length=60)
    assert found.text in text
    assert len(found.text) <= 60
    assert found.text == found.text.strip() or not found.text.strip()
    ends = [0, *(place for one in found.highlights for place in (one.start, one.end)), len(found.text)]
    assert ends == sorted(ends)
    assert all(one.start < one.end for one in found.highlights)
    assert all(terms & set(tokenise(word)) for word in marked(found) if len(word) < 60)


@given(LETTERS, LETTERS, st.sampled_from(["needle", "水面", "naïve", "foo_bar"]))
def test_what_is_there_is_shown(before: str, after: str, word: str) -> None:
    found = snippet(f"{before} {word} {after}", tokenise(word), length=60)
    assert word in found.text
    assert any(word in one for one in marked(found))
