"""Projects, and lists in pages."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from eudai_core.errors import InvalidInput, NotFound, StaleVersion
from eudai_core.ids import new_id
from eudai_core.model import Instruction, Project, ProjectCounts
from eudai_sql.storage import SqlStorage
from support.sql_rows import NOW, Rows, at


async def test_project_comes_back_with_its_counts(storage: SqlStorage, rows: Rows) -> None:
    await rows.add_file()
    async with storage.unit_of_work() as work:
        for position in (2, 1):
            await work.documents.add_instruction(Instruction(new_id(), rows.project.id, "x", NOW, position))
        await work.commit()
    async with storage.unit_of_work(readonly=True) as work:
        expected = replace(rows.project, counts=ProjectCounts(files=1, instructions=2, conversations=1))
        assert await work.projects.get(rows.project.id) == expected
        with pytest.raises(NotFound):
            await work.projects.get(new_id())


async def test_projects_are_paged_newest_first_without_loss(storage: SqlStorage, rows: Rows) -> None:
    other = await rows.add_user("bob")
    await rows.add_project(other)
    # Three share one time: the id must tell them apart.
    added = [await rows.add_project(created=seconds) for seconds in (1, 2, 2, 2, 3)]
    newest_first = sorted([rows.project, *added], key=lambda project: (project.created_at, project.id), reverse=True)
    found: list[Project] = []
    cursor, pages = None, 0
    async with storage.unit_of_work(readonly=True) as work:
        while cursor is not None or not pages:
            page = await work.projects.list(rows.user.id, cursor=cursor, limit=2)
            assert len(page.items) == 2
            found += page.items
            cursor, pages = page.next, pages + 1
    assert pages == 3
    assert [project.id for project in found] == [project.id for project in newest_first]


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "é", "AAAA", base64.urlsafe_b64encode(b"\x7f" + b"\xff" * 23).decode(), "A" * 33, "A" * 5000, "' or 1=1"],
)
async def test_bad_cursor_is_invalid_input(storage: SqlStorage, rows: Rows, cursor: str) -> None:
    async with storage.unit_of_work(readonly=True) as work:
        with pytest.raises(InvalidInput) as caught:
            await work.projects.list(rows.user.id, cursor=cursor, limit=2)
    assert [error.path for error in caught.value.errors] == ["$.cursor"]


async def test_update_counts_versions_and_honours_the_expected_one(storage: SqlStorage, rows: Rows) -> None:
    changed = replace(rows.project, name="New", description="d", settings={"model": None}, updated_at=at(9))
    async with storage.unit_of_work() as work:
        stored = await work.projects.update(changed, expected_version=1)
        assert stored == replace(changed, version=2, counts=ProjectCounts(conversations=1))
        with pytest.raises(StaleVersion):
            await work.projects.update(changed, expected_version=1)
        assert (await work.projects.update(changed, expected_version=None)).version == 3
        with pytest.raises(NotFound):
            await work.projects.update(replace(changed, id=new_id()), expected_version=None)


async def test_without_commit_nothing_is_kept(storage: SqlStorage, rows: Rows) -> None:
    async with storage.unit_of_work() as work:
        await work.projects.update(replace(rows.project, name="New"), expected_version=None)
    async with storage.unit_of_work(readonly=True) as work:
        assert (await work.projects.get(rows.project.id)).name == "Notes"


async def test_ended_unit_of_work_refuses_further_work(storage: SqlStorage, rows: Rows) -> None:
    async with storage.unit_of_work() as work:
        await work.projects.get(rows.project.id)
        await work.commit()
        with pytest.raises(RuntimeError, match="ended"):
            await work.projects.get(rows.project.id)


async def test_readonly_reads_are_one_snapshot(storage: SqlStorage, rows: Rows) -> None:
    async with storage.unit_of_work(readonly=True) as reader:
        before = await reader.projects.get(rows.project.id)
        async with storage.unit_of_work() as writer:
            await writer.projects.update(replace(rows.project, name="New"), expected_version=None)
            await writer.commit()
        assert await reader.projects.get(rows.project.id) == before


async def test_deleting_takes_everything_along_and_tells_released_blobs(storage: SqlStorage, rows: Rows) -> None:
    other = await rows.add_project()
    mine = await rows.add_file("a.txt", b"only here")
    await rows.add_file("b.txt", b"shared")
    await rows.add_file("c.txt", b"shared", project=other)
    run = await rows.add_run(conversation=rows.conversation)
    message = await rows.add_message()
    async with storage.unit_of_work() as work:
        assert await work.projects.delete(rows.project.id) == [mine.current.blob_key]
        await work.commit()
    async with storage.unit_of_work(readonly=True) as work:
        for gone in (
            work.projects.get(rows.project.id),
            work.documents.get_file(mine.id),
            work.documents.get_version(mine.current.id),
            work.conversations.get(rows.conversation.id),
            work.messages.get(message.id),
            work.runs.get(run.id),
        ):
            with pytest.raises(NotFound):
                await gone
        assert len(await work.documents.all_files(other.id)) == 1
    async with storage.unit_of_work() as work:
        with pytest.raises(NotFound):
            await work.projects.delete(rows.project.id)
