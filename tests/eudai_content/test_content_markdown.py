"""Markdown: the text unchanged, in parts that know their heading."""

from __future__ import annotations

from pathlib import Path

import pytest

from eudai_content import markdown
from eudai_core.model import Block


def read(tmp_path: Path, text: str) -> list[Block]:
    path = tmp_path / "file.md"
    path.write_text(text, encoding="utf-8")
    blocks = list(markdown.read(str(path)))
    assert "".join(block.text for block in blocks) == text
    return blocks


def outline(tmp_path: Path, text: str) -> list[tuple[str | None, int | None]]:
    return [(block.heading, block.line) for block in read(tmp_path, text)]


def test_a_part_for_each_heading(tmp_path: Path) -> None:
    text = "before\n\n# One #\ntext\n\n## Two: `code`\n\nmore\n### C#\n"
    assert outline(tmp_path, text) == [(None, 1), ("One", 3), ("Two: `code`", 6), ("C#", 9)]


@pytest.mark.parametrize("line", ["#no space", "    # code", "\\# escaped", "####### seven", "text # not at the start"])
def test_no_headings(tmp_path: Path, line: str) -> None:
    assert outline(tmp_path, f"{line}\n") == [(None, 1)]


def test_an_empty_heading_ends_the_part(tmp_path: Path) -> None:
    assert outline(tmp_path, "# A\nx\n#\ny\n") == [("A", 1), (None, 3)]


def test_underlined_headings(tmp_path: Path) -> None:
    text = "intro\n\nTitle\n=====\nbody\n\nSecond\n---\nend\n"
    assert outline(tmp_path, text) == [(None, 1), ("Title", 3), ("Second", 7)]
    assert outline(tmp_path, "Title\n===\n") == [("Title", 1)]


@pytest.mark.parametrize(
    "text",
    [
        "---\ntitle: front matter\n---\n\ntext\n",
        "- item\n---\n",
        "> quotation\n---\n",
        "1. item\n---\n",
        "| a | b |\n---\n",
        "text\n\n---\n",
        "two lines\nof text\n---\n",
        "===\n",
    ],
)
def test_lines_that_underline_nothing(tmp_path: Path, text: str) -> None:
    assert {heading for heading, _ in outline(tmp_path, text)} == {None}


@pytest.mark.parametrize(
    ("opening", "closing"), [("```", "```"), ("~~~ python", "~~~"), ("````", "`````"), ("   ```sh", "```  ")]
)
def test_code_holds_no_headings(tmp_path: Path, opening: str, closing: str) -> None:
    text = f"# A\n{opening}\n# comment\n```x\nTitle\n===\n{closing}\n# B\n"
    headings = [heading for heading, _ in outline(tmp_path, text)]
    assert headings == ["A", "B"]


def test_a_fence_that_is_never_closed_goes_to_the_end(tmp_path: Path) -> None:
    assert outline(tmp_path, "# A\n```\n# not B\n") == [("A", 1)]


def test_long_parts_come_in_pieces_under_one_heading(tmp_path: Path) -> None:
    text = "# Long\n" + "".join(f"line {number}\n" for number in range(20_000))
    blocks = read(tmp_path, text)
    assert len(blocks) > 2
    assert {block.heading for block in blocks} == {"Long"}
    assert all(text.split("\n")[(block.line or 0) - 1] == block.text.split("\n")[0] for block in blocks)
