"""What files and pages do to the search index, to others at the same time, and how many statements they cost.

What documents do besides is checked by the conformance suite.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import UUID

import pytest
import sqlalchemy as sa

from eudai_core.contracts import UnitOfWork
from eudai_core.errors import Conflict, NotFound
from eudai_core.ids import new_id
from eudai_core.model import DocumentVersion, FileRecord, Passage, Project, SearchDocument, SearchScope, Url
from eudai_sql.search_index import SqlSearchIndex
from eudai_sql.storage import SqlStorage, open_storage
from support.sql_rows import NOW, Rows


def version(owner: FileRecord | Url, number: int) -> DocumentVersion:
    """Make a version of a file or page."""
    kind = "file" if isinstance(owner, FileRecord) else "url"
    key = new_id()
    return DocumentVersion(
        key, kind, owner.id, owner.project_id, number, key.hex, f"blob/{key.hex}", "text/plain", 1, NOW
    )


async def add_url(rows: Rows, address: str, project: Project | None = None) -> Url:
    """Store a page with a version."""
    url = Url(new_id(), (project or rows.project).id, address, "", rows.user.id, NOW)
    async with rows.storage.unit_of_work() as work:
        await work.urls.add(url)
        await work.documents.add_version(version(url, 1))
        await work.commit()
    return url


@contextmanager
def statements(storage: SqlStorage) -> Iterator[list[str]]:
    """Note the statements that a storage runs."""
    seen: list[str] = []
    engine = storage._database.engine(readonly=True, snapshot=False).sync_engine

    def note(_c: object, _u: object, statement: str, *_: object) -> None:
        seen.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
async def another(database_url: str) -> AsyncIterator[SqlStorage]:
    """A second handle on the database, as another process has."""
    opened = open_storage(database_url)
    yield opened
    await opened.aclose()


async def test_deleting_a_file_or_page_takes_its_passages_out_of_the_index(storage: SqlStorage, rows: Rows) -> None:
    file, other = await rows.add_file("a", b"1"), await rows.add_file("b", b"2")
    url, kept = await add_url(rows, "a"), await add_url(rows, "b")
    index = SqlSearchIndex(storage, asyncio.to_thread)
    scope = SearchScope(rows.project.id)
    every = (file, other, url, kept)
    await index.put([SearchDocument(scope, one.id, 1, "a", [Passage(0, 0, 7, "passage")]) for one in every])
    async with storage.unit_of_work() as work:
        await work.documents.delete_file(file.id)
        await work.urls.delete(url.id)
        await work.commit()
    hits = await index.search({"passag": 1.0}, scopes=[scope], limit=5)
    assert {hit.document_id for hit in hits} == {other.id, kept.id}


async def test_deleting_a_project_and_adding_to_what_is_in_it_do_not_wait_for_each_other(
    storage: SqlStorage, another: SqlStorage, rows: Rows
) -> None:
    for _ in range(12):
        project = await rows.add_project()
        file, url = await rows.add_file(project=project), await add_url(rows, "a", project)
        changes: list[Callable[[UnitOfWork], Awaitable[object]]] = [
            lambda work, file=file: work.documents.add_version(version(file, 2)),  # type: ignore[misc]  # a default
            lambda work, url=url: work.documents.add_version(version(url, 2)),  # type: ignore[misc]  # a default
            lambda work, file=file: replaced(work, file.id),  # type: ignore[misc]  # a default
            lambda work, url=url: retold(work, url),  # type: ignore[misc]  # a default
        ]
        outcomes = await asyncio.gather(
            *(done(another, change) for change in changes[:2]),
            done(storage, lambda work, key=project.id: work.projects.delete(key)),  # type: ignore[misc]  # a default
            *(done(another, change) for change in changes[2:]),
        )
        assert set(outcomes) <= {"done", "gone", "taken"}
        assert outcomes[2] == "done"
        async with storage.unit_of_work(readonly=True) as work:
            for key in (file.id, url.id):
                assert (await work.documents.versions(key, cursor=None, limit=9)).items == []


async def done(storage: SqlStorage, call: Callable[[UnitOfWork], Awaitable[object]]) -> str:
    """Do something in a unit of work, and return whether it was done, or what it is about was gone or changed."""
    try:
        async with storage.unit_of_work() as work:
            await call(work)
            await work.commit()
    except NotFound:
        return "gone"
    except Conflict:
        return "taken"
    return "done"


async def replaced(work: UnitOfWork, file_id: UUID) -> None:
    """Add the next version of a file, whichever that is."""
    file = await work.documents.get_file(file_id)
    await work.documents.add_version(version(file, file.current.number + 1))


async def retold(work: UnitOfWork, url: Url) -> None:
    """Change a page, then add the next version of it, whichever that is."""
    stored = await work.urls.get(url.id)
    await work.urls.update(replace(stored, title="new"))
    await work.documents.add_version(version(url, 1 if stored.current is None else stored.current.number + 1))


async def test_reading_documents_is_one_statement(storage: SqlStorage, rows: Rows) -> None:
    files = [await rows.add_file(f"{n}", f"{n}".encode()) for n in range(3)]
    urls = [await add_url(rows, f"{n}") for n in range(3)]
    home = rows.project.id
    reads: list[Callable[[UnitOfWork], Awaitable[object]]] = [
        lambda work: work.documents.get_file(files[0].id),
        lambda work: work.documents.list_files(home, cursor=None, limit=2),
        lambda work: work.documents.versions(files[0].id, cursor=None, limit=2),
        lambda work: work.documents.instruction_versions(home, cursor=None, limit=2),
        lambda work: work.urls.get(urls[0].id),
        lambda work: work.urls.list(home, cursor=None, limit=2),
        lambda work: work.urls.all(home),
        lambda work: work.projects.get(home),
        lambda work: work.projects.list(rows.user.id, cursor=None, limit=2),
    ]
    for read in reads:
        with statements(storage) as seen:
            async with storage.unit_of_work(readonly=True, snapshot=False) as work:
                await read(work)
        assert len(seen) == 1, seen
