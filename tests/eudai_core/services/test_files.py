"""Files: versions, names, revisions, and what is found of them meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from eudai_core.errors import BadFile, InvalidInput, NotFound, StaleVersion
from eudai_core.model import DocumentStatus, FileRecord, SearchDocument
from eudai_core.plugins.roles import SEARCH_INDEXES
from eudai_core.services.revisions import file_revision
from eudai_core.testing import FrozenClock
from support.shelf import Shelf, open_shelf, uploads

RED, WHITE = b"Roses are red.", b"Roses are white."


@pytest.fixture
async def shelf(tmp_path: Path, clock: FrozenClock, every_database: str) -> AsyncIterator[Shelf]:
    async with open_shelf(tmp_path / "data", clock=clock) as opened:
        yield opened


async def add(shelf: Shelf, data: bytes = RED, name: str = "roses.txt") -> FileRecord:
    uploaded = await shelf.app.content.files.upload(shelf.identity, shelf.project.id, uploads((name, data)))
    await shelf.idle()
    return uploaded.files[0]


async def put(shelf: Shelf, file: FileRecord, data: bytes, expected: str | None = None) -> FileRecord:
    return await shelf.app.content.files.replace(
        shelf.identity, shelf.project.id, file.id, uploads(("other.md", data)), expected=expected
    )


async def look(shelf: Shelf, file: FileRecord) -> FileRecord:
    return await shelf.app.content.files.get(shelf.identity, shelf.project.id, file.id)


async def bytes_of(shelf: Shelf, file: FileRecord, number: int | None = None) -> bytes:
    found = await shelf.app.content.files.version(shelf.identity, file.id, number)
    return b"".join([piece async for piece in shelf.app.content.files.read(found.current)])


async def test_new_bytes_are_a_version_and_the_old_ones_stay(shelf: Shelf) -> None:
    file = await add(shelf)
    replaced = await put(shelf, file, WHITE)
    assert (replaced.filename, replaced.current.number, replaced.current.status) == (
        "roses.txt",
        2,
        DocumentStatus.PENDING,
    )
    await shelf.idle()
    assert (await look(shelf, file)).current.status is DocumentStatus.READY
    assert await shelf.found("roses") == [WHITE.decode()]
    versions = await shelf.app.content.files.versions(shelf.identity, shelf.project.id, file.id, limit=1)
    assert [version.number for version in versions.items] == [2]
    older = await shelf.app.content.files.versions(
        shelf.identity, shelf.project.id, file.id, cursor=versions.next, limit=1
    )
    assert ([version.number for version in older.items], older.next) == ([1], None)
    assert [await bytes_of(shelf, file, number) for number in (None, 2, 1)] == [WHITE, WHITE, RED]
    for number in (0, 3):
        with pytest.raises(NotFound, match=f"no version {number} of file {file.id}"):
            await bytes_of(shelf, file, number)


async def test_the_same_bytes_are_no_version(shelf: Shelf) -> None:
    file = await add(shelf)
    assert (await put(shelf, file, RED)).current.number == 1
    assert len(shelf.kept()) == 1
    same = await shelf.app.content.files.upload(
        shelf.identity, shelf.project.id, uploads(("roses.txt", RED), ("new.txt", RED))
    )
    assert ([one.id == file.id for one in same.files], same.created) == ([True, False], 1)
    assert len(shelf.kept()) == 2


async def test_the_old_text_is_found_until_the_new_one_is_read(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    file, index = await add(shelf), shelf.app.host.one(SEARCH_INDEXES)
    seen: list[Sequence[str]] = []
    real = index.put

    async def look_first(documents: Sequence[SearchDocument]) -> None:
        seen.append(await shelf.found("roses"))
        await real(documents)

    monkeypatch.setattr(index, "put", look_first)
    await put(shelf, file, WHITE)
    await shelf.idle()
    assert seen == [[RED.decode()]]


async def test_a_version_that_cannot_be_read_is_not_found_by_the_text_of_the_one_before(shelf: Shelf) -> None:
    file = await add(shelf)
    await put(shelf, file, b"Roses\0are gone")
    await shelf.idle()
    assert (await look(shelf, file)).current.status is DocumentStatus.FAILED
    assert await shelf.found("roses") == []


async def test_a_version_that_is_indexed_late_gives_way_to_the_newest(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, index = await add(shelf), shelf.app.host.one(SEARCH_INDEXES)
    real, newest = index.put, asyncio.Event()

    async def late(documents: Sequence[SearchDocument]) -> None:
        if documents[0].version == 2:
            await put(shelf, file, b"Roses are blue.")
            await newest.wait()
        await real(documents)
        if documents[0].version == 3:
            newest.set()

    monkeypatch.setattr(index, "put", late)
    await put(shelf, file, WHITE)
    await shelf.idle()
    assert await shelf.found("roses") == ["Roses are blue."]
    assert (await look(shelf, file)).current.status is DocumentStatus.READY


async def test_a_new_name_is_found_and_the_old_one_is_not(shelf: Shelf) -> None:
    file, files = await add(shelf, name="garden.txt"), shelf.app.content.files
    changed = await files.update(shelf.identity, shelf.project.id, file.id, filename="Ünïcode notes.md")
    assert (changed.filename, changed.pinned, changed.current.number) == ("Ünïcode notes.md", False, 1)
    await shelf.idle()
    assert (await shelf.found("notes"), await shelf.found("garden")) == ([RED.decode()], [])
    pinned = await files.update(shelf.identity, shelf.project.id, file.id, pinned=True)
    assert (pinned.filename, pinned.pinned) == ("Ünïcode notes.md", True)
    assert await look(shelf, file) == pinned


@pytest.mark.parametrize(
    "name", ["", " ", ".", "..", "a/b", "a\\b", "a\0b", "a\nb", " a", "a\x7f", "\ud800", "x" * 256]
)
async def test_a_name_that_is_none_is_refused(tmp_path: Path, clock: FrozenClock, name: str) -> None:
    async with open_shelf(tmp_path / "data", clock=clock) as shelf:
        file = await add(shelf)
        with pytest.raises(InvalidInput) as refused:
            await shelf.app.content.files.update(shelf.identity, shelf.project.id, file.id, filename=name)
        assert [error.path for error in refused.value.errors] == ["$.filename"]
        assert (await look(shelf, file)).filename == "roses.txt"


async def test_a_change_upon_an_old_state_is_refused(shelf: Shelf) -> None:
    files, project = shelf.app.content.files, shelf.project.id
    file = await add(shelf)
    seen = file_revision(file)
    assert file_revision(await look(shelf, file)) == seen, "that it was read is nobody's change"
    replaced = await put(shelf, file, WHITE, seen)
    for change in (
        put(shelf, file, b"other", seen),
        files.update(shelf.identity, project, file.id, pinned=True, expected=seen),
        files.delete(shelf.identity, project, file.id, expected=seen),
    ):
        with pytest.raises(StaleVersion):
            await change
    await shelf.idle()
    assert (await shelf.found("white"), len(shelf.kept())) == ([WHITE.decode()], 2)
    await files.delete(shelf.identity, project, file.id, expected=file_revision(replaced))
    await shelf.idle()
    assert (await shelf.found("white"), shelf.kept()) == ([], [])


async def test_of_two_who_replace_at_once_upon_the_same_state_one_wins(shelf: Shelf) -> None:
    file = await add(shelf)
    seen = file_revision(file)
    ends = await asyncio.gather(
        *(put(shelf, file, data, seen) for data in (WHITE, b"Roses are blue.")), return_exceptions=True
    )
    assert sorted(type(end).__name__ for end in ends) == ["FileRecord", "StaleVersion"]
    assert ((await look(shelf, file)).current.number, len(shelf.kept())) == (2, 2)


@pytest.mark.parametrize("files", [(), (("a", RED), ("b", WHITE)), (("a", b""),), (("a", b"x" * 1_100_000),)])
async def test_a_bad_replacement_leaves_everything_as_it_was(
    tmp_path: Path, clock: FrozenClock, files: Sequence[tuple[str, bytes]]
) -> None:
    async with open_shelf(tmp_path / "data", clock=clock) as shelf:
        file = await add(shelf)
        with pytest.raises(BadFile):
            await shelf.app.content.files.replace(shelf.identity, shelf.project.id, file.id, uploads(*files))
        assert ((await look(shelf, file)).current.number, len(shelf.kept())) == (1, 1)
