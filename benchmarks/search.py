"""The search index on SQLite and on PostgreSQL: bytes a byte of text, speed of indexing, time of searches.

Indexes two things: chat-like messages (100,000 by default; words by Zipf's law, lengths spread as in chats, in batches
of 200 as the server does) and real documents (Python's own manual pages, or the text files under ``--documents``).
Then it asks for one to five words, drawn from the messages as often as they stand there, so that most questions mix
rare and very common words. Goals: at most 2.5 bytes a byte, a p95 under 100 ms. PostgreSQL is a server of its own, or
that of ``--database-url``, in a database of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from eudai_context.paragraphs import ParagraphChunker
from eudai_core.ids import new_id
from eudai_core.model import Passage, SearchCollection, SearchDocument, SearchScope
from eudai_core.text import tokenise
from eudai_sql.search_index import SqlSearchIndex
from eudai_sql.storage import SqlStorage, open_storage

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]

from support.postgres import migrate, sqlite_file_url  # noqa: E402 -- found from here on
from support.postgres_server import PostgresServer, own_server  # noqa: E402 -- as above
from support.sql_rows import Rows  # noqa: E402 -- as above

BATCH = 200
TABLES = ("search_scopes", "search_documents", "passages", "search_segments", "postings", "search_removed")
CONSONANTS, VOWELS = "bcdfghjklmnprstvwz", "aeiou"


@dataclass(frozen=True)
class Corpus:
    """Texts to index, and the bytes that they are."""

    name: str
    documents: Sequence[SearchDocument]
    size: int


class Language:
    """Words by Zipf's law: the commonest are short."""

    def __init__(self, chance: random.Random, words: int = 50_000) -> None:
        self._chance = chance
        syllables = [consonant + vowel for consonant in CONSONANTS for vowel in VOWELS]
        self._words = list(
            dict.fromkeys(
                "".join(chance.choices(syllables, k=1 + min(4, len(str(rank)) - (rank < 50))))
                for rank in range(1, words)
            )
        )
        self._weights = list(accumulate(1 / rank for rank in range(1, len(self._words) + 1)))

    def words(self, count: int) -> list[str]:
        """Return words as they follow each other in a text."""
        return self._chance.choices(self._words, cum_weights=self._weights, k=count)


def chat(project: SearchScope, count: int, chance: random.Random) -> Corpus:
    """Make messages: short questions and longer answers in turn, in conversations of twenty."""
    language = Language(chance)
    documents: list[SearchDocument] = []
    size = 0
    for number in range(count):
        mean = 2.6 if number % 2 == 0 else 4.2
        text = " ".join(language.words(max(1, int(chance.lognormvariate(mean, 0.8)))))
        size += len(text.encode())
        documents.append(SearchDocument(project, new_id(), 1, "", [Passage(0, 0, len(text), text)], keeps_text=False))
    return Corpus(f"{count} messages", documents, size)


def manual(project: SearchScope, folder: Path | None) -> Corpus:
    """Cut real documents into passages."""
    texts = dict(_texts(folder))
    chunker = ParagraphChunker()
    documents = [
        SearchDocument(project, new_id(), 1, name, list(chunker.split(text, name=name, media_type="text/plain")))
        for name, text in texts.items()
    ]
    return Corpus("documents", documents, sum(len(text.encode()) for text in texts.values()))


def _texts(folder: Path | None) -> Iterator[tuple[str, str]]:
    if folder is None:
        from pydoc_data.topics import topics

        yield from ((f"{name}.rst", text) for name, text in topics.items())
        return
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".txt", ".md", ".rst", ".py"} and path.is_file():
            yield path.name, path.read_text("utf-8", errors="replace")


async def table_bytes(storage: SqlStorage, path: Path | None) -> int:
    """Return the bytes that the index takes with its own indexes."""
    async with storage.unit_of_work(readonly=True) as work:
        tx = work.transaction
        if path is None:
            names = ", ".join(f"pg_total_relation_size('{table}')" for table in TABLES)
            return sum((await tx.rows(sa.text(f"select {names}")))[0])
        (pages,), (free,), (size,) = [
            (await tx.rows(sa.text(f"pragma {name}")))[0] for name in ("page_count", "freelist_count", "page_size")
        ]
        return int((pages - free) * size)


