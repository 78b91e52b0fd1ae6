"""What kind of file it is: told by its first bytes; the name only decides between kinds of text.

The signatures are those of the formats' own specifications.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["BINARY", "HEAD_BYTES", "PLAIN_TEXT", "sniff"]

HEAD_BYTES: Final = 4096
"""How many first bytes are enough."""
BINARY: Final = "application/octet-stream"
PLAIN_TEXT: Final = "text/plain"

_DECLARED: Final = re.compile(rb"application/[A-Za-z0-9.+_-]{1,100}")
"""What a ``mimetype`` entry may say: it becomes a header of the download."""
_MAGIC: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftyp", "video/mp4"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"\0asm", "application/wasm"),
    (0, b"{\\rtf", "application/rtf"),
    (0, b"%!PS", "application/postscript"),
)
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
_ZIPPED: Final[tuple[tuple[bytes, str, str], ...]] = (
    (b"word/", "docx", _OFFICE + "wordprocessingml.document"),
    (b"xl/", "xlsx", _OFFICE + "spreadsheetml.sheet"),
    (b"ppt/", "pptx", _OFFICE + "presentationml.presentation"),
)
_TEXT_BY_EXTENSION: Final = {
    "md": "text/markdown",
    "markdown": "text/markdown",
    "rst": "text/x-rst",
    "html": "text/html",
    "htm": "text/html",
    "xhtml": "text/html",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "eml": "message/rfc822",
    "ipynb": "application/x-ipynb+json",
    "json": "application/json",
    "jsonl": "application/json",
    "xml": "application/xml",
    "svg": "image/svg+xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "toml": "application/toml",
    "sql": "application/sql",
    "css": "text/css",
    "js": "text/javascript",
    "mjs": "text/javascript",
    "jsx": "text/javascript",
    "ts": "text/x-typescript",
    "tsx": "text/x-typescript",
    "py": "text/x-python",
    "pyi": "text/x-python",
    "c": "text/x-c",
    "h": "text/x-c",
    "cc": "text/x-c++",
    "cpp": "text/x-c++",
    "hpp": "text/x-c++",
    "cs": "text/x-csharp",
    "go": "text/x-go",
    "rs": "text/x-rust",
    "java": "text/x-java",
    "kt": "text/x-kotlin",
    "swift": "text/x-swift",
    "rb": "text/x-ruby",
    "php": "text/x-php",
    "pl": "text/x-perl",
    "lua": "text/x-lua",
    "r": "text/x-r",
    "scala": "text/x-scala",
    "sh": "text/x-shellscript",
    "bash": "text/x-shellscript",
    "ps1": "text/x-powershell",
    "tex": "text/x-tex",
    "ini": "text/x-ini",
    "cfg": "text/x-ini",
    "diff": "text/x-diff",
    "patch": "text/x-diff",
}
_TEXT_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
_CONTROLS: Final = bytes(byte for byte in range(32) if byte not in b"\t\n\v\f\r\b\x1b") + b"\x7f"


def sniff(filename: str, head: bytes) -> str:
    """Return the media type of a file with this name whose first ``HEAD_BYTES`` bytes, or all, are ``head``."""
    extension = filename.rpartition(".")[2].lower() if "." in filename else ""
    if b"%PDF-" in head[:1024]:  # readers accept it anywhere in there (ISO 32000-1, annex H)
        return "application/pdf"
    if head.startswith(b"PK\x03\x04"):
        return _zipped(extension, head)
    for offset, magic, media_type in _MAGIC:
        if head.startswith(magic, offset):
            return media_type
    return _text(extension, head) if _is_text(head) else BINARY


def _zipped(extension: str, head: bytes) -> str:
    """Tell the formats that are zip archives by the names and the ``mimetype`` entry near their beginning."""
    if head[30:38] == b"mimetype":
        length = int.from_bytes(head[28:30], "little")
        declared = head[38 + length :].split(b"PK", 1)[0].strip()
        if _DECLARED.fullmatch(declared):
            return declared.decode("ascii")
    if b"[Content_Types].xml" in head or b"_rels/.rels" in head:
        for folder, _, media_type in _ZIPPED:
            if folder in head:
                return media_type
        for _, usual_extension, media_type in _ZIPPED:  # its folder comes later in the archive
            if extension == usual_extension:
                return media_type
    return "application/zip"


def _is_text(head: bytes) -> bool:
    if head.startswith(_TEXT_MARKS):
        return True
    controls = len(head) - len(head.translate(None, _CONTROLS))
    return b"\0" not in head and controls <= len(head) * 0.05


def _text(extension: str, head: bytes) -> str:
    if extension in _TEXT_BY_EXTENSION:
        return _TEXT_BY_EXTENSION[extension]
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "text/html"
    if start.startswith(b"<?xml"):
        return "application/xml"
    return PLAIN_TEXT
