"""The tokeniser: text to search terms, one code path for all languages and for code.

Text is brought to NFKC and cut into Unicode words. What a word gives depends on its letters:

ASCII              the English stem; an identifier also its camel and snake parts: ``maxTokens`` → ``maxtoken``,
                   ``max``, ``token``
Han, kana, Thai,   character bigrams, since these scripts do not put spaces between words
Lao, Khmer, Burmese
Hangul             the word and its character bigrams
other alphabets    the word without diacritics, and its first five letters, which stands in for a stem

Stop words are kept: the inverse document frequency gives them the little weight that they deserve.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, Literal

from eudai_core.text.stems import stem

__all__ = ["content_terms", "tokenise", "unspaced", "words"]

_LONGEST: Final = 64
"""Letters of a word that count: what is longer is no word (encoded data), and would only bloat an index."""

_PREFIX: Final = 5

_ASCII_WORD: Final = re.compile(r"[A-Za-z0-9_]+")
# ``\w`` has no combining marks, which are part of words in the scripts of India and South-East Asia; the soft hyphen
# and the zero-width joiners stand inside words and are dropped by _folded.
_MARKS: Final = (
    "\u00ad\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f"
    "\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0711\u0730-\u074a\u07a6-\u07b0\u0900-\u0963"
    "\u0966-\u096f\u0971-\u0df3\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u0f18\u0f19"
    "\u0f71-\u0f84\u0f90-\u0fbc\u102b-\u103e\u1056-\u1059\u105e-\u1060\u1062-\u1064\u1067-\u106d\u1071-\u1074"
    "\u1082-\u108d\u109a-\u109d\u17b4-\u17d3\u17dd\u200c\u200d"
)
_WORD: Final = re.compile(rf"[\w{_MARKS}]+")
_DROPPED: Final = re.compile(
    "[\u00ad\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed\u200c\u200d]+"
)
_UNSPACED: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
_HANGUL: Final = "\u1100-\u11ff\uac00-\ud7a3"
_RUN: Final = re.compile(rf"([{_UNSPACED}]+)|([{_HANGUL}]+)|[^{_UNSPACED}{_HANGUL}]+")
_HAS_UNSPACED: Final = re.compile(f"[{_UNSPACED}{_HANGUL}\uff66-\uff9f]")
_PART: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_CAMEL: Final = re.compile(r"[a-z][A-Z]|[A-Z]{2}[a-z]|_")

_STRETCH_LENGTH: Final = 256
# Characters that never combine with what stands before them, so that a text may be normalised in parts between them.
_STARTERS: Final = (
    "\u0000-\u007f\u00a0\u00c0-\u024f\u0370-\u0482\u048a-\u0556\u05d0-\u05ea\u0621-\u064a\u0905-\u0939\u0e01-\u0e30"
    "\u2010-\u2027\u3001-\u3029\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff5e"
)
_STRETCH: Final = re.compile(
    rf"(?s:.{{1,{_STRETCH_LENGTH}}}(?=[{_STARTERS}]|\Z)|.{{{_STRETCH_LENGTH}}})",
)

_FUNCTION_WORDS: Final = (
    "a about after again all also am an and any are as at be because been before being between both but by can "
    "could did do does doing done down during each few for from further get had has have having he her here hers "
    "him his how i if in into is it its just me more most my no nor not of off on once only or other our out over "
    "own same she should so some such than that the their them then there these they this those through to too "
    "under until up us very was we were what when where which while who whom why will with would you your yours "
    "tell please give show explain describe say mean s t d ll m re ve "
)


def tokenise(text: str) -> list[str]:
    """Return the search terms of ``text`` in order, repeated as often as they occur.

    Linear in the length of the text; about 0.2 s for a megabyte of English. The same terms whatever the platform.
    """
    words = _ASCII_WORD.findall(text) if text.isascii() else _WORD.findall(_normalised("NFKC", text))
    return [term for word in words for term in (_kept(word) if len(word) <= 32 else _terms(word))]


def words(text: str) -> Iterator[tuple[int, int]]:
    """Give where the words of a text begin and end, as they stand there."""
    return (match.span() for match in _WORD.finditer(text))


def unspaced(word: str) -> bool:
    """Tell whether a word is in a script that puts no spaces between words, at least in part."""
    return _HAS_UNSPACED.search(word) is not None


def content_terms(text: str) -> frozenset[str]:
    """Return the different terms of ``text`` that carry meaning: without English function words."""
    return frozenset(tokenise(text)) - _STOP_TERMS


def _terms(word: str) -> tuple[str, ...]:
    """Return the terms of one word in NFKC."""
    if word.isascii():
        return _ascii_terms(word[:_LONGEST])
    # Casefolding can undo the normal form; the second NFKC restores it (Unicode 16, section 3.13.5).
    folded = _folded(_normalised("NFKC", word.casefold()))
    if folded.isascii():
        return _prefixed(stem(folded[:_LONGEST]), folded)
    terms: list[str] = []
    for run in _RUN.finditer(folded):
        terms.extend(_run_terms(run))
    return tuple(terms)


_kept = lru_cache(maxsize=1 << 16)(_terms)


def _ascii_terms(word: str) -> tuple[str, ...]:
    lower = word.lower()
    if not _CAMEL.search(word):
        return (stem(lower),)
    whole = stem(lower.strip("_"))
    parts = [stem(part.lower()) for part in _PART.findall(word)]
    return (whole, *parts) if len(parts) > 1 else (whole,) if whole else ()


def _folded(word: str) -> str:
    """Return ``word`` without diacritics and invisible characters; vowel signs of Indic scripts stay."""
    return _normalised("NFC", _DROPPED.sub("", _normalised("NFD", word)))


def _normalised(form: Literal["NFC", "NFD", "NFKC"], text: str) -> str:
    """Return a text in a normal form, in time that is linear in its length.

    Putting a run of combining marks in order takes the square of the run's length, so long texts are normalised in
    stretches, which end before a character that combines with nothing; only in the middle of hundreds of marks, which
    no word has, are they cut elsewhere.
    """
    if len(text) <= _STRETCH_LENGTH:
        return unicodedata.normalize(form, text)
    return "".join(unicodedata.normalize(form, stretch) for stretch in _STRETCH.findall(text))


def _run_terms(run: re.Match[str]) -> tuple[str, ...]:
    """Return the terms of a stretch of letters of one kind."""
    text = run.group()
    if run.group(1):
        return _bigrams(text)
    if run.group(2):
        return (text[:_LONGEST], *(_bigrams(text) if len(text) > 2 else ()))
    word = text.strip("_")[:_LONGEST]
    if not word:
        return ()
    return (stem(word),) if word.isascii() else _prefixed(word, word)


def _prefixed(term: str, word: str) -> tuple[str, ...]:
    prefix = word[:_PREFIX]
    return (term, prefix) if len(word) > _PREFIX and prefix != term else (term,) if term else ()


def _bigrams(text: str) -> tuple[str, ...]:
    return tuple(text[at : at + 2] for at in range(len(text) - 1)) or (text,)


_STOP_TERMS: Final = frozenset(tokenise(_FUNCTION_WORDS))
