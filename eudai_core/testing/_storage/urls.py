"""Web pages of projects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from eudai_core.contracts import UnitOfWork
from eudai_core.errors import Conflict, NotFound
from eudai_core.ids import new_id
from eudai_core.model import DocumentStatus, Page, Url
from eudai_core.testing._storage.keeping import must_equal
from eudai_core.testing._storage.paging import must_page, must_refuse_cursors
from eudai_core.testing._storage.rows import Rows, at, digest

__all__ = [
    "check_changing_a_url",
    "check_deleting_a_url",
    "check_deleting_urls_with_their_owners",
    "check_one_url_of_an_address",
    "check_reading_a_url",
    "check_url_pages",
    "check_urls",
]


async def check_urls(rows: Rows) -> None:
    """A page comes back whole."""
    made = replace(
        rows.url("https://example.org/ü?q=1#x"),
        description="about ü",
        title="Ü",
        status=DocumentStatus.FAILED,
        error="gone",
        fetched_at=at(2.5),
        pinned=True,
    )
    plain = rows.url("")
    async with rows.writing() as work:
        await work.urls.add(made)
        await work.urls.add(plain)
    async with rows.reading() as work:
        must_equal(await work.urls.get(made.id), made, "a page comes back whole")
        must_equal(await work.urls.get(plain.id), plain, "a page that was never fetched comes back whole")
        must_equal(await work.urls.all(new_id()), [], "a project that is not there has no pages")
        many = await work.urls.many([plain.id, new_id(), made.id, made.id])
        must_equal(many, {made.id: made, plain.id: plain}, "many() gives those that are there, with their versions")
        must_equal(await work.urls.many([]), {}, "many() of nothing is nothing")
    for call in (
        lambda work: work.urls.get(new_id()),
        lambda work: work.urls.delete(new_id()),
        lambda work: work.urls.update(replace(made, id=new_id(), url="new")),
        lambda work: work.urls.add(replace(made, id=new_id(), project_id=new_id())),
        lambda work: work.urls.add(replace(made, id=new_id(), url="new", added_by=new_id())),
    ):
        await rows.refused(NotFound, call, "a page, its project or its user that is not there is NotFound")


async def check_one_url_of_an_address(rows: Rows) -> None:
    """An address is once in a project, however long it is."""
    # Hashes, so that no database can make it shorter.
    long = "https://example.org/" + "".join(digest(f"{n}") for n in range(150))
    other = await rows.add_project()
    for address in ("https://example.org/a", long):
        url = await rows.add_url(address)
        await rows.refused(
            Conflict,
            lambda work, address=address: work.urls.add(rows.url(address)),  # type: ignore[misc]  # a default
            "an address that the project has is a Conflict",
        )
        elsewhere = await rows.add_url(address, project=other)
        near = await rows.add_url(address + "/")
        upper = await rows.add_url(address.upper())
        async with rows.reading() as work:
            found = [await work.urls.get(one.id) for one in (url, elsewhere, near, upper)]
        must_equal(found, [url, elsewhere, near, upper], "other addresses, or the same of another project, are stored")
    taken = replace(url, id=url.id, url="new")
    await rows.refused(Conflict, lambda work: work.urls.add(taken), "an id that is taken is a Conflict")


async def check_url_pages(rows: Rows) -> None:
    """Pages are listed newest first and all of them given oldest first."""
    await rows.add_url(project=await rows.add_project())
    urls = [await rows.add_url(f"{n}", created=created) for n, created in enumerate((3, 1, 3, 3, 2))]
    await rows.add_version(urls[0], 1)
    await rows.add_version(urls[0], 2)

    async def listed(work: UnitOfWork, cursor: str | None, limit: int) -> Page[Url]:
        return await work.urls.list(rows.project.id, cursor=cursor, limit=limit)

    async with rows.reading() as work:
        newest = list((await listed(work, None, 99)).items)
        oldest = list(await work.urls.all(rows.project.id))
        single = [await work.urls.get(url.id) for url in newest]
    times = sorted(url.created_at for url in urls)
    must_equal([url.created_at for url in oldest], times, "all pages are given oldest first")
    must_equal([url.created_at for url in newest], times[::-1], "pages are listed newest first")
    must_equal(len(newest), len(urls), "every page of the project is listed once, whether it was fetched or not")
    must_equal({url.id for url in newest}, {url.id for url in urls}, "the pages of the project are listed")
    must_equal(newest, single, "pages are listed whole, with their current versions")
    must_equal(sorted(oldest, key=_id), sorted(newest, key=_id), "all() gives the same as list()")
    await must_page(rows, listed, [url.id for url in newest])
    await must_refuse_cursors(rows, listed)


async def check_changing_a_url(rows: Rows) -> None:
    """Everything of a page can be changed but where it belongs and what was fetched."""
    url, other = await rows.add_url("a"), await rows.add_url("b")
    version = await rows.add_version(url, 1)
    changed = replace(
        url,
        url="c",
        description="d",
        title="t",
        status=DocumentStatus.READY,
        error="e",
        fetched_at=at(3),
        pinned=True,
        current=version,
    )
    with_more = replace(changed, project_id=new_id(), added_by=new_id(), created_at=at(9), current=None)
    async with rows.writing() as work:
        must_equal(await work.urls.update(with_more), changed, "update() stores what may be changed of a page")
    async with rows.reading() as work:
        must_equal(await work.urls.get(url.id), changed, "update() returns what is stored")
        must_equal(await work.urls.get(other.id), other, "other pages stay as they are")
    await rows.refused(
        Conflict,
        lambda work: work.urls.update(replace(other, url="c")),
        "an address that another page has is a Conflict",
    )
    await rows.add_url("a")
    async with rows.writing() as work:
        back = replace(changed, error=None, fetched_at=None, description="")
        must_equal(await work.urls.update(back), back, "what may be empty can be made so, under the same address")


async def check_reading_a_url(rows: Rows) -> None:
    """What is fetched is read like a file, and shown as current."""
    url = await rows.add_url()
    first = await rows.add_version(url, 1, b"one")
    async with rows.writing() as work:
        done = await work.documents.finish_version(first.id, status=DocumentStatus.READY, text="ü", tokens=2)
        must_equal(
            done, replace(first, status=done.status, text_sha256=digest("ü"), characters=1, tokens=2), "it is read"
        )
    async with rows.reading() as work:
        must_equal(await work.urls.get(url.id), replace(url, current=done), "a page shows its version as it is")
        must_equal(await work.documents.text_of(first.id), "ü", "the text of a page comes back exactly")
    second = await rows.add_version(url, 2, b"two")
    async with rows.writing() as work:
        await work.documents.finish_version(second.id, status=DocumentStatus.READY, text="text")
        again = await work.documents.finish_version(first.id, status=DocumentStatus.FAILED, error="x")
    async with rows.reading() as work:
        current = (await work.urls.get(url.id)).current
        must_equal(current and (current.id, current.text_sha256), (second.id, digest("text")), "the newest is current")
        must_equal(await work.documents.get_version(first.id), again, "what was fetched before stays")


async def check_deleting_a_url(rows: Rows) -> None:
    """Deleting a page takes its versions and texts along and returns the blob keys that nothing names any more."""
    url, other, file = await rows.add_url("a"), await rows.add_url("b"), await rows.add_file("a", b"of both")
    only, shared = await rows.add_version(url, 1, b"only here"), await rows.add_version(url, 2, b"of both")
    kept = await rows.add_version(other, 1, b"kept")
    for version, text in ((only, "only here"), (shared, "of both"), (kept, "kept"), (file.current, "of both")):
        async with rows.writing() as work:
            await work.documents.finish_version(version.id, status=DocumentStatus.READY, text=text)
    async with rows.writing() as work:
        must_equal(await work.urls.delete(url.id), [only.blob_key], "the blobs that nothing names are released")
    for call in (
        lambda work: work.urls.get(url.id),
        lambda work: work.urls.delete(url.id),
        lambda work: work.documents.get_version(only.id),
        lambda work: work.documents.add_version(rows.version(url, 3)),
    ):
        await rows.refused(NotFound, call, "a page that was deleted is NotFound, with its versions")
    texts = ("only here", "of both", "kept")
    async with rows.reading() as work:
        left = await work.contexts.texts([digest(text) for text in texts])
        must_equal(set(left.values()), {"of both", "kept"}, "the texts that nobody else names are erased")
        must_equal([one.id for one in await work.urls.all(rows.project.id)], [other.id], "other pages stay")
    await rows.add_url("a")


async def check_deleting_urls_with_their_owners(rows: Rows) -> None:
    """A deleted project, or user, takes pages with versions, texts and blobs along."""
    bob = await rows.add_user("bob")
    homes = [rows.project, await rows.add_project(bob)]
    released: list[Sequence[str]] = []
    for number, home in enumerate(homes):
        url = await rows.add_url(project=home)
        versions = [await rows.add_version(url, n, f"{number} {n}".encode()) for n in (1, 2)]
        async with rows.writing() as work:
            await work.documents.finish_version(versions[0].id, status=DocumentStatus.READY, text="of both")
        async with rows.writing() as work:
            gone = await (work.users.delete(bob.id) if number else work.projects.delete(home.id))
        released.append(gone)
        keys = sorted(version.blob_key for version in versions)
        must_equal(sorted(gone), keys, "the blobs of all versions of a project's pages are released with it")
        for call in (
            lambda work, url=url: work.urls.get(url.id),
            lambda work, versions=versions: work.documents.get_version(versions[1].id),
        ):
            await rows.refused(NotFound, call, "pages go with their project, and with their user")
        async with rows.reading() as work:
            must_equal(await work.contexts.texts([digest("of both")]), {}, "the texts of pages go with them")


def _id(url: Url) -> str:
    return str(url.id)
