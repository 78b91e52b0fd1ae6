"""One text out of many blocks."""

from __future__ import annotations

import pytest

from eudai_core.errors import BadFile
from eudai_core.ingest.joining import MAX_CHARACTERS, join
from eudai_core.model import Block, Passage


@pytest.mark.parametrize(
    ("blocks", "text"),
    [
        ([Block("one"), Block("two")], "one\n\ntwo"),
        ([Block("page 1", page=1), Block("page 2", page=2)], "page 1\n\npage 2"),
        ([Block("one\n", line=1), Block("two", line=2)], "one\ntwo"),
        ([Block("one", line=1), Block("four", line=4)], "one\n\n\nfour"),
        ([Block("a long ", line=1), Block("line", line=1)], "a long line"),
        ([Block("two\nlines", line=1), Block("back", line=1)], "two\nlines\n\nback"),
        ([Block("line", line=3), Block("none")], "line\n\nnone"),
        ([Block("starts later", line=7)], "starts later"),
    ],
)
def test_where_blocks_stand(blocks: list[Block], text: str) -> None:
    assert join(blocks).text == text


def test_lines_of_the_text_are_lines_of_the_file() -> None:
    blocks = [Block("a\nb", line=1), Block("e", line=5), Block("f\n\nh\n", line=6), Block("j", line=10)]
    assert join(blocks).text.split("\n") == ["a", "b", "", "", "e", "f", "", "h", "", "j"]


def test_what_a_database_refuses_is_replaced() -> None:
    joined = join([Block("nul \0, surrogate \ud800\udfff, returns\r\nand\rmore", heading="\udfff")])
    assert joined.text == "nul \ufffd, surrogate \ufffd\ufffd, returns\nand\nmore"
    assert joined.headings == ["\ufffd"]
    joined.text.encode("utf-8")


@pytest.mark.parametrize("blocks", [[], [Block("")], [Block(" \n\t"), Block("\n")]])
def test_no_text_is_told(blocks: list[Block]) -> None:
    with pytest.raises(BadFile, match="No text"):
        join(blocks)


def test_a_line_number_out_of_this_world_is_no_bomb() -> None:
    with pytest.raises(BadFile, match="more text"):
        join([Block("first", line=1), Block("last", line=10**15)])


def test_too_much_text_is_told() -> None:
    with pytest.raises(BadFile, match="more text"):
        join([Block("x" * (MAX_CHARACTERS // 2))] * 3)


def test_passages_get_the_heading_of_the_block_they_begin_in() -> None:
    joined = join([Block("intro"), Block("first part", heading="One"), Block("second", heading="Two")])
    starts = [0, joined.text.index("part"), joined.text.index("second")]
    passages = [Passage(number, start, start + 4, "text") for number, start in enumerate(starts)]
    own = Passage(3, 0, 4, "text", "its own")
    assert [passage.heading for passage in joined.name_passages([*passages, own])] == ["", "One", "Two", "its own"]
