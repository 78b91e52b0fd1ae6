"""Versions of files and pages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from eudai_core.contracts import UnitOfWork
from eudai_core.errors import Conflict, NotFound
from eudai_core.ids import new_id
from eudai_core.model import DocumentStatus, DocumentVersion, FileRecord, Page, Url
from eudai_core.testing._storage.keeping import must_equal
from eudai_core.testing._storage.paging import must_page, must_refuse_cursors
from eudai_core.testing._storage.rows import Rows, digest

__all__ = [
    "check_adding_a_version",
    "check_adding_versions_at_once",
    "check_blobs_of_versions",
    "check_changes_at_once",
    "check_old_versions",
    "check_version_numbers",
    "check_version_pages",
]


async def check_adding_a_version(rows: Rows) -> None:
    """A further version is the current one of its file."""
    file, other = await rows.add_file(), await rows.add_file("b", b"b")
    version = await rows.add_version(file, 2, b"new")
    expected, home = replace(file, current=version), rows.project.id
    async with rows.reading() as work:
        found = work.documents
        must_equal(await found.get_version(version.id), version, "a version that was added comes back whole")
        must_equal(await found.get_file(file.id), expected, "a version that was added is the current one")
        must_equal(await found.many_files([file.id]), {file.id: expected}, "many_files() gives the current version")
        must_equal(await found.all_files(home), [expected, other], "all_files() gives each file once")
        listed = await found.list_files(home, cursor=None, limit=9)
        must_equal(listed.items, [other, expected], "list_files() gives each file once")
        must_equal(await found.find_file(home, file.filename, version.sha256), expected, "the new bytes are found")
        old = await found.find_file(home, file.filename, file.current.sha256)
        must_equal(old, None, "bytes of an old version are not found")


async def check_version_numbers(rows: Rows) -> None:
    """A version has the number after the current one's, and an owner in its project."""
    file, page = await rows.add_file(), await rows.add_url()
    await rows.add_version(file, 2)
    other = await rows.add_project()
    for owner, numbers in ((file, (0, 1, 2, 4)), (page, (0, 2))):
        for number in numbers:
            version = rows.version(owner, number)
            await rows.refused(Conflict, _adding(version), f"a number that is not the next one is a Conflict: {number}")
    version = rows.version(file, 3)
    for wrong in (
        replace(version, owner_id=new_id()),
        replace(version, owner_type="url"),
        replace(version, owner_type="book"),
        replace(version, project_id=other.id),
        replace(version, project_id=new_id()),
        replace(rows.version(page, 1), owner_type="file"),
    ):
        await rows.refused(NotFound, _adding(wrong), "a version of no file or page of the project is NotFound")
    taken = replace(version, id=file.current.id)
    await rows.refused(Conflict, _adding(taken), "an id that is taken is a Conflict")
    async with rows.reading() as work:
        must_equal((await work.documents.get_file(file.id)).current.number, 2, "what is refused changes nothing")
        must_equal((await work.urls.get(page.id)).current, None, "what is refused changes nothing")


async def check_adding_versions_at_once(rows: Rows) -> None:
    """Of versions of one number that come at once, one is added."""
    for owner, number in ((await rows.add_file(), 2), (await rows.add_url(), 1)):
        versions = [rows.version(owner, number, f"{n}".encode()) for n in range(6)]

        async def add(place: int, version: DocumentVersion) -> bool:
            try:
                async with rows.writing(rows.handle(place)) as work:
                    await work.documents.add_version(version)
            except Conflict:
                return False
            return True

        done = await asyncio.gather(*(add(place, version) for place, version in enumerate(versions)))
        must_equal(sum(done), 1, "of versions of one number at once one is added, the others are a Conflict")
        async with rows.reading() as work:
            kept = (await work.documents.versions(owner.id, cursor=None, limit=99)).items[0]
        must_equal(kept, versions[done.index(True)], "the version that was added is the one that is kept")


async def check_version_pages(rows: Rows) -> None:
    """Versions are listed newest first."""
    file, page = await rows.add_file(), await rows.add_url()
    of_file = [file.current, *[await rows.add_version(file, number) for number in range(2, 6)]]
    of_page = [await rows.add_version(page, number) for number in (1, 2)]
    for owner, versions in ((file, of_file), (page, of_page)):

        async def listed(
            work: UnitOfWork, cursor: str | None, limit: int, owner: FileRecord | Url = owner
        ) -> Page[DocumentVersion]:
            return await work.documents.versions(owner.id, cursor=cursor, limit=limit)

        async with rows.reading() as work:
            found = (await listed(work, None, 99)).items
        must_equal(found, versions[::-1], "versions are listed whole, newest first")
        await must_page(rows, listed, [version.id for version in versions[::-1]])
        await must_refuse_cursors(rows, listed)
    async with rows.reading() as work:
        nobodys = await work.documents.versions(new_id(), cursor=None, limit=9)
        must_equal(nobodys, Page([]), "what is not there has no versions")


