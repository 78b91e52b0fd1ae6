"""Instructions: their order in pages, their bounds, and their history."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eudai_core.errors import Conflict, InvalidInput, StaleVersion
from eudai_core.services import instructions as module
from eudai_core.testing import FrozenClock
from support.shelf import Shelf, open_shelf


@pytest.fixture
async def shelf(tmp_path: Path, clock: FrozenClock, every_database: str) -> AsyncIterator[Shelf]:
    async with open_shelf(tmp_path / "data", clock=clock) as opened:
        yield opened


async def test_pages_follow_the_order_in_which_they_are_sent(shelf: Shelf, clock: FrozenClock) -> None:
    service, project = shelf.app.content.instructions, shelf.project.id
    for text, position in (("c", 0), ("e", 1_000_000), ("a", -1_000_000), ("d", 0), ("b", -1)):
        await service.add(shelf.identity, project, text=text, position=position)
        clock.advance(1)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await service.list(shelf.identity, project, cursor=cursor, limit=2)
        seen += [one.instruction_text for one in page.items]
        if page.next is None:
            break
        cursor = page.next
        await service.add(shelf.identity, project, text="new", position=-5)  # before the cursor: shown to nobody
    assert seen == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("cursor", ["", "x", "!", "ü", base64.b64encode(b"\x7f" * 28).decode(), "AAAA"])
async def test_a_cursor_of_nobody_s_is_refused(tmp_path: Path, clock: FrozenClock, cursor: str) -> None:
    async with open_shelf(tmp_path / "data", clock=clock) as shelf:
        with pytest.raises(InvalidInput) as refused:
            await shelf.app.content.instructions.list(shelf.identity, shelf.project.id, cursor=cursor)
        assert [error.path for error in refused.value.errors] == ["$.cursor"]


async def test_what_it_said_is_kept(shelf: Shelf, clock: FrozenClock) -> None:
    service, project = shelf.app.content.instructions, shelf.project.id
    made = await service.add(shelf.identity, project, text="Be brief.")
    clock.advance(60)
    await service.update(shelf.identity, project, made.id, enabled=False)
    changed = await service.update(shelf.identity, project, made.id, text="Be kind.", expected_version=2)
    assert (changed.version, changed.enabled) == (3, False)
    with pytest.raises(StaleVersion):
        await service.update(shelf.identity, project, made.id, text="x", expected_version=2)
    with pytest.raises(StaleVersion):
        await service.delete(shelf.identity, project, made.id, expected_version=2)
    versions = (await service.versions(shelf.identity, project, made.id)).items
    assert [(one.number, one.instruction_text, one.created_at) for one in versions] == [
        (3, "Be kind.", clock.now()),
        (1, "Be brief.", made.created_at),
    ]
    await service.delete(shelf.identity, project, made.id, expected_version=3)


async def test_changes_of_different_fields_at_once_are_all_kept(shelf: Shelf) -> None:
    service, project = shelf.app.content.instructions, shelf.project.id
    made = await service.add(shelf.identity, project, text="Be brief.")
    await asyncio.gather(
        service.update(shelf.identity, project, made.id, text="Be kind."),
        service.update(shelf.identity, project, made.id, position=7),
        service.update(shelf.identity, project, made.id, enabled=False),
    )
    stored = await service.get(shelf.identity, project, made.id)
    assert (stored.instruction_text, stored.position, stored.enabled, stored.version) == ("Be kind.", 7, False, 4)


async def test_bounds(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    service, project = shelf.app.content.instructions, shelf.project.id
    for text, position, path in (
        ("", 0, "$.instruction_text"),
        (" \n", 0, "$.instruction_text"),
        ("x" * 20_001, 0, "$.instruction_text"),
        ("a\0", 0, "$.instruction_text"),
        ("x", 1_000_001, "$.position"),
        ("x", -(2**40), "$.position"),
    ):
        with pytest.raises(InvalidInput) as refused:
            await service.add(shelf.identity, project, text=text, position=position)
        assert [error.path for error in refused.value.errors] == [path]
    made = await service.add(shelf.identity, project, text="x" * 20_000)
    with pytest.raises(InvalidInput):
        await service.update(shelf.identity, project, made.id, position=2_000_000)
    monkeypatch.setattr(module, "MOST_INSTRUCTIONS", 1)
    with pytest.raises(Conflict, match="at most 1 instruction"):
        await service.add(shelf.identity, project, text="y")
