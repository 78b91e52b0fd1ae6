"""Citation marks: found, placed, and checked against what they name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eudai_core.context import check_citations
from eudai_core.model import Segment
from support.prompts import file_segment, passage_segment

SEGMENTS: list[Segment] = [
    file_segment("0000000", "Eudai is a chat server. It listens on port 8000\nby default."),
    passage_segment("1111111", 4, 'Backups are made at night. He said "never stop" and left the office.'),
]


def verdicts(answer: str) -> list[tuple[str, int | None, str]]:
    return [(c.id, c.segment, c.verdict) for c in check_citations(answer, SEGMENTS)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("It listens on port 8000 by default [f0000000].", [("f0000000", 0, "verified")]),
        ("It listens on port 8000 by default. [f0000000] More.", [("f0000000", 0, "verified")]),
        ("The docs say “It listens on port 8000 by default.” [f0000000]", [("f0000000", 0, "verified")]),
        ("They write “He said \"never stop\" and left” [f1111111:4]", [("f1111111:4", 1, "verified")]),
        ("By default the server listens on port 8000 [f0000000].", [("f0000000", 0, "paraphrase")]),
        ("Bananas grow in warm countries [f0000000].", [("f0000000", 0, "not_found")]),
        ("It listens on port 8000 by default [f2222222:1].", [("f2222222:1", None, "not_found")]),
        ("Port 8000 [f0000000:7].", [("f0000000:7", 0, "verified")]),
        ("Backups are made at night [f1111111:4, f0000000].",
         [("f1111111:4", 1, "verified"), ("f0000000", 0, "not_found")]),
        ("Backups are made at night [f1111111:4] and it listens on port 8000 [f0000000].",
         [("f1111111:4", 1, "verified"), ("f0000000", 0, "paraphrase")]),
        ("[f0000000]", [("f0000000", 0, "not_found")]),
        ("See [1] and [this](url) and a[i].", []),
        ("", []),
    ],
)  # fmt: skip
def test_verdicts(answer: str, expected: list[tuple[str, int | None, str]]) -> None:
    assert verdicts(answer) == expected


def test_a_citation_tells_its_place_and_the_sentence_before_it() -> None:
    answer = "First. It listens on port 8000 by default [f0000000]."
    (citation,) = check_citations(answer, SEGMENTS)
    assert answer[citation.start : citation.end] == "[f0000000]"
    assert citation.quote == "It listens on port 8000 by default"


@given(
    st.lists(
        st.sampled_from(["[f0000000]", "[f1111111:4,f0000000]", "Port 8000. ", "\n\n", '"“x”', " and ", "[", "# h\n"])
    )
)
def test_marks_are_where_they_say(parts: list[str]) -> None:
    answer = "".join(parts)
    for citation in check_citations(answer, SEGMENTS):
        mark = answer[citation.start : citation.end]
        assert mark.startswith("[")
        assert mark.endswith("]")
        assert citation.id in mark
        assert citation.verdict in {"verified", "paraphrase", "not_found"}
