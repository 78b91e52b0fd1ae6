"""The token estimate: upwards, additive enough, fast enough."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eudai_context.estimate import EstimatingTokenizer

count = EstimatingTokenizer().count

# Counted with the tokenizer of DeepSeek V3.
COUNTED = [
    ("The quick brown fox jumps over the lazy dog.", 10),
    ("def tokens(text: str) -> int:\n    return len(text) // 4\n", 18),
    ("Der schnelle braune Fuchs springt über den faulen Hund.", 14),
    ("Быстрая коричневая лиса прыгает через ленивую собаку.", 21),
    ("敏捷的棕色狐狸跳过了懒狗。", 9),
    ("สุนัขจิ้งจอกสีน้ำตาลกระโดดข้ามสุนัขขี้เกียจ", 26),
    ("तेज़ भूरी लोमड़ी आलसी कुत्ते के ऊपर कूदती है।", 28),
    ("3.14159 26535 89793 23846", 13),
]


@pytest.mark.parametrize(("text", "tokens"), COUNTED)
def test_estimates_err_upwards_but_not_wildly(text: str, tokens: int) -> None:
    assert tokens * 0.9 <= count(text) <= tokens * 1.7 + 2


def test_nothing_takes_nothing() -> None:
    assert count("") == 0


@given(st.text(), st.text())
def test_parts_never_take_less_than_the_whole(one: str, other: str) -> None:
    assert max(count(one), count(other)) <= count(one + other) <= count(one) + count(other)


@given(st.text(min_size=1))
def test_the_estimate_does_not_depend_on_what_was_counted_before(text: str) -> None:
    assert EstimatingTokenizer().count(text) == count(text) >= 1


def test_a_megabyte_takes_well_under_a_second() -> None:
    text = "Ein Satz mit Umlauten (äöü) und 12 Zahlen; again some words, 世界. " * 16_000
    started = time.process_time()
    count(text)
    assert time.process_time() - started < 1.0
