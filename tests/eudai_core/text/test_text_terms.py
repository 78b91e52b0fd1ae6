"""The tokeniser: what words give, in which alphabet, and how a query weighs them."""

from __future__ import annotations

import re
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eudai_core.text import content_terms, query_terms, sentences, stem, tokenise


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        # From the sample vocabulary of the algorithm's description.
        ("consign", "consign"),
        ("consistency", "consist"),
        ("consolation", "consol"),
        ("knightly", "knight"),
        ("kneeling", "kneel"),
        ("hopping", "hop"),
        ("hoping", "hope"),
        ("agreed", "agre"),
        ("cries", "cri"),
        ("ties", "tie"),
        ("by", "by"),
        ("say", "say"),
        ("gas", "gas"),
        ("this", "this"),
        ("national", "nation"),
        ("relational", "relat"),
        ("generous", "generous"),
        ("generate", "generat"),
        ("skies", "sky"),
        ("news", "news"),
        ("inning", "inning"),
        ("controlling", "control"),
        ("analogically", "analog"),
    ],
)
def test_english_stems(word: str, expected: str) -> None:
    assert stem(word) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The files are running", ["the", "file", "are", "run"]),
        ("maxTokens", ["maxtoken", "max", "token"]),
        ("HTTPServer", ["httpserver", "http", "server"]),
        ("snake_case", ["snake_cas", "snake", "case"]),
        ("__init__", ["init"]),
        ("_", []),
        ("3.14 sha256", ["3", "14", "sha256"]),
        ("東京都に", ["東京", "京都", "都に"]),
        ("水", ["水"]),
        ("ไทย", ["ไท", "ทย"]),
        ("한국어", ["한국어", "한국", "국어"]),
        ("собаками", ["собаками", "собак"]),
        ("café", ["cafe"]),
        ("STRASSE Straße", ["strass", "strass", "stras"]),
        ("Ｆｕｌｌ", ["full"]),
        ("كِتَاب", ["كتاب"]),
        ("हिन्दी में", ["हिन्दी", "हिन्द", "में"]),
        ("Tokyo東京", ["tokyo", "東京"]),
        ("co\u00adoperate", ["cooper", "coope"]),
    ],
)
def test_terms(text: str, expected: list[str]) -> None:
    assert tokenise(text) == expected


def test_one_word_in_many_spellings_meets_in_a_term() -> None:
    for spelling in ("Café", "cafe", "CAFÉ", "cafe\u0301"):
        assert "cafe" in tokenise(spelling)


@given(st.text())
def test_terms_are_short_lower_case_and_stable(text: str) -> None:
    terms = tokenise(text)
    assert all(0 < len(term) <= 64 for term in terms)
    assert all(not term.isspace() for term in terms)
    assert terms == tokenise(text)


@given(st.text(alphabet=st.characters(codec="ascii")))
def test_ascii_takes_the_same_path_as_the_rest(text: str) -> None:
    assert [*tokenise(text), "水"] == tokenise(f"{text} 水")


def test_a_very_long_word_gives_a_bounded_term() -> None:
    assert [len(term) for term in tokenise("x" * 100_000)] == [64]


def test_content_terms_leave_function_words_out() -> None:
    assert content_terms("What is the default port of the server?") == {"default", "port", "server"}


def test_a_query_weighs_the_conversation_less_than_the_question() -> None:
    terms = query_terms(
        "And the timeout?", ["Which port is used?", "How is timeout set?"], "The timeout is 30 seconds."
    )
    assert terms["timeout"] == 1.0
    assert terms["set"] == 0.5
    assert terms["port"] == pytest.approx(0.4)
    assert terms["second"] == pytest.approx(0.1)


def test_a_term_found_twice_has_its_highest_weight_and_not_a_sum() -> None:
    assert query_terms("port", ["port port"], "port") == {"port": 1.0}


def test_a_query_is_bounded_and_keeps_the_question() -> None:
    answer = " ".join(f"w{number}" for number in range(1000))
    terms = query_terms("alpha beta", ["gamma"], answer)
    assert len(terms) == 256
    assert list(terms)[:3] == ["alpha", "beta", "gamma"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith paid 3.50 in e.g. Paris. He left.", ["Dr. Smith paid 3.50 in e.g. Paris.", "He left."]),
        ('He said: "Go." She went.', ['He said: "Go."', "She went."]),
        ("See example.com now. Yes.", ["See example.com now.", "Yes."]),
        ("我是。你好！完", ["我是。", "你好！", "完"]),
        ("यह है। वह है।", ["यह है।", "वह है।"]),
        ("# Title\nText here\nand on. More", ["# Title", "Text here\nand on.", "More"]),
        ("Intro:\n- one\n- two\n1. three", ["Intro:", "- one", "- two", "1. three"]),
        ("para one\n\npara two", ["para one", "para two"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert [text[start:end].strip() for start, end in sentences(text)] == expected


@given(st.text(alphabet=st.sampled_from("aB .!?\n#-1|`。”\u0085\u2028\t>")))
def test_sentences_cover_every_character_once(text: str) -> None:
    covered = 0
    for start, end in sentences(text):
        assert covered <= start < end <= len(text)
        assert not text[covered:start].strip()
        covered = end
    assert not text[covered:].strip()


HOSTILE = {
    "marks in falling order": "\u0345\u0301\u0316\u0334",
    "one mark": "\u0301",
    "a letter with many marks": "a" + "\u0301\u0316" * 3000,
    "letters of the Hangul alphabet": "\u1112\u1161\u11ab",
    "Han": "汉字",
    "ligatures that become phrases": "\ufdfa",
    "letters with diacritics": "é",
    "ASCII": "a",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
def test_time_rises_with_the_length_and_not_faster(piece: str) -> None:
    """Ten times the text takes about ten times as long; where it took a hundred times, the square was at work."""

    def seconds(length: int) -> float:
        text = (piece * (length // len(piece) + 1))[:length]
        times = []
        for _ in range(3):
            begun = time.thread_time()
            tokenise(text)
            times.append(time.thread_time() - begun)
        return min(times)

    seconds(10_000)
    assert seconds(100_000) <= 20 * seconds(10_000) + 0.01


LETTERS = (
    *("a", "é", "e\u0301", "ß", "汉", "ｶﾞ", "ﬁ", "ก", "ำ", "한", "\u1112\u1161\u11ab", "हि", "न्", " ", "½", "㎏", "™"),
    *("か\u3099", "ا\u0653", "И\u0306", "Å", "\u0b95\u0bbe", "\uff21", "'", "-", "1"),
)


@given(st.lists(st.sampled_from(LETTERS), min_size=200, max_size=700))
def test_long_texts_give_the_terms_of_their_words(letters: list[str]) -> None:
    """Normalising in stretches cuts nothing in two."""
    text = "".join(letters)
    whole = unicodedata.normalize("NFKC", text)
    assert tokenise(text) == [term for word in re.split(r"\s+", whole) for term in tokenise(word)]
