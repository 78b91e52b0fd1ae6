"""Stems of English words, by the Porter2 rules (M. F. Porter, "The English (Porter2) stemming algorithm", 2002)."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["stem"]

_SPECIAL: Final = {
    "skis": "ski",
    "skies": "sky",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    "idly": "idl",
    "gently": "gentl",
    "ugly": "ugli",
    "early": "earli",
    "only": "onli",
    "singly": "singl",
}
_FIXED: Final = frozenset(["sky", "news", "howe", "atlas", "cosmos", "bias", "andes"])
_FIXED_AFTER_PLURAL: Final = frozenset(
    ["inning", "outing", "canning", "herring", "earring", "proceed", "exceed", "succeed"]
)
_REGION: Final = re.compile(r"[aeiouy][^aeiouy]")
_REGION_PREFIX: Final = re.compile(r"gener|commun|arsen")
_VOWEL: Final = re.compile(r"[aeiouy]")
_SHORT_END: Final = re.compile(r"(?:[^aeiouy][aeiouy][^aeiouywxY]|^[aeiouy][^aeiouy])\Z")
_DOUBLE_END: Final = re.compile(r"(?:bb|dd|ff|gg|mm|nn|pp|rr|tt)\Z")
_CONSONANT_Y: Final = re.compile(r"(?:^|(?<=[aeiouy]))y")

# Longest suffix first within each step; the first that fits decides, whether or not its condition then holds.
_STEP2: Final = (
    ("ational", "ate"),
    ("fulness", "ful"),
    ("iveness", "ive"),
    ("ization", "ize"),
    ("ousness", "ous"),
    ("biliti", "ble"),
    ("lessli", "less"),
    ("tional", "tion"),
    ("alism", "al"),
    ("aliti", "al"),
    ("ation", "ate"),
    ("entli", "ent"),
    ("fulli", "ful"),
    ("iviti", "ive"),
    ("ousli", "ous"),
    ("abli", "able"),
    ("alli", "al"),
    ("anci", "ance"),
    ("ator", "ate"),
    ("enci", "ence"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("ogi", "og"),
    ("li", ""),
)
_STEP3: Final = (
    ("ational", "ate"),
    ("tional", "tion"),
    ("alize", "al"),
    ("ative", ""),
    ("icate", "ic"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ness", ""),
    ("ful", ""),
)
_STEP4: Final = (
    "ement",
    "able",
    "ance",
    "ence",
    "ible",
    "ment",
    "ant",
    "ate",
    "ent",
    "ion",
    "ism",
    "iti",
    "ive",
    "ize",
    "ous",
    "al",
    "er",
    "ic",
)


def stem(word: str) -> str:
    """Return the stem of a lower-case ASCII word; anything of at most two letters is its own stem."""
    if len(word) <= 2 or word in _FIXED:
        return word
    if word in _SPECIAL:
        return _SPECIAL[word]
    if "y" in word:
        word = _CONSONANT_Y.sub("Y", word)
    r1, r2 = _regions(word)
    word = _plural(word)
    if word in _FIXED_AFTER_PLURAL:
        return word
    word = _past(word, r1)
    if len(word) > 2 and word[-1] in "yY" and word[-2] not in "aeiouy":
        word = word[:-1] + "i"
    word = _derived(word, r1, r2)
    return _final(word, r1, r2).lower()


def _regions(word: str) -> tuple[int, int]:
    """Return where the regions R1 and R2 of the algorithm begin."""
    prefix = _REGION_PREFIX.match(word)
    first = prefix or _REGION.search(word)
    r1 = first.end() if first else len(word)
    second = _REGION.search(word, r1)
    return r1, second.end() if second else len(word)


def _plural(word: str) -> str:
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith(("ied", "ies")):
        return word[:-2] if len(word) > 4 else word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")) and _VOWEL.search(word[:-2]):
        return word[:-1]
    return word


def _past(word: str, r1: int) -> str:
    for suffix in ("eedly", "eed"):
        if word.endswith(suffix):
            start = len(word) - len(suffix)
            return word[:start] + "ee" if start >= r1 else word
    for suffix in ("ingly", "edly", "ing", "ed"):
        if word.endswith(suffix):
            base = word[: -len(suffix)]
            return _repaired(base, r1) if _VOWEL.search(base) else word
    return word


def _repaired(base: str, r1: int) -> str:
    """Put back the ``e``, or take away the double letter, that a removed ``-ed`` or ``-ing`` left."""
    if base.endswith(("at", "bl", "iz")):
        return base + "e"
    if _DOUBLE_END.search(base):
        return base[:-1]
    if len(base) <= r1 and _SHORT_END.search(base):
        return base + "e"
    return base


def _derived(word: str, r1: int, r2: int) -> str:
    """Apply steps 2, 3 and 4: derivational endings."""
    for suffix, replacement in _STEP2:
        if word.endswith(suffix):
            start = len(word) - len(suffix)
            if start >= r1 and _step2_allows(word[:start], suffix):
                word = word[:start] + replacement
            break
    for suffix, replacement in _STEP3:
        if word.endswith(suffix):
            start = len(word) - len(suffix)
            if start >= (r2 if suffix == "ative" else r1):
                word = word[:start] + replacement
            break
    for suffix in _STEP4:
        if word.endswith(suffix):
            start = len(word) - len(suffix)
            if start >= r2 and (suffix != "ion" or word[:start].endswith(("s", "t"))):
                word = word[:start]
            break
    return word


def _step2_allows(base: str, suffix: str) -> bool:
    if suffix == "ogi":
        return base.endswith("l")
    return suffix != "li" or base.endswith(tuple("cdeghkmnrt"))


def _final(word: str, r1: int, r2: int) -> str:
    end = len(word) - 1
    if word.endswith("e"):
        if end >= r2 or (end >= r1 and not _SHORT_END.search(word[:-1])):
            return word[:-1]
    elif word.endswith("ll") and end >= r2:
        return word[:-1]
    return word
