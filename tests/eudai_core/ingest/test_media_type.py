"""Media types: by content first, by name only among texts."""

from __future__ import annotations

import io
import zipfile

import pytest

from eudai_core.ingest import sniff

OFFICE = "application/vnd.openxmlformats-officedocument."


def archive(*names: str, first: tuple[str, bytes] | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        if first:
            made.writestr(zipfile.ZipInfo(first[0]), first[1])
        for name in names:
            made.writestr(name, b"content " * 50)
    return buffer.getvalue()[:4096]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"%PDF-1.7\n%\xe2\xe3", "application/pdf"),
        (b"junk before\n%PDF-1.4\n", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
        (b"GIF89a\1\0\1\0", "image/gif"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
        (b"\0\0\0\x18ftypmp42\0\0", "video/mp4"),
        (b"\0\0\0\x18ftypheic\0\0", "image/heic"),
        (b"\x1f\x8b\x08\0", "application/gzip"),
        (b"BZh91AY", "application/x-bzip2"),
        (b"\xfd7zXZ\0", "application/x-xz"),
        (b"7z\xbc\xaf\x27\x1c\0", "application/x-7z-compressed"),
        (b"Rar!\x1a\x07\x01\0", "application/vnd.rar"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
        (b"\x7fELF\x02\x01\x01\0", "application/x-executable"),
        (b"SQLite format 3\0", "application/vnd.sqlite3"),
        (b"{\\rtf1\\ansi", "application/rtf"),
        (b"\0asm\1\0\0\0", "application/wasm"),
        (b"OggS\0\2", "audio/ogg"),
        (b"MZ\x90\0\3\0\0\0", "application/octet-stream"),
        (b"\1\2\3\4\5\6", "application/octet-stream"),
    ],
)
@pytest.mark.parametrize("name", ["file", "notes.md", "photo.JPG", ".."])
def test_content_decides(head: bytes, expected: str, name: str) -> None:
    assert sniff(name, head) == expected


@pytest.mark.parametrize(
    ("head", "name", "expected"),
    [
        (archive("a.txt"), "x.zip", "application/zip"),
        (archive("a.txt"), "x.docx", "application/zip"),
        (archive("[Content_Types].xml", "word/document.xml"), "x", OFFICE + "wordprocessingml.document"),
        (archive("[Content_Types].xml", "xl/workbook.xml"), "x.docx", OFFICE + "spreadsheetml.sheet"),
        (archive("[Content_Types].xml", "ppt/slides"), "x", OFFICE + "presentationml.presentation"),
        (archive("[Content_Types].xml", "_rels/.rels"), "x.PPTX", OFFICE + "presentationml.presentation"),
        (archive("META-INF/container.xml", first=("mimetype", b"application/epub+zip")), "x", "application/epub+zip"),
        (archive("c", first=("mimetype", b"text/html")), "x", "application/zip"),
        (archive("c", first=("mimetype", b"application/\xff")), "x", "application/zip"),
    ],
)
def test_zip_archives_are_told_apart(head: bytes, name: str, expected: str) -> None:
    assert sniff(name, head) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("README.md", "text/markdown"),
        ("README.MD", "text/markdown"),
        ("main.py", "text/x-python"),
        ("data.csv", "text/csv"),
        ("notebook.ipynb", "application/x-ipynb+json"),
        ("notes.txt", "text/plain"),
        ("Makefile", "text/plain"),
        ("md", "text/plain"),
        ("photo.png", "text/plain"),
        ("../../etc/passwd", "text/plain"),
        ("", "text/plain"),
        ("a.b.json", "application/json"),
    ],
)
def test_the_name_decides_among_texts(name: str, expected: str) -> None:
    assert sniff(name, b"some words\n") == expected


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"<!DOCTYPE html><html>", "text/html"),
        (b"\xef\xbb\xbf\n <HTML lang=en>", "text/html"),
        (b"<?xml version='1.0'?>", "application/xml"),
        ("Grüße".encode("utf-16"), "text/plain"),
        ("Grüße".encode("cp1252"), "text/plain"),
        (b"", "text/plain"),
    ],
)
def test_text_without_a_telling_name(head: bytes, expected: str) -> None:
    assert sniff("file", head) == expected


def test_the_table_of_utf_16_is_not_taken_for_binary() -> None:
    assert sniff("notes.md", "# Größe".encode("utf-16")) == "text/markdown"
