"""Tags of thinking that leak into the content, however the pieces are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eudai_ollama.thinking import Separator, TagHabits


def separate(
    pieces: list[str], habits: TagHabits | None = None, *, expects: bool = True, trusted: bool = False
) -> tuple[str, str]:
    separator = Separator(habits or TagHabits(), expects_thinking=expects, trusted=trusted)
    splits = [separator.feed(piece) for piece in pieces] + [separator.end()]
    return "".join(split.thinking for split in splits), "".join(split.text for split in splits)


def cuts(text: str) -> st.SearchStrategy[list[str]]:
    def cut(places: list[int]) -> list[str]:
        ends = sorted(places)
        return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]

    return st.lists(st.integers(0, len(text))).map(cut)


@given(cuts("\n<think>\nI add 2 < 3.\n</think>\n\nFive. </think> is a tag."), st.booleans())
def test_both_tags(pieces: list[str], expects: bool) -> None:
    assert separate(pieces, expects=expects) == ("I add 2 < 3.", "Five. </think> is a tag.")


@given(cuts("I add.\n</think>\n\nFive."))
def test_a_closing_tag_alone(pieces: list[str]) -> None:
    habits = TagHabits()
    assert separate(pieces, habits) == ("I add.", "Five.")
    assert habits.closes_only


@given(cuts("I add. </thin\n</think>\n Five."))
def test_by_habit_thinking_streams(pieces: list[str]) -> None:
    assert separate(pieces, TagHabits(closes_only=True)) == ("I add. </thin", "Five.")


def test_by_habit_thinking_is_given_at_once() -> None:
    separator = Separator(TagHabits(closes_only=True), expects_thinking=True, trusted=True)
    assert separator.feed("I think ") == ("I think", "")
    assert separator.feed("hard </th") == (" hard", "")
    assert separator.feed("ink>\n") == ("", "")
    assert not separator.passing
    assert separator.feed("\nFive") == ("", "Five")
    assert separator.passing


@given(cuts("  Five < six, <b>really</b>."))
def test_an_answer_without_tags_is_untouched(pieces: list[str]) -> None:
    text = "  Five < six, <b>really</b>."
    assert separate(pieces, expects=False) == ("", text)
    assert separate(pieces, TagHabits(separates=True)) == ("", text)
    habits = TagHabits()
    assert "".join(separate(pieces, habits)) == text.lstrip()
    assert habits.separates


def test_an_answer_held_once_streams_the_next_time() -> None:
    habits = TagHabits()
    assert separate(["Five."], habits) == ("", "Five.")
    assert Separator(habits, expects_thinking=True).feed("Six.") == ("", "Six.")


def test_a_trusted_model_streams_and_is_found_out() -> None:
    habits = TagHabits()
    separator = Separator(habits, expects_thinking=True, trusted=True)
    assert separator.feed("I add.") == ("", "I add.")
    assert not habits.closes_only
    assert separator.feed("</think>") == ("", "</think>")
    assert habits.closes_only
    assert separator.passing
    assert separate(["I add.", "</think>", "Five."], habits, trusted=True) == ("I add.", "Five.")


def test_a_whole_answer_in_one_piece_is_found_out_too() -> None:
    habits = TagHabits()
    assert separate(["I add.</think>Five."], habits, trusted=True) == ("", "I add.</think>Five.")
    assert habits.closes_only


def test_what_ollama_separated_is_not_touched() -> None:
    separator = Separator(TagHabits(), expects_thinking=True)
    separator.separated()
    assert separator.feed("a </think> b") == ("", "a </think> b")


def test_a_model_that_changes_its_ways_still_gives_an_answer() -> None:
    habits = TagHabits(closes_only=True)
    thinking, text = separate(["Five", " is it."], habits)
    assert (thinking, text) == ("Five is it.", "Five is it.")
    assert not habits.closes_only


def test_a_habit_counts_only_where_thinking_is_expected() -> None:
    assert separate(["Five", "."], TagHabits(closes_only=True), expects=False) == ("", "Five.")


def test_thinking_that_was_cut_by_its_length_is_no_answer() -> None:
    habits = TagHabits(closes_only=True)
    separator = Separator(habits, expects_thinking=True)
    assert separator.feed("I add ") == ("I add", "")
    assert separator.end(cut=True) == ("", "")
    assert habits.closes_only
    habits = TagHabits()
    separator = Separator(habits, expects_thinking=True)
    separator.feed("I add")
    assert separator.end(cut=True) == ("", "I add")
    assert not habits.separates


def test_thinking_that_never_closes_is_thinking() -> None:
    assert separate(["<think>I add ", "and add "]) == ("I add and add", "")


@pytest.mark.parametrize("text", ["", "<", "<thi", "   "])
def test_an_answer_that_ends_early(text: str) -> None:
    assert separate([text], expects=False) == ("", text)
