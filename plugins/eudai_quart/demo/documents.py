"""What the demo is about: the documents that it was given, or eudai's own."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eudai_quart.demo.failure import DemoFailed

__all__ = ["Document", "Questions", "collect", "questions_about"]

SUFFIXES: Final = frozenset({".md", ".markdown", ".txt", ".rst"})
MOST: Final = 20
LARGEST: Final = 2 * 1024 * 1024
SHORTEST: Final = 200
_HEADING: Final = re.compile(r"^#{1,3}\s+(.{3,80}?)\s*#*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Document:
    """A file to upload."""

    name: str
    content: bytes

    def topics(self) -> Sequence[str]:
        """Return what it is about: its headings, or else its name."""
        text = self.content.decode("utf-8", "replace")
        headings = [match.strip("`*_ ") for match in _HEADING.findall(text)]
        return headings or [Path(self.name).stem.replace("-", " ").replace("_", " ")]


@dataclass(frozen=True, slots=True)
class Questions:
    """Two questions that stand alone, and a third that only the conversation explains."""

    first: str
    second: str
    follow_up: str


OWN: Final = Questions(
    "What is eudai, and who is it for?",
    "Which databases can eudai keep its data in?",
    "Which of these two is meant for production?",
)


def collect(paths: Sequence[Path]) -> tuple[Sequence[Document], Questions]:
    """Return the documents at ``paths`` (files, or directories of texts), or eudai's own, and what to ask about them.

    Raises:
        DemoFailed: there is nothing to read.
    """
    if paths:
        documents = [_read(path) for path in _files(paths)[:MOST]]
        return _some(documents, "There is no text file there."), questions_about(documents)
    return _some(_own(), "eudai's own documents are not installed: give files, as in `eudai demo notes.md`."), OWN


def questions_about(documents: Sequence[Document]) -> Questions:
    """Return questions about documents that nobody read before."""
    topics = list(dict.fromkeys(topic for document in documents for topic in document.topics()))
    first = topics[0] if topics else "the subject"
    second = topics[1] if len(topics) > 1 else f"the details of {first}"
    return Questions(
        f"What do the documents say about {first}?",
        f"What do they say about {second}?",
        "Tell me more about the first of these two.",
    )


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(one for one in path.rglob("*") if one.suffix in SUFFIXES and one.is_file())
        else:
            found.append(path)
    return found


def _read(path: Path) -> Document:
    if path.stat().st_size == 0:
        raise DemoFailed(f"{path.name} is empty.")
    return Document(path.name, path.read_bytes())


def _own() -> list[Document]:
    documents = []
    readme = importlib.metadata.metadata("eudai").json.get("description")
    if isinstance(readme, str) and len(readme) >= SHORTEST:
        documents.append(Document("README.md", readme.encode()))
    # A checkout has the documents beside the packages.
    directory = Path(__file__).parents[3] / "docs"
    for path in _files([directory]) if directory.is_dir() else []:
        if SHORTEST <= path.stat().st_size <= LARGEST:
            documents.append(Document(path.relative_to(directory).as_posix().replace("/", "-"), path.read_bytes()))
    return documents


def _some(documents: Sequence[Document], otherwise: str) -> Sequence[Document]:
    if not documents:
        raise DemoFailed(otherwise)
    return documents
