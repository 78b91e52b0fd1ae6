"""Files, and the texts read out of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from eudai_core.contracts import Storage, UnitOfWork
from eudai_core.errors import Conflict, InvalidInput, NotFound
from eudai_core.ids import new_id
from eudai_core.model import DocumentStatus, FileRecord, Page
from eudai_core.testing._storage.keeping import must, must_equal
from eudai_core.testing._storage.paging import must_page, must_refuse_cursors
from eudai_core.testing._storage.rows import Rows, at, digest

__all__ = [
    "check_changing_a_file",
    "check_deleting_a_file",
    "check_file_pages",
    "check_files",
    "check_finding_a_file",
    "check_reading_a_version",
    "check_text_taken_on_while_erased",
    "check_version_text",
]


async def check_files(rows: Rows) -> None:
    """A file comes back with its version."""
    file = replace(rows.file("größe/..\\ 1.txt", b"one"), pinned=True)
    async with rows.writing() as work:
        await work.documents.add_file(file)
    async with rows.reading() as work:
        must_equal(await work.documents.get_file(file.id), file, "a file comes back with its current version")
        must_equal(await work.documents.get_version(file.current.id), file.current, "a version comes back whole")
        found = await work.documents.many_files([new_id(), file.id, file.id])
        must_equal(found, {file.id: file}, "many_files() gives those that are there, with their versions")
        must_equal(await work.documents.many_files([]), {}, "many_files() of nothing is nothing")
    for call in (
        lambda work: work.documents.get_file(new_id()),
        lambda work: work.documents.get_version(new_id()),
        lambda work: work.documents.delete_file(new_id()),
    ):
        await rows.refused(NotFound, call, "a file or version that is not there is NotFound")
    await rows.refused(Conflict, lambda work: work.documents.add_file(file), "an id that is taken is a Conflict")
    nowhere = rows.file(project=replace(rows.project, id=new_id()))
    await rows.refused(NotFound, lambda work: work.documents.add_file(nowhere), "a file of no project is NotFound")


async def check_changing_a_file(rows: Rows) -> None:
    """Name and pin of a file can be changed, and nothing else of it."""
    file, other = await rows.add_file(), await rows.add_file("b", b"b")
    changed = replace(file, filename="Größe.txt", pinned=True)
    with_more = replace(changed, uploaded_at=at(9), uploaded_by=new_id(), current=other.current)
    async with rows.writing() as work:
        must_equal(await work.documents.update_file(with_more), changed, "update_file() stores filename and pinned")
    async with rows.reading() as work:
        must_equal(await work.documents.get_file(file.id), changed, "update_file() returns what is stored")
        must_equal(await work.documents.get_file(other.id), other, "other files stay as they are")
    await rows.refused(
        NotFound,
        lambda work: work.documents.update_file(replace(file, id=new_id())),
        "changing a file that is not there is NotFound",
    )


async def check_finding_a_file(rows: Rows) -> None:
    """A file is found by project, name and bytes together."""
    other = await rows.add_project()
    file = await rows.add_file("Größe.txt", b"one")
    sha256 = file.current.sha256
    async with rows.reading() as work:
        find = work.documents.find_file
        must_equal(await find(rows.project.id, "Größe.txt", sha256), file, "a file is found by name and bytes")
        for project_id, name, hashed in (
            (rows.project.id, "Größe.txt", "0" * 64),
            (rows.project.id, "größe.txt", sha256),
            (rows.project.id, "other", sha256),
            (other.id, "Größe.txt", sha256),
        ):
            must(await find(project_id, name, hashed) is None, "a file of another project, name or bytes is not found")


async def check_file_pages(rows: Rows) -> None:
    """Files are listed newest first and all of them given oldest first."""
    await rows.add_file(project=await rows.add_project())
    files = [await rows.add_file(f"{n}.txt", uploaded=uploaded) for n, uploaded in enumerate((3, 1, 3, 3, 2))]

    async def listed(work: UnitOfWork, cursor: str | None, limit: int) -> Page[FileRecord]:
        return await work.documents.list_files(rows.project.id, cursor=cursor, limit=limit)

    async with rows.reading() as work:
        newest = list((await listed(work, None, 99)).items)
        oldest = list(await work.documents.all_files(rows.project.id))
        must_equal(await work.documents.all_files(new_id()), [], "a project that is not there has no files")
    times = sorted(file.uploaded_at for file in files)
    must_equal([file.uploaded_at for file in oldest], times, "all files are given oldest first")
    must_equal([file.uploaded_at for file in newest], times[::-1], "files are listed newest first")
    must_equal({file.id for file in newest}, {file.id for file in files}, "every file of the project is listed")
    await must_page(rows, listed, [file.id for file in newest])
    await must_refuse_cursors(rows, listed)


async def check_reading_a_version(rows: Rows) -> None:
    """The outcome of reading a version is stored with its text."""
    file = await rows.add_file()
    key, text = file.current.id, "naïve 𝄞\r\n"
    await rows.refused(
        NotFound, lambda work: work.documents.text_of(key), "the text of a version that was not read is NotFound"
    )
    ready = replace(file.current, status=DocumentStatus.READY, text_sha256=digest(text), characters=len(text), tokens=3)
    async with rows.writing() as work:
        done = await work.documents.finish_version(key, status=DocumentStatus.READY, text=text, tokens=3)
        must_equal(done, ready, "finish_version() returns the version with hash and code points of its text")
    async with rows.reading() as work:
        must_equal(await work.documents.get_version(key), ready, "the outcome of reading is stored")
        must_equal((await work.documents.get_file(file.id)).current, ready, "a file shows its version as it is")
        must_equal(await work.documents.text_of(key), text, "the text of a version comes back exactly")
        must_equal(await work.contexts.texts([digest(text)]), {digest(text): text}, "texts are found by their hash")
    async with rows.writing() as work:
        failed = await work.documents.finish_version(key, status=DocumentStatus.FAILED, error="broken")
        expected = replace(file.current, status=DocumentStatus.FAILED, error="broken")
        must_equal(failed, expected, "a version that could not be read has an error and no text")
    for call in (
        lambda work: work.documents.text_of(key),
        lambda work: work.documents.text_of(new_id()),
        lambda work: work.documents.finish_version(new_id(), status=DocumentStatus.READY, text="x"),
    ):
        await rows.refused(NotFound, call, "a text or version that is not there is NotFound")
    await rows.refused(
        InvalidInput,
        lambda work: work.documents.finish_version(key, status=DocumentStatus.READY, text="a\x00b"),
        "a text with NUL is InvalidInput",
    )


async def check_version_text(rows: Rows) -> None:
    """A text that two files have is kept once, until the last of them is deleted."""
    files = [await rows.add_file("a", b"1"), await rows.add_file("b", b"2")]
    for file in files:
        async with rows.writing() as work:
            await work.documents.finish_version(file.current.id, status=DocumentStatus.READY, text="of both")
    for gone, left in ((0, 1), (1, 0)):
        async with rows.writing() as work:
            await work.documents.delete_file(files[gone].id)
        async with rows.reading() as work:
            found = await work.contexts.texts([digest("of both")])
            must_equal(len(found), left, "a text is kept until nobody names it any more, and then erased")


async def check_text_taken_on_while_erased(rows: Rows) -> None:
    """A text that another file takes on while its last owner is deleted is kept."""
    first, second = await rows.add_file("a", b"1"), await rows.add_file("b", b"2")

    async def read(file: FileRecord, storage: Storage) -> None:
        async with rows.writing(storage) as work:
            await work.documents.finish_version(file.current.id, status=DocumentStatus.READY, text="of both")

    async def delete(file: FileRecord) -> None:
        async with rows.writing() as work:
            await work.documents.delete_file(file.id)

    for _ in range(4):
        await read(first, rows.storage)
        await asyncio.gather(delete(first), read(second, rows.another))
        async with rows.reading() as work:
            must_equal(await work.documents.text_of(second.current.id), "of both", "a text that is taken on is kept")
            left = [file.id for file in await work.documents.all_files(rows.project.id)]
            must_equal(left, [second.id], "a file that is deleted meanwhile is gone")
        await delete(second)
        first, second = await rows.add_file("a", b"1"), await rows.add_file("b", b"2")


async def check_deleting_a_file(rows: Rows) -> None:
    """Deleting a file returns the blob keys that nothing names any more."""
    first, second = await rows.add_file("a", b"same"), await rows.add_file("b", b"same")
    async with rows.writing() as work:
        released = await work.documents.delete_file(first.id)
        must_equal(released, [], "a blob that another file names is not released")
    async with rows.writing() as work:
        released = await work.documents.delete_file(second.id)
        must_equal(released, [second.current.blob_key], "a blob that nothing names any more is released")
    for call in (
        lambda work: work.documents.get_file(first.id),
        lambda work: work.documents.get_version(first.current.id),
        lambda work: work.documents.delete_file(first.id),
    ):
        await rows.refused(NotFound, call, "a file that was deleted is NotFound, with its versions")
    async with rows.reading() as work:
        must_equal(await work.documents.all_files(rows.project.id), [], "a file that was deleted is listed no more")
