r"""Lines are cut at \n and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eudai_ollama.lines import Lines, LineTooLongError


def test_other_line_ends_are_text() -> None:
    lines = Lines()
    text = "a\x85b\u2028c\x0bd\re".encode()
    assert lines.feed(text + b"\n\n  \nx") == [text]
    assert lines.rest() == b"x"
    assert lines.rest() == b""


@given(st.lists(st.binary(min_size=1).filter(lambda line: b"\n" not in line and not line.isspace())), st.data())
def test_lines_are_the_same_however_they_are_cut(wanted: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(line + b"\n" for line in wanted)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)))))
    lines, found = Lines(), []
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        found += lines.feed(whole[start:end])
    assert found == wanted
    assert lines.rest() == b""


def test_lines_have_a_bound() -> None:
    lines = Lines(limit=10)
    assert lines.feed(b"12345") == []
    with pytest.raises(LineTooLongError):
        lines.feed(b"678901\n")
    with pytest.raises(LineTooLongError):
        Lines(limit=10).feed(b"12345678901")
