"""From a stored file to passages, through the real plugins, and every way it can go wrong."""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eudai_content import ContentPlugin
from eudai_context import ContextPlugin
from eudai_core.contracts import SearchIndex
from eudai_core.errors import NotFound, StorageUnavailable
from eudai_core.ids import new_id
from eudai_core.ingest import INGEST_JOB, reading
from eudai_core.ingest.document import Document, of_file
from eudai_core.ingest.reading import find_extractor
from eudai_core.jobs import TRIES
from eudai_core.model import DocumentStatus, DocumentVersion, Job
from eudai_core.plugins.roles import BLOB_STORES, SEARCH_INDEXES, STORAGE
from eudai_core.testing.clock import FrozenClock
from eudai_sql import SqlPlugin
from support.ingest_desk import Desk, HostileExtractor

pytestmark = pytest.mark.usefixtures("scratch")
GUIDE = "# Guide\n\nHow to feed a heron.\n\n## Fish\n\nHerons like small fish best.\n"


def left_in(scratch: Path) -> list[str]:
    return [path.name for path in scratch.iterdir() if path.is_dir()]


class TestOnBothDatabases:
    @pytest.fixture
    def url(self, database_url: str) -> str:
        return database_url

    async def test_a_file_becomes_text_tokens_passages_and_an_event(self, desk: Desk, scratch: Path) -> None:
        file = await desk.upload("guide.md", GUIDE.replace("\n", "\r\n").encode())
        await desk.runner.idle()
        version = await desk.version(file)
        assert (version.status, version.error) == (DocumentStatus.READY, None)
        assert version.characters == len(GUIDE)
        assert 5 < version.tokens < len(GUIDE)
        assert await desk.text(file) == GUIDE
        best = (await desk.search("what fish do herons like"))[0]
        assert (best.document_id, best.version, best.name) == (file.id, 1, "guide.md")
        assert GUIDE[best.passage.start : best.passage.end] == best.passage.text
        project = str(desk.rows.project.id)
        data = {"project_id": project, "version": 1, "status": "ready"}
        assert desk.told.events == [("file", "updated", desk.rows.user.id, file.id, data)]
        assert left_in(scratch) == []

    async def test_a_repeat_after_the_end_changes_nothing(self, desk: Desk) -> None:
        file = await desk.upload("guide.md", GUIDE.encode())
        await desk.runner.idle()
        before = (await desk.version(file), await desk.search("fish"))
        await desk.ingest.enqueue(file.current)
        await desk.runner.idle()
        assert (await desk.version(file), await desk.search("fish")) == before
        assert desk.told.statuses == ["ready", "ready"]

    async def test_scheduled_with_the_rows_it_cannot_be_forgotten(self, desk: Desk) -> None:
        file = await desk.store("guide.md", GUIDE.encode())
        async with desk.host.one(STORAGE).unit_of_work() as unit:
            await desk.ingest.schedule(unit, file.current)
            await unit.commit()
        await desk.runner.idle()
        assert (await desk.version(file)).status is DocumentStatus.READY

    async def test_a_file_deleted_before_its_turn_leaves_nothing(self, desk: Desk) -> None:
        file = await desk.store("guide.md", GUIDE.encode())
        await desk.delete(file)
        await desk.ingest.enqueue(file.current)
        await desk.runner.idle()
        assert await desk.search("fish") == []
        assert desk.told.events == []

    async def test_a_file_deleted_while_it_is_indexed_leaves_nothing(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        index = desk.host.one(SEARCH_INDEXES)
        put = index.put
        file = await desk.store("guide.md", GUIDE.encode())

        async def deleted_meanwhile(*arguments: Any) -> None:
            await put(*arguments)
            await desk.delete(file)

        monkeypatch.setattr(index, "put", deleted_meanwhile)
        await desk.ingest.enqueue(file.current)
        await desk.runner.idle()
        assert await desk.search("fish") == []
        assert desk.told.events == []


@pytest.mark.parametrize(
    ("data", "media_type", "told"),
    [
        (b"\x89PNG\r\n\x1a\n", None, "no text extractor for image/png"),
        (b"text with \0 inside", "text/plain", "binary"),
        (b" \n\n ", "text/plain", "No text"),
        (b"x", "application/x-raises", "damaged"),
        (b"x", "application/x-far_line", "more text"),
    ],
)
async def test_a_file_that_cannot_be_read_fails_at_once(
    desk: Desk, scratch: Path, data: bytes, media_type: str | None, told: str
) -> None:
    file = await desk.upload("some.file", data, media_type)
    await desk.runner.idle()
    version = await desk.version(file)
    assert version.status is DocumentStatus.FAILED
    assert version.error is not None
    assert told in version.error
    assert str(scratch) not in version.error
    assert desk.told.statuses == ["failed"]
    with pytest.raises(NotFound):
        await desk.text(file)


async def test_a_failed_version_stays_failed_when_the_job_is_repeated(desk: Desk) -> None:
    file = await desk.upload("some.file", b"\0", "image/png")
    await desk.runner.idle()
    before = await desk.version(file)
    await desk.ingest.enqueue(file.current)
    await desk.runner.idle()
    assert await desk.version(file) == before
    assert desk.told.statuses == ["failed", "failed"]


async def test_unusable_characters_are_replaced(desk: Desk) -> None:
    file = await desk.upload("some.file", b"x", "application/x-unusable")
    await desk.runner.idle()
    assert (await desk.text(file)).startswith("nul \ufffd, surrogate \ufffd")


async def test_what_is_not_there_now_is_tried_again_then_given_up(desk: Desk, clock: FrozenClock) -> None:
    file = await desk.upload("some.file", b"x", "application/x-killed")
    for wait in (1, 4, 16, 64):
        await desk.runner.idle()
        assert (await desk.version(file)).status is DocumentStatus.PENDING
        clock.advance(wait)
    await desk.runner.idle()
    version = await desk.version(file)
    assert version.status is DocumentStatus.FAILED
    assert version.error == "Reading this file was ended from outside; try again later."
    assert desk.told.statuses == ["failed"]


async def test_given_up_after_the_file_was_deleted(desk: Desk, clock: FrozenClock) -> None:
    file = await desk.store("guide.md", GUIDE.encode())
    await desk.delete(file)
    payload = {"version_id": str(file.current.id), "document_id": str(file.id)}
    await desk.handler.give_up(Job(new_id(), INGEST_JOB, payload["version_id"], payload, clock.now()), "no more tries")
    assert desk.told.events == []


async def test_bytes_that_are_missing_are_told_in_the_end(desk: Desk, clock: FrozenClock) -> None:
    file = await desk.store("guide.md", GUIDE.encode())
    await desk.host.one(BLOB_STORES).delete(file.current.blob_key)
    await desk.ingest.enqueue(file.current)
    for _ in range(TRIES):
        await desk.runner.idle()
        clock.advance(64)
    await desk.runner.idle()
    assert "bytes of this file are missing" in ((await desk.version(file)).error or "")


async def test_no_room_for_the_copy_is_no_fault_of_the_file(
    desk: Desk, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, scratch: Path
) -> None:
    def full(path: Path, piece: bytes) -> None:
        raise OSError(errno.ENOSPC, "no space", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(reading, "_append", full)
        file = await desk.upload("guide.md", GUIDE.encode())
        await desk.runner.idle()
    assert left_in(scratch) == []
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "mkdtemp", full)
        clock.advance(1)
        await desk.runner.idle()
    assert (await desk.version(file)).status is DocumentStatus.PENDING
    clock.advance(4)
    await desk.runner.idle()
    assert (await desk.version(file)).status is DocumentStatus.READY


@pytest.mark.parametrize("step", ["put", "commit", "tell"])
async def test_cut_off_after_any_step_it_ends_right(
    desk: Desk, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A step is done, and then everything after it is lost."""
    index: SearchIndex = desk.host.one(SEARCH_INDEXES)
    target: Any = {"put": index, "commit": desk.handler, "tell": desk.told}[step]
    name = {"put": "put", "commit": "_finish", "tell": "tell"}[step]
    original = getattr(target, name)

    async def cut_off(*arguments: Any, **options: Any) -> None:
        monkeypatch.undo()
        await original(*arguments, **options)
        raise StorageUnavailable("The database does not answer.")

    def cut_off_telling(*arguments: Any) -> None:
        monkeypatch.undo()
        raise RuntimeError("the process was killed here")

    monkeypatch.setattr(target, name, cut_off_telling if step == "tell" else cut_off)
    file = await desk.upload("guide.md", GUIDE.encode())
    await desk.runner.idle()
    assert desk.told.events == []
    clock.advance(1)
    await desk.runner.idle()
    assert (await desk.version(file)).status is DocumentStatus.READY
    assert await desk.text(file) == GUIDE
    assert len({hit.passage.start for hit in await desk.search("fish heron")}) == len(await desk.search("fish heron"))
    assert desk.told.statuses == ["ready"]


@pytest.mark.skipif(os.name != "posix", reason="pipes with names")
async def test_a_server_that_stops_in_the_middle_goes_on_at_its_next_start(desk: Desk, scratch: Path) -> None:
    began, go = scratch / "began", scratch / "go"
    os.mkfifo(began)
    os.mkfifo(go)
    file = await desk.upload("some.file", b"x", "application/x-slow")
    await asyncio.to_thread(began.read_bytes)
    await desk.runner.aclose()
    assert left_in(scratch) == []
    assert (await desk.version(file)).status is DocumentStatus.PENDING
    await desk.runner.start()
    await asyncio.to_thread(began.read_bytes)
    await asyncio.to_thread(go.write_bytes, b"x")
    await desk.runner.idle()
    assert await desk.text(file) == "text at last"


async def test_an_older_version_is_kept_but_not_searched(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    file = await desk.store("guide.md", GUIDE.encode())
    newer = of_file(replace(file, current=replace(file.current, id=new_id(), number=2)))

    async def found(job: Job) -> tuple[Document, DocumentVersion]:
        return newer, file.current

    monkeypatch.setattr(desk.handler, "_find", found)
    await desk.ingest.enqueue(file.current)
    await desk.runner.idle()
    assert await desk.text(file) == GUIDE
    assert await desk.search("fish") == []


class TestWithoutChunkerAndIndex:
    @pytest.fixture
    def plugins(self) -> list[object]:
        without_index = type("Plugin", (SqlPlugin,), {"eudai_register_search_indexes": None})
        without_chunker = type("Plugin", (ContextPlugin,), {"eudai_register_chunkers": None})
        return [
            ("eudai-sql", without_index()),
            ("eudai-content", ContentPlugin()),
            ("eudai-context", without_chunker()),
        ]

    async def test_the_text_is_there_all_the_same(self, desk: Desk) -> None:
        file = await desk.upload("guide.md", GUIDE.encode())
        await desk.runner.idle()
        assert (await desk.version(file)).status is DocumentStatus.READY
        assert await desk.text(file) == GUIDE


def test_the_extractor_that_names_the_type_comes_before_one_for_the_family() -> None:
    class Family(HostileExtractor):
        @property
        def media_types(self) -> frozenset[str]:
            return frozenset({"text/*", "application/json"})

    family, exact = Family("family"), HostileExtractor("well")
    extractors = {"family": family, "exact": exact}
    assert find_extractor(extractors, "application/x-well") is exact
    assert find_extractor(extractors, "text/x-python") is family
    assert find_extractor(extractors, "application/json") is family
    assert find_extractor(extractors, "image/png") is None
