"""Pages: rows, the job that fetches them, what is made of their bytes, and what is left when they are gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eudai_core.errors import Conflict, InvalidInput, NotFound, StaleVersion, Unavailable
from eudai_core.ids import new_id
from eudai_core.model import DocumentStatus, Url
from eudai_core.plugins.roles import STORAGE
from eudai_core.services.fetching import FETCH_JOB, state_of
from eudai_core.services.revisions import url_revision
from eudai_core.testing import FrozenClock
from support.shelf import Shelf, open_shelf, uploads

ROSES = "https://example.org/roses"


@pytest.fixture
async def shelf(tmp_path: Path, clock: FrozenClock, every_database: str) -> AsyncIterator[Shelf]:
    async with open_shelf(tmp_path / "data", clock=clock) as opened:
        yield opened


async def add(shelf: Shelf, text: str | bytes | Exception = "Roses are red.", url: str = ROSES) -> Url:
    shelf.fetcher.pages[url] = text
    page = await shelf.app.content.urls.add(shelf.identity, shelf.project.id, url=url, description="About roses")
    await shelf.idle()
    return page


async def look(shelf: Shelf, page: Url) -> Url:
    return await shelf.app.content.urls.get(shelf.identity, shelf.project.id, page.id)


async def text_of(shelf: Shelf, page: Url) -> str:
    found = await look(shelf, page)
    assert found.current is not None
    async with shelf.app.host.one(STORAGE).unit_of_work(readonly=True) as unit:
        return await unit.documents.text_of(found.current.id)


async def test_a_page_is_fetched_read_and_found(shelf: Shelf, clock: FrozenClock) -> None:
    shelf.fetcher.title = " All about\n roses "
    page = await add(shelf)
    assert (page.status, page.current) == (DocumentStatus.PENDING, None)
    found = await look(shelf, page)
    assert found.current is not None
    assert state_of(found) == (DocumentStatus.READY, None)
    assert (found.title, found.fetched_at, found.description) == ("All about roses", clock.now(), "About roses")
    assert (found.current.number, found.current.media_type, found.current.size) == (1, "text/plain", 14)
    assert (found.current.owner_type, found.current.owner_id) == ("url", page.id)
    assert await text_of(shelf, page) == "Roses are red."
    assert await shelf.found("red") == ["Roses are red."]
    assert await shelf.found("about") == ["Roses are red."], "a page is found by its title, too"
    assert shelf.fetcher.closed == 1
    told = await shelf.told("url", 3)
    assert [(action, data["status"]) for action, data in told] == [
        ("created", "pending"),
        ("updated", "pending"),
        ("updated", "ready"),
    ]
    assert {data["project_id"] for _, data in told} == {str(shelf.project.id)}


async def test_a_search_finds_pages_among_files_and_tells_which_is_which(shelf: Shelf) -> None:
    shelf.fetcher.title = "All about roses"
    page = await add(shelf)
    project = shelf.project.id
    await shelf.app.content.files.upload(shelf.identity, project, uploads(("notes.txt", b"Roses in my notes.")))
    await shelf.idle()
    found = (await shelf.app.search.find(shelf.identity, "roses")).items
    assert {(one.type, one.name) for one in found} == {("url", "All about roses"), ("file", "notes.txt")}
    only = (await shelf.app.search.find(shelf.identity, "roses", types=["url"])).items
    assert [(one.type, one.id, one.snippet.text) for one in only] == [("url", page.id, "Roses are red.")]
    await shelf.app.content.urls.delete(shelf.identity, project, page.id)
    assert [one.type for one in (await shelf.app.search.find(shelf.identity, "roses")).items] == ["file"]


async def test_what_is_fetched_again_makes_a_version_only_when_it_differs(shelf: Shelf, clock: FrozenClock) -> None:
    urls, page = shelf.app.content.urls, await add(shelf)
    clock.advance(60)
    assert (await urls.refresh(shelf.identity, shelf.project.id, page.id)).status is DocumentStatus.PENDING
    await shelf.idle()
    same = await look(shelf, page)
    assert same.current is not None
    assert (same.current.number, same.fetched_at) == (1, clock.now())
    assert len(shelf.kept()) == 1
    shelf.fetcher.pages[ROSES] = "Roses are white."
    await urls.refresh(shelf.identity, shelf.project.id, page.id)
    await shelf.idle()
    versions = await urls.versions(shelf.identity, shelf.project.id, page.id)
    assert [version.number for version in versions.items] == [2, 1]
    assert (await shelf.found("roses"), len(shelf.kept())) == (["Roses are white."], 2)


async def test_a_fetch_that_fails_leaves_what_was_there(shelf: Shelf) -> None:
    page = await add(shelf)
    shelf.fetcher.pages[ROSES] = InvalidInput("The page is gone: its server answered 410.")
    await shelf.app.content.urls.refresh(shelf.identity, shelf.project.id, page.id)
    await shelf.idle()
    found = await look(shelf, page)
    assert state_of(found) == (DocumentStatus.FAILED, "The page is gone: its server answered 410.")
    assert found.current is not None
    assert await shelf.found("red") == ["Roses are red."]
    shelf.fetcher.pages[ROSES] = "Roses are red."
    await shelf.app.content.urls.refresh(shelf.identity, shelf.project.id, page.id)
    await shelf.idle()
    assert state_of(await look(shelf, page)) == (DocumentStatus.READY, None)


async def test_a_page_that_became_unreadable_is_found_no_more(shelf: Shelf) -> None:
    page = await add(shelf)
    shelf.fetcher.pages[ROSES] = b"\x89PNG\r\n\x1a\n"
    await shelf.app.content.urls.refresh(shelf.identity, shelf.project.id, page.id)
    await shelf.idle()
    status, error = state_of(await look(shelf, page))
    assert status is DocumentStatus.FAILED
    assert "image/png" in (error or "")
    assert await shelf.found("red") == []


async def test_without_a_fetcher_it_says_so(tmp_path: Path, clock: FrozenClock) -> None:
    async with open_shelf(tmp_path / "data", clock=clock, fetching=False) as shelf:
        page = await add(shelf)
        status, error = state_of(await look(shelf, page))
        assert (status, error) == (
            DocumentStatus.FAILED,
            "No URL fetcher is loaded for https addresses: see `eudai plugins list`.",
        )


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (Unavailable("The server of the page does not answer."), "The server of the page does not answer."),
        (RuntimeError("secret"), "The plugin that fetches pages failed; the server's log tells more."),
        (NotFound("There is no such page."), "There is no such page."),
    ],
)
async def test_what_fails_for_now_is_tried_again_then_given_up(
    tmp_path: Path, clock: FrozenClock, broken: Exception, told: str
) -> None:
    async with open_shelf(tmp_path / "data", clock=clock) as shelf:
        page = await add(shelf, broken)
        for wait in (1, 4, 16, 64):
            await shelf.idle()
            assert (await look(shelf, page)).status is DocumentStatus.PENDING
            clock.advance(wait)
        await shelf.idle()
        assert state_of(await look(shelf, page)) == (DocumentStatus.FAILED, told)
        assert (len(shelf.fetcher.asked), shelf.kept()) == (5, [])


@pytest.mark.parametrize(("page", "told"), [(b"", "The page is empty."), (b"x" * 1_100_000, "is larger than 1 MB")])
async def test_empty_and_huge_pages_are_refused(tmp_path: Path, clock: FrozenClock, page: bytes, told: str) -> None:
    async with open_shelf(tmp_path / "data", clock=clock) as shelf:
        added = await add(shelf, page)
        status, error = state_of(await look(shelf, added))
        assert status is DocumentStatus.FAILED
        assert told in (error or "")
        assert (shelf.kept(), shelf.fetcher.closed) == ([], 1)


async def test_deleting_a_page_leaves_nothing(shelf: Shelf) -> None:
    page = await add(shelf)
    version = (await look(shelf, page)).current
    assert version is not None
    await shelf.app.content.urls.delete(shelf.identity, shelf.project.id, page.id)
    await shelf.idle()
    assert (await shelf.found("red"), shelf.kept()) == ([], [])
    async with shelf.app.storage.unit_of_work(readonly=True) as unit:
        with pytest.raises(NotFound):
            await unit.documents.text_of(version.id)
    with pytest.raises(NotFound, match=f"There is no page {page.id}"):
        await look(shelf, page)
    assert (await shelf.told("url", 4))[-1][0] == "deleted"


async def test_a_page_deleted_while_it_is_fetched_leaves_nothing(shelf: Shelf) -> None:
    async def meanwhile(url: str) -> None:
        listed = await shelf.app.content.urls.list(shelf.identity, shelf.project.id)
        await shelf.app.content.urls.delete(shelf.identity, shelf.project.id, listed.items[0].id)

    shelf.fetcher.before = meanwhile
    await add(shelf)
    assert (await shelf.found("red"), shelf.kept()) == ([], [])


async def test_a_page_given_another_address_while_it_is_fetched_gets_that_one(shelf: Shelf) -> None:
    shelf.fetcher.pages["https://example.org/tulips"] = "Tulips are yellow."

    async def meanwhile(url: str) -> None:
        if url == ROSES:
            listed = await shelf.app.content.urls.list(shelf.identity, shelf.project.id)
            page = listed.items[0]
            await shelf.app.content.urls.update(
                shelf.identity, shelf.project.id, page.id, url="https://example.org/tulips"
            )

    shelf.fetcher.before = meanwhile
    page = await add(shelf)
    found = await look(shelf, page)
    assert state_of(found) == (DocumentStatus.READY, None)
    assert await text_of(shelf, page) == "Tulips are yellow."
    assert (await shelf.found("red"), len(shelf.kept())) == ([], 1)


async def test_asking_again_while_it_is_fetched_has_it_fetched_once_more(shelf: Shelf) -> None:
    began, go = asyncio.Event(), asyncio.Event()

    async def wait(url: str) -> None:
        began.set()
        await go.wait()

    shelf.fetcher.before = wait
    shelf.fetcher.pages[ROSES] = "Roses are red."
    page = await shelf.app.content.urls.add(shelf.identity, shelf.project.id, url=ROSES)
    await began.wait()
    for _ in range(3):
        await shelf.app.content.urls.refresh(shelf.identity, shelf.project.id, page.id)
    go.set()
    await shelf.idle()
    assert shelf.fetcher.asked == [ROSES, ROSES]
    assert state_of(await look(shelf, page)) == (DocumentStatus.READY, None)


async def test_a_fetch_that_hangs_is_ended(shelf: Shelf, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = shelf.app.jobs._handlers._core[FETCH_JOB]
    monkeypatch.setattr(handler, "_seconds", 0.05)

    async def for_ever(url: str) -> None:
        await asyncio.Event().wait()

    shelf.fetcher.before = for_ever
    page = await add(shelf)
    for wait in (1, 4, 16, 64):
        clock.advance(wait)
        await shelf.idle()
    assert state_of(await look(shelf, page)) == (
        DocumentStatus.FAILED,
        "The page took longer than the 0.05 seconds that are allowed.",
    )
    assert shelf.app.host.states()[-1].faults == {}, "a slow page is no fault of the fetcher"


async def test_an_address_is_in_a_project_once(shelf: Shelf) -> None:
    page = await add(shelf)
    urls, project = shelf.app.content.urls, shelf.project.id
    with pytest.raises(Conflict):
        await urls.add(shelf.identity, project, url="HTTPS://EXAMPLE.org:443/a/../roses#red")
    other = await add(shelf, url="https://example.org/other")
    with pytest.raises(Conflict):
        await urls.update(shelf.identity, project, other.id, url=ROSES)
    await urls.update(shelf.identity, project, page.id, url=ROSES)
    await shelf.idle()
    assert shelf.fetcher.asked.count(ROSES) == 1, "the same address is no change"
    with pytest.raises(InvalidInput):
        await urls.add(shelf.identity, project, url="https://example.org/", description="x" * 10_001)


async def test_a_change_upon_an_old_state_is_refused(shelf: Shelf) -> None:
    urls, project = shelf.app.content.urls, shelf.project.id
    page = await add(shelf)
    seen = url_revision(page)
    assert url_revision(await look(shelf, page)) == seen, "that it was fetched is nobody's change"
    pinned = await urls.update(shelf.identity, project, page.id, pinned=True, expected=seen)
    assert (pinned.pinned, pinned.description) == (True, "About roses")
    with pytest.raises(StaleVersion):
        await urls.update(shelf.identity, project, page.id, description="x", expected=seen)
    with pytest.raises(StaleVersion):
        await urls.delete(shelf.identity, project, page.id, expected=seen)
    await urls.delete(shelf.identity, project, page.id, expected=url_revision(pinned))


async def test_pages_of_others_are_not_there(shelf: Shelf) -> None:
    page, urls = await add(shelf), shelf.app.content.urls
    other = await shelf.app.projects.create(shelf.identity, name="Another")
    for project, key in ((other.id, page.id), (shelf.project.id, new_id()), (new_id(), page.id)):
        for call in (urls.get, urls.versions, urls.refresh, urls.delete, urls.update):
            with pytest.raises(NotFound, match=f"There is no page {key}"):
                await call(shelf.identity, project, key)


@pytest.mark.parametrize(
    ("said", "data", "expected"),
    [
        ("text/html; charset=utf-8", b"<p>Roses", "text/html"),
        ("text/plain", b"<!DOCTYPE html><p>Roses", "text/html"),
        ("text/html", b"%PDF-1.7", "application/pdf"),
        ("application/json", b"[1]", "application/json"),
        ("", b"Roses", "text/plain"),
        ("text/html\r\nX-Evil: 1", b"Roses", "text/plain"),
        ("x" * 200 + "/html", b"Roses", "text/plain"),
    ],
)
async def test_the_type_is_what_the_bytes_show_else_what_was_said(
    tmp_path: Path, clock: FrozenClock, said: str, data: bytes, expected: str
) -> None:
    async with open_shelf(tmp_path / "data", clock=clock) as shelf:
        shelf.fetcher.media_type = said
        found = await look(shelf, await add(shelf, data))
        assert found.current is not None
        assert found.current.media_type == expected