async def index(storage: SqlStorage, corpus: Corpus, path: Path | None) -> dict[str, Any]:
    """Index a corpus and tell how long that took and how much it takes."""
    search = SqlSearchIndex(storage, asyncio.to_thread)
    before, begun = await table_bytes(storage, path), time.perf_counter()
    longest = 0.0
    for start in range(0, len(corpus.documents), BATCH):
        put = time.perf_counter()
        await search.put(corpus.documents[start : start + BATCH])
        longest = max(longest, time.perf_counter() - put)
    seconds = time.perf_counter() - begun
    taken = await table_bytes(storage, path) - before
    return {
        "text_mb": round(corpus.size / 1e6, 1),
        "bytes_per_byte": round(taken / corpus.size, 2),
        "mb_per_s": round(corpus.size / 1e6 / seconds, 2),
        "documents_per_s": round(len(corpus.documents) / seconds),
        "longest_put_ms": round(longest * 1000),
    }


async def ask(storage: SqlStorage, scope: SearchScope, questions: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Ask questions one after the other, and tell how long they took and how long the event loop was held up."""
    search = SqlSearchIndex(storage, asyncio.to_thread)
    times: list[float] = []
    spent: list[float] = []
    worst = 0.0
    stop = asyncio.Event()

    async def watch() -> None:
        nonlocal worst
        while not stop.is_set():
            begun = time.perf_counter()
            await asyncio.sleep(0.005)
            worst = max(worst, time.perf_counter() - begun - 0.005)

    watching = asyncio.create_task(watch())
    for words in questions:
        terms = dict.fromkeys(tokenise(" ".join(words)), 1.0)
        begun = time.perf_counter()
        used = time.process_time()
        await search.search(terms, scopes=[scope], limit=51)
        times.append((time.perf_counter() - begun) * 1000)
        spent.append((time.process_time() - used) * 1000)
    stop.set()
    await watching
    cuts = statistics.quantiles(times, n=100)
    return {
        "p50_ms": round(cuts[49], 1),
        "p95_ms": round(cuts[94], 1),
        "max_ms": round(max(times), 1),
        "cpu_p95_ms": round(statistics.quantiles(spent, n=20)[18], 1),
        "loop_held_up_ms": round(worst * 1000, 1),
    }


@contextmanager
def postgresql(url: str | None) -> Iterator[str]:
    """Give the URL of an empty PostgreSQL database."""
    with contextmanager(own_server)() if url is None else contextmanager(_given)(url) as server:
        database = server.create_database()
        try:
            yield database
        finally:
            server.drop_database(database)


def _given(url: str) -> Iterator[PostgresServer]:
    yield PostgresServer(url)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[SqlStorage]:
    """Give a migrated storage."""
    await migrate(url)
    storage = open_storage(url)
    try:
        yield storage
    finally:
        await storage.aclose()


async def measure(url: str, path: Path | None, options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Measure one database."""
    chance = random.Random(7)
    async with opened(url) as storage:
        rows = Rows(storage)
        await rows.begin()
        said = SearchScope(rows.project.id, SearchCollection.MESSAGES)
        messages = chat(said, options.messages, chance)
        documents = manual(SearchScope(rows.project.id), options.documents)
        figures = {corpus.name: await index(storage, corpus, path) for corpus in (documents, messages)}
        samples = [chance.choice(messages.documents).passages[0].text.split() for _ in range(options.questions)]
        questions = [chance.choices(words, k=chance.randint(1, 5)) for words in samples]
        await ask(storage, said, questions[:20])
        figures["questions"] = await ask(storage, said, questions)
        figures["five very common words"] = await ask(storage, said, [_commonest(messages, 5)] * 20)
        figures["one very common word"] = await ask(storage, said, [_commonest(messages, 1)] * 20)
    return figures


def _commonest(corpus: Corpus, count: int) -> list[str]:
    words = Counter(word for document in corpus.documents[:5000] for word in document.passages[0].text.split())
    return [word for word, _ in words.most_common(count)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--documents", type=Path)
    parser.add_argument("--database-url")
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures: dict[str, dict[str, dict[str, Any]]] = {}
    if options.only != "postgresql":
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "eudai.db"
            figures["sqlite"] = asyncio.run(measure(sqlite_file_url(path), path, options))
    if options.only != "sqlite":
        with postgresql(options.database_url) as url:
            figures["postgresql"] = asyncio.run(measure(url, None, options))
    if options.json:
        print(json.dumps(figures))
        return
    print("| database | what | figure | value |\n|---|---|---|---:|")
    for database, parts in figures.items():
        for part, values in parts.items():
            for name, value in values.items():
                print(f"| {database} | {part} | {name} | {value} |")


if __name__ == "__main__":
    main()
