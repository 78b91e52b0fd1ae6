"""Reading one stored document: bytes to a file, the file to text, the text to passages and a count of tokens."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from eudai_core.contracts import TextExtractor
from eudai_core.errors import BadFile, NotFound, StorageUnavailable, Unavailable
from eudai_core.ingest.extraction import DEFAULT_LIMITS, ExtractionLimits, extract
from eudai_core.ingest.joining import JoinedText, join
from eudai_core.model import DocumentVersion, Passage
from eudai_core.plugins import PluginHost
from eudai_core.plugins.roles import BLOB_STORES, CHUNKERS, TEXT_EXTRACTORS, TOKENIZERS

__all__ = ["DocumentReader", "Reading", "find_extractor"]

_ESTIMATE = "estimate"
_CHARACTERS_PER_TOKEN = 3


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read out of a version."""

    text: str
    tokens: int
    passages: Sequence[Passage]


def find_extractor(extractors: Mapping[str, TextExtractor], media_type: str) -> TextExtractor | None:
    """Return the extractor that names the type itself, else one that names its family (``text/*``), else None."""
    for wanted in (media_type, media_type.partition("/")[0] + "/*"):
        for extractor in extractors.values():
            if wanted in extractor.media_types:
                return extractor
    return None


class DocumentReader:
    """Reads versions with the extractors, chunker and tokenizer of the host."""

    def __init__(self, host: PluginHost, limits: ExtractionLimits = DEFAULT_LIMITS) -> None:
        """Read within ``limits``."""
        self._host = host
        self._limits = limits

    async def read(self, name: str, version: DocumentVersion) -> Reading:
        """Return the text, passages and tokens of a version of the document that people know by ``name``.

        Raises:
            BadFile: it cannot be read, now or later, with the reason.
            Unavailable: it cannot be read now.
        """
        extractor = find_extractor(self._host.all(TEXT_EXTRACTORS), version.media_type)
        if extractor is None:
            raise BadFile(
                f"There is no text extractor for {version.media_type}: the file is kept and can be downloaded, "
                "but answers cannot use it."
            )
        async with self._copied(version) as path:
            # A file that breaks its parser is the file's fault: counted against the plugin, one hostile upload
            # would switch the type off for everybody.
            blocks = await extract(extractor.target, path, self._limits)
        joined = await self._host.run_blocking(join, blocks)
        return await self._host.run_blocking(self._cut, joined, name, version.media_type)

    async def cut(self, text: str, name: str, version: DocumentVersion) -> Reading:
        """Return the passages of a text that was read before."""
        return await self._host.run_blocking(self._cut, JoinedText(text), name, version.media_type)

    def _cut(self, joined: JoinedText, name: str, media_type: str) -> Reading:
        """Runs in a thread."""
        chunker = self._host.find(CHUNKERS)
        passages = chunker.split(joined.text, name=name, media_type=media_type) if chunker else ()
        tokenizer = self._host.all(TOKENIZERS).get(_ESTIMATE)
        tokens = tokenizer.count(joined.text) if tokenizer else -(-len(joined.text) // _CHARACTERS_PER_TOKEN)
        return Reading(joined.text, tokens, joined.name_passages(passages))

    @asynccontextmanager
    async def _copied(self, version: DocumentVersion) -> AsyncIterator[Path]:
        """Copy a version's bytes to a private temporary file, for as long as the block runs."""
        blobs = self._host.find(BLOB_STORES)
        if blobs is None:
            raise Unavailable("There is no blob store, so the file cannot be read.")
        run = self._host.run_blocking
        try:
            folder = Path(await run(tempfile.mkdtemp, None, "eudai-ingest-"))
        except OSError as error:
            raise _no_space() from error
        try:
            path = folder / "document"
            try:
                await run(_append, path, b"")
                async for piece in blobs.read(version.blob_key):
                    await run(_append, path, piece)
            except NotFound as error:
                raise Unavailable("The bytes of this file are missing; ask whoever runs the server.") from error
            except OSError as error:
                raise _no_space() from error
            yield path
        finally:
            await run(shutil.rmtree, folder, True)


def _append(path: Path, piece: bytes) -> None:
    # Opened for each large piece, so that a cancelled copy leaves no open file behind.
    with path.open("ab") as file:
        file.write(piece)


def _no_space() -> StorageUnavailable:
    return StorageUnavailable("There is no room for a temporary copy of the file: free some disk space.")
