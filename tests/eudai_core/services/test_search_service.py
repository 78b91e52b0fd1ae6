"""Searching one's own messages and files."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import pytest

from eudai_core.errors import InvalidInput, NotFound, Unavailable
from eudai_core.hooks import hookimpl
from eudai_core.ids import new_id
from eudai_core.model import (
    Conversation,
    Decision,
    Identity,
    Message,
    Project,
    ResourceRef,
    SearchResult,
    Sender,
    User,
)
from eudai_core.search import MessageIndexer
from eudai_core.services import Access, Projects, Search
from eudai_core.services.garbage import BlobGarbage
from eudai_core.services.notices import Notices
from eudai_core.testing import FrozenClock
from support.assembled import NOW, World, open_world


@pytest.fixture
def service(world: World, clock: FrozenClock) -> Search:
    return made(world, clock)


@pytest.fixture
async def plain(sqlite_url: str, clock: FrozenClock) -> AsyncIterator[Search]:
    """The service over one database, for what no database is asked for."""
    async with open_world(sqlite_url) as opened:
        yield made(opened, clock)


def made(world: World, clock: FrozenClock) -> Search:
    access = Access(world.host)
    garbage = BlobGarbage(world.storage, None, clock, lambda: None)
    projects = Projects(world.storage, access, clock, Notices(world.host, clock), garbage)
    return Search(world.host, world.storage, access, projects)


def owner(world: World) -> Identity:
    return Identity(world.project.owner_id, "ada")


async def say(world: World, *texts: str, conversation: UUID | None = None) -> list[UUID]:
    messages = [
        Message(new_id(), conversation or world.conversation.id, None, Sender.USER, text, NOW) for text in texts
    ]
    async with world.storage.unit_of_work() as work:
        for message in messages:
            await work.messages.add(message)
        await work.commit()
    await MessageIndexer(world.host, world.storage, FrozenClock()).catch_up()
    return [message.id for message in messages]


async def stranger(world: World) -> tuple[User, Conversation]:
    user = User(new_id(), "eve", "eve@example.org", NOW)
    project = Project(new_id(), user.id, "Hers", "", NOW, NOW)
    talk = Conversation(new_id(), project.id, user.id, "Her talk", NOW, NOW)
    async with world.storage.unit_of_work() as work:
        await work.users.add(user, "no hash")
        await work.projects.add(project)
        await work.conversations.add(talk)
        await work.commit()
    return user, talk


def ids(items: Sequence[SearchResult]) -> list[UUID]:
    return [item.id for item in items]


async def test_messages_and_files_are_found_with_all_that_is_shown(world: World, service: Search) -> None:
    (said,) = await say(world, "Do herons fish at night?")
    file = await world.add_file("birds.md", "A heron stands in the river.")
    page = await service.find(owner(world), "herons")
    assert page.next is None
    by_type = {item.type: item for item in page.items}
    message, found = by_type["message"], by_type["file"]
    assert (message.id, message.conversation_id, message.name) == (said, world.conversation.id, "Talk")
    assert (message.project_id, message.timestamp) == (world.project.id, NOW)
    assert message.snippet.text == "Do herons fish at night?"
    assert [message.snippet.text[one.start : one.end] for one in message.snippet.highlights] == ["herons"]
    assert (found.id, found.conversation_id, found.name, found.timestamp) == (file.id, None, "birds.md", NOW)
    assert [found.snippet.text[one.start : one.end] for one in found.snippet.highlights] == ["heron"]
    assert message.score > 0


async def test_types_and_project_narrow_it(world: World, service: Search) -> None:
    await say(world, "A heron.")
    file = await world.add_file("birds.md", "A heron.")
    assert ids((await service.find(owner(world), "heron", types=["file"])).items) == [file.id]
    assert [item.type for item in (await service.find(owner(world), "heron", types=["message"])).items] == ["message"]
    assert len((await service.find(owner(world), "heron", project_id=world.project.id)).items) == 2
    with pytest.raises(NotFound):
        await service.find(owner(world), "heron", project_id=new_id())


async def test_what_is_another_s_is_never_found(world: World, service: Search) -> None:
    user, talk = await stranger(world)
    await say(world, "A heron of mine.")
    hers = await say(world, "A heron of hers.", conversation=talk.id)
    assert ids((await service.find(Identity(user.id, "eve"), "heron")).items) == hers
    assert not set(hers) & set(ids((await service.find(owner(world), "heron")).items))
    with pytest.raises(NotFound):
        await service.find(owner(world), "heron", project_id=talk.project_id)


async def test_what_was_deleted_meanwhile_is_left_out(world: World, service: Search) -> None:
    await say(world, "A heron.")
    file = await world.add_file("birds.md", "A heron.")
    async with world.storage.unit_of_work() as work:
        await work.conversations.delete(world.conversation.id)
        await work.commit()
    assert ids((await service.find(owner(world), "heron")).items) == [file.id]


async def test_pages_follow_each_other_without_gap_or_repetition(world: World, service: Search) -> None:
    await say(world, *(f"heron {'word ' * number}" for number in range(25)))
    await world.add_file("long.md", "\n\n".join(f"# Part {n}\n\nA heron again. " + "word " * 140 for n in range(12)))
    whole = ids((await service.find(owner(world), "heron", limit=200)).items)
    assert len(whole) == len(set(whole)) == 26
    paged: list[UUID] = []
    cursor = None
    while True:
        page = await service.find(owner(world), "heron", limit=4, cursor=cursor)
        paged += ids(page.items)
        cursor = page.next
        if cursor is None:
            break
    assert paged == whole
    past_the_end = base64.b64encode(b"search:999", altchars=b"-_").decode()
    assert (await service.find(owner(world), "heron", cursor=past_the_end)).items == []


@pytest.mark.parametrize("cursor", ["", "x", "%%%", "é", base64.b64encode(b"search:1000").decode(), "c2VhcmNoOjA="])
async def test_a_bad_cursor_is_refused(plain: Search, cursor: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await plain.find(Identity(new_id(), "ada"), "heron", cursor=cursor)
    assert [error.path for error in refused.value.errors] == ["$.cursor"]


@pytest.mark.parametrize(
    ("q", "options", "path"),
    [
        ("", {}, "$.q"),
        ("  ", {}, "$.q"),
        ("a\0b", {}, "$.q"),
        ("\ud800", {}, "$.q"),
        ("x" * 10_001, {}, "$.q"),
        ("a", {"types": []}, "$.type"),
        ("a", {"types": ["message", "page"]}, "$.type"),
        ("a", {"limit": 0}, "$.limit"),
        ("a", {"limit": 201}, "$.limit"),
    ],
)
async def test_what_is_wrong_is_named(plain: Search, q: str, options: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await plain.find(Identity(new_id(), "ada"), q, **options)
    assert [error.path for error in refused.value.errors] == [path]


@pytest.mark.parametrize(
    "q",
    [
        'heron"; drop table messages; --',
        "heron AND NOT (fish OR",
        "heron* 'fish' %_\\",
        "🎉 heron 🎉",
        "heron 東京都",
        "heron " + "word " * 1990,
        "heron" + " e\u0301" * 3000,
    ],
)
async def test_any_text_may_be_asked(world: World, service: Search, q: str) -> None:
    (said,) = await say(world, "A heron 🎉 in 東京都.")
    assert ids((await service.find(owner(world), q)).items) == [said]


async def test_signs_alone_find_nothing(world: World, service: Search) -> None:
    await say(world, "A heron!")
    assert (await service.find(owner(world), "!?🎉")).items == []


async def test_a_policy_may_keep_a_project_out(sqlite_url: str, clock: FrozenClock) -> None:
    class Policy:
        eudai_api = (0, 1)
        closed: UUID | None = None

        @hookimpl
        async def eudai_authorize(self, identity: Identity, action: str, resource: ResourceRef) -> Decision | None:
            if resource.id == self.closed:
                return Decision.DENY
            return Decision.ALLOW

    policy = Policy()
    async with open_world(sqlite_url, ("policy", policy)) as world:
        await say(world, "A heron.")
        service = made(world, clock)
        assert len((await service.find(owner(world), "heron")).items) == 1
        policy.closed = world.project.id
        assert (await service.find(owner(world), "heron")).items == []


async def test_without_an_index_it_is_unavailable(
    world: World, service: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.host, "find", lambda role: None)
    with pytest.raises(Unavailable, match="without a search index"):
        await service.find(owner(world), "heron")


async def test_the_loop_turns_while_long_texts_are_searched(world: World, service: Search) -> None:
    """Nothing that grows with texts runs on the loop: it turns many times during one search."""
    await say(world, *("heron " + "word " * 700 for _ in range(60)))
    searching = asyncio.ensure_future(service.find(owner(world), "heron word"))
    turns = 0
    while not searching.done():
        await asyncio.sleep(0)
        turns += 1
    assert len((await searching).items) == 50
    assert turns > 100