async def check_old_versions(rows: Rows) -> None:
    """Old versions stay, with their texts, and are read without becoming current."""
    file = await rows.add_file()
    first, second = file.current, await rows.add_version(file, 2, b"new")
    for version, text in ((second, "new text"), (first, "old text")):
        async with rows.writing() as work:
            await work.documents.finish_version(version.id, status=DocumentStatus.READY, text=text)
    async with rows.reading() as work:
        current = (await work.documents.get_file(file.id)).current
        must_equal((current.id, current.text_sha256), (second.id, digest("new text")), "the newest version is current")
        texts = [await work.documents.text_of(version.id) for version in (first, second)]
        must_equal(texts, ["old text", "new text"], "an old version keeps its text")
    async with rows.writing() as work:
        await work.documents.delete_file(file.id)
    for version in (first, second):
        await rows.refused(
            NotFound,
            lambda work, version=version: work.documents.get_version(version.id),  # type: ignore[misc]  # a default
            "a file that is deleted takes all its versions along",
        )
    async with rows.reading() as work:
        left = await work.contexts.texts([digest("old text"), digest("new text")])
        must_equal(left, {}, "a file that is deleted takes the texts of all its versions along")


async def check_blobs_of_versions(rows: Rows) -> None:
    """Deleting a file or page returns the blob keys of all its versions that nothing else names, each once."""
    first, second, page = await rows.add_file("a", b"1"), await rows.add_file("b", b"2"), await rows.add_url()
    for number, body in ((2, b"3"), (3, b"1"), (4, b"of both"), (5, b"of all")):
        await rows.add_version(first, number, body)
    for number, body in ((2, b"of both"), (3, b"4"), (4, b"of all")):
        await rows.add_version(second, number, body)
    await rows.add_version(page, 1, b"of all")
    deletions: tuple[tuple[Callable[[UnitOfWork], Awaitable[object]], tuple[bytes, ...]], ...] = (
        (lambda work: work.documents.delete_file(first.id), (b"1", b"3")),
        (lambda work: work.urls.delete(page.id), ()),
        (lambda work: work.documents.delete_file(second.id), (b"2", b"4", b"of all", b"of both")),
    )
    for delete, bodies in deletions:
        expected = sorted(rows.version(first, 1, body).blob_key for body in bodies)
        async with rows.writing() as work:
            released = await delete(work)
        must_equal(sorted(released), expected, "the blobs of all versions are released, each once, unless named")  # type: ignore[call-overload]  # keys


async def check_changes_at_once(rows: Rows) -> None:
    """Who reads a file or page in order to change it loses nothing of what others change meanwhile."""
    file, page = await rows.add_file(), await rows.add_url()

    async def pin(number: int) -> None:
        async with rows.writing(rows.handle(number)) as work:
            await work.documents.update_file(replace(await work.documents.get_file(file.id), pinned=bool(number)))
            await work.urls.update(replace(await work.urls.get(page.id), pinned=bool(number)))

    async def name(number: int) -> None:
        async with rows.writing(rows.handle(number + 1)) as work:
            await work.documents.update_file(replace(await work.documents.get_file(file.id), filename=f"{number}"))
            await work.urls.update(replace(await work.urls.get(page.id), title=f"{number}"))

    async def replaced(number: int) -> None:
        async with rows.writing(rows.handle(number)) as work:
            for owner in (await work.documents.get_file(file.id), await work.urls.get(page.id)):
                before = 0 if owner.current is None else owner.current.number
                await work.documents.add_version(rows.version(owner, before + 1))

    for number in range(1, 9):
        await asyncio.gather(pin(number % 2), name(number), replaced(0), replaced(1))
        async with rows.reading() as work:
            kept, shown = await work.documents.get_file(file.id), await work.urls.get(page.id)
        sentence = "what two change at once of one file or page is changed, when each reads it first"
        found = (kept.filename, kept.pinned, kept.current.number, shown.title, shown.pinned)
        must_equal(found, (f"{number}", bool(number % 2), 1 + 2 * number, f"{number}", bool(number % 2)), sentence)
        must_equal(shown.current and shown.current.number, 2 * number, sentence)


def _adding(version: DocumentVersion) -> Callable[[UnitOfWork], Awaitable[object]]:
    return lambda work: work.documents.add_version(version)
