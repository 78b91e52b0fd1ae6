"""Files, versions, texts and instructions."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

import pytest

from eudai_core.errors import InvalidInput, NotFound
from eudai_core.ids import new_id
from eudai_core.model import (
    ContextRecord,
    DocumentStatus,
    FileRecord,
    Instruction,
    Origin,
    Passage,
    SegmentKind,
    SegmentRecord,
)
from eudai_sql.search_index import SqlSearchIndex
from eudai_sql.storage import SqlStorage
from support.sql_rows import NOW, Rows


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def segment(text: str, origin_type: str, origin_id: str) -> SegmentRecord:
    origin = Origin(origin_type, origin_id, name="a", version=1, start=0, end=len(text))
    return SegmentRecord(SegmentKind.FILE, "eudai-context", origin, "f1", 3, True, "fits", digest(text), 1.5)


async def put_context(storage: SqlStorage, rows: Rows, *segments: tuple[str, str, str]) -> ContextRecord:
    record = ContextRecord(
        run_id=new_id(),
        step=0,
        message_id=new_id(),
        conversation_id=rows.conversation.id,
        model="m",
        system=[segment(*parts) for parts in segments],
        user=[],
        history_from=None,
    )
    async with storage.unit_of_work() as work:
        await work.contexts.put(record, {digest(text): text for text, _, _ in segments})
        await work.commit()
    return record


async def stored_texts(storage: SqlStorage, *texts: str) -> set[str]:
    async with storage.unit_of_work(readonly=True) as work:
        return set((await work.contexts.texts([digest(text) for text in texts])).values())


async def read(storage: SqlStorage, file: FileRecord, text: str) -> None:
    async with storage.unit_of_work() as work:
        await work.documents.finish_version(file.current.id, status=DocumentStatus.READY, text=text, tokens=7)
        await work.commit()


async def test_file_is_found_by_id_name_and_bytes(storage: SqlStorage, rows: Rows) -> None:
    file = await rows.add_file("größe.txt", b"one")
    async with storage.unit_of_work(readonly=True) as work:
        assert await work.documents.get_file(file.id) == file
        assert await work.documents.find_file(rows.project.id, "größe.txt", file.current.sha256) == file
        assert await work.documents.find_file(rows.project.id, "größe.txt", "0" * 64) is None
        assert await work.documents.find_file(rows.project.id, "other", file.current.sha256) is None
        assert await work.documents.find_file(new_id(), "größe.txt", file.current.sha256) is None
        with pytest.raises(NotFound):
            await work.documents.get_file(new_id())


async def test_files_are_listed_newest_first_and_given_oldest_first(storage: SqlStorage, rows: Rows) -> None:
    files = [await rows.add_file(f"{n}.txt", uploaded=n) for n in range(3)]
    async with storage.unit_of_work(readonly=True) as work:
        first = await work.documents.list_files(rows.project.id, cursor=None, limit=2)
        rest = await work.documents.list_files(rows.project.id, cursor=first.next, limit=2)
        assert [*first.items, *rest.items] == files[::-1]
        assert rest.next is None
        assert await work.documents.all_files(rows.project.id) == files


async def test_outcome_of_reading_is_stored_with_its_text(storage: SqlStorage, rows: Rows) -> None:
    file = await rows.add_file()
    async with storage.unit_of_work() as work:
        with pytest.raises(NotFound):
            await work.documents.text_of(file.current.id)
        done = await work.documents.finish_version(
            file.current.id, status=DocumentStatus.READY, text="naïve 𝄞", tokens=3
        )
        assert done == replace(
            file.current, status=DocumentStatus.READY, text_sha256=digest("naïve 𝄞"), characters=7, tokens=3
        )
        assert await work.documents.text_of(file.current.id) == "naïve 𝄞"
        assert await work.documents.get_version(file.current.id) == done
        failed = await work.documents.finish_version(file.current.id, status=DocumentStatus.FAILED, error="broken")
        assert (failed.error, failed.text_sha256) == ("broken", None)
        with pytest.raises(NotFound):
            await work.documents.finish_version(new_id(), status=DocumentStatus.READY, text="x")
        with pytest.raises(InvalidInput):
            await work.documents.finish_version(file.current.id, status=DocumentStatus.READY, text="a\x00b")


async def test_deleting_a_file_releases_blobs_that_nothing_else_names(storage: SqlStorage, rows: Rows) -> None:
    first, second = await rows.add_file("a", b"same"), await rows.add_file("b", b"same")
    async with storage.unit_of_work() as work:
        assert await work.documents.delete_file(first.id) == []
        assert await work.documents.delete_file(second.id) == [second.current.blob_key]
        with pytest.raises(NotFound):
            await work.documents.delete_file(second.id)


async def test_deleting_a_file_erases_its_texts_everywhere(storage: SqlStorage, rows: Rows) -> None:
    file, twin = await rows.add_file("a", b"1"), await rows.add_file("b", b"2")
    await read(storage, file, "whole text")
    await read(storage, twin, "text of both")
    record = await put_context(
        storage,
        rows,
        ("passage", "file", str(file.id)),
        ("text of both", "file", str(file.id)),
        ("be brief", "instruction", str(new_id())),
        ("of a plugin", "file", "not one of ours"),
    )
    index = SqlSearchIndex(storage, asyncio.to_thread)
    await index.put(rows.project.id, file.id, 1, "a", [Passage(0, 0, 7, "passage")])

    async with storage.unit_of_work() as work:
        await work.documents.delete_file(file.id)
        await work.commit()

    left = await stored_texts(storage, "whole text", "passage", "text of both", "be brief", "of a plugin")
    assert left == {"text of both", "be brief", "of a plugin"}
    assert await index.search({"passag": 1.0}, project_id=rows.project.id, limit=5) == []
    async with storage.unit_of_work(readonly=True) as work:
        kept = await work.contexts.of_message(record.message_id)
        assert kept is not None
        assert [part.sha256 for part in kept.system] == [part.sha256 for part in record.system]


async def test_text_of_a_file_that_is_gone_is_not_stored_again(storage: SqlStorage, rows: Rows) -> None:
    file = await rows.add_file()
    async with storage.unit_of_work() as work:
        await work.documents.delete_file(file.id)
        await work.commit()
    await put_context(storage, rows, ("passage", "file", str(file.id)))
    assert await stored_texts(storage, "passage") == set()


async def test_texts_of_a_conversation_go_with_it_and_those_of_files_stay(storage: SqlStorage, rows: Rows) -> None:
    file = await rows.add_file()
    await put_context(storage, rows, ("passage", "file", str(file.id)), ("rules", "core", "rules"))
    other = Rows(storage)
    other.conversation = await rows.add_conversation()
    await put_context(storage, other, ("rules", "core", "rules"))
    async with storage.unit_of_work() as work:
        await work.conversations.delete(rows.conversation.id)
        await work.commit()
    assert await stored_texts(storage, "passage", "rules") == {"passage", "rules"}
    async with storage.unit_of_work() as work:
        await work.projects.delete(rows.project.id)
        await work.commit()
    assert await stored_texts(storage, "passage", "rules") == set()


async def test_a_text_taken_on_while_it_is_erased_is_kept(storage: SqlStorage, rows: Rows) -> None:
    first, second = await rows.add_file("a", b"1"), await rows.add_file("b", b"2")
    await read(storage, first, "shared")

    async def delete() -> None:
        async with storage.unit_of_work() as work:
            await work.documents.delete_file(first.id)
            await work.commit()

    for _ in range(5):
        await asyncio.gather(delete(), read(storage, second, "shared"))
        assert await stored_texts(storage, "shared") == {"shared"}
        first = await rows.add_file("a", b"1")
        await read(storage, first, "shared")


async def test_instructions_are_ordered_by_position_then_age(storage: SqlStorage, rows: Rows) -> None:
    made = [Instruction(new_id(), rows.project.id, f"i{n}", NOW, position) for n, position in enumerate((5, 1, 1))]
    async with storage.unit_of_work() as work:
        for instruction in made:
            await work.documents.add_instruction(instruction)
        assert await work.documents.list_instructions(rows.project.id) == [made[1], made[2], made[0]]
        changed = replace(made[0], instruction_text="new", position=0, enabled=False)
        assert await work.documents.update_instruction(changed) == replace(changed, version=2)
        assert await work.documents.get_instruction(made[0].id) == replace(changed, version=2)
        await work.documents.delete_instruction(made[1].id)
        assert len(await work.documents.list_instructions(rows.project.id)) == 2


async def test_unknown_instruction_is_not_found(storage: SqlStorage, rows: Rows) -> None:
    async with storage.unit_of_work() as work:
        with pytest.raises(NotFound):
            await work.documents.get_instruction(new_id())
        with pytest.raises(NotFound):
            await work.documents.update_instruction(Instruction(new_id(), rows.project.id, "", NOW))
        with pytest.raises(NotFound):
            await work.documents.delete_instruction(new_id())
