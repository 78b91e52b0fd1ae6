"""Plain text: encodings, line ends, positions, and what is none."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from eudai_content import text
from eudai_content.encoding import detect
from eudai_core.errors import BadFile


def read(tmp_path: Path, data: bytes) -> str:
    path = tmp_path / "file"
    path.write_bytes(data)
    return "".join(block.text for block in text.read(str(path)))


SAMPLE = "Grüße, “quoted” – 10 €\nsecond line\n"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (SAMPLE.encode("utf-8"), "utf-8"),
        (SAMPLE.encode("utf-8-sig"), "utf-8-sig"),
        (SAMPLE.encode("utf-16"), "utf-16"),
        (codecs.BOM_UTF16_BE + SAMPLE.encode("utf-16-be"), "utf-16"),
        (SAMPLE.encode("utf-32"), "utf-32"),
        (codecs.BOM_UTF32_BE + SAMPLE.encode("utf-32-be"), "utf-32"),
        (SAMPLE.encode("cp1252"), "cp1252"),
    ],
)
def test_encodings(tmp_path: Path, data: bytes, encoding: str) -> None:
    assert read(tmp_path, data) == SAMPLE
    assert detect(str(tmp_path / "file")) == encoding


def test_bytes_that_windows_1252_does_not_know_are_latin_1(tmp_path: Path) -> None:
    assert read(tmp_path, b"na\xefve \x81 text") == "naïve \x81 text"


def test_a_character_across_the_pieces_of_the_check_is_no_damage(tmp_path: Path) -> None:
    data = b"x" * ((1 << 20) - 1) + "é".encode() + b"tail"
    assert read(tmp_path, data).endswith("xétail")


def test_half_a_character_at_the_end_is_no_utf_8(tmp_path: Path) -> None:
    assert read(tmp_path, b"abc\xc3") == "abcÃ"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_line_ends_become_line_feeds(tmp_path: Path, end: bytes) -> None:
    assert read(tmp_path, end.join([b"one", b"two", b"", b"four"])) == "one\ntwo\n\nfour"


@pytest.mark.parametrize(
    "data",
    [
        b"text and \0 more",
        b"\x7fELF\x02\x01\x01\0\0\0",
        b"\x01\x02\x03\x04" * 50 + b"text",
        codecs.BOM_UTF16_LE + "nul \0 inside".encode("utf-16-le"),
    ],
)
def test_binary_is_told(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(BadFile, match="binary"):
        read(tmp_path, data)


@pytest.mark.parametrize(
    "data", [codecs.BOM_UTF16_LE + b"a\0b", codecs.BOM_UTF8 + b"a\xff", codecs.BOM_UTF16_LE + b"\0\xd8a\0"]
)
def test_a_broken_promise_is_told(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(BadFile, match=r"not valid UTF-(8|16)\."):
        read(tmp_path, data)


def test_colours_and_form_feeds_are_text(tmp_path: Path) -> None:
    data = b"\x1b[31mred\x1b[0m\f\n" * 10
    assert read(tmp_path, data) == data.decode()


def test_nothing_is_no_block(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.write_bytes(b"")
    assert list(text.read(str(path))) == []


def test_blocks_begin_on_the_lines_they_say(tmp_path: Path) -> None:
    lines = [f"line {number} {'x' * (number % 300)}" for number in range(1, 3000)]
    path = tmp_path / "file"
    path.write_text("\n".join(lines))
    blocks = list(text.read(str(path)))
    assert len(blocks) > 3
    assert all(len(block.text) <= 1 << 16 for block in blocks)
    for block in blocks:
        assert block.line is not None
        assert block.text.startswith(lines[block.line - 1])
    assert "".join(block.text for block in blocks) == "\n".join(lines)


def test_a_line_without_end_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x" * 1_000_000 + "\nlast")
    blocks = list(text.read(str(path)))
    assert max(len(block.text) for block in blocks) <= 1 << 16
    assert {block.line for block in blocks[:-1]} == {1}
    assert "".join(block.text for block in blocks) == "x" * 1_000_000 + "\nlast"
