"""Projects: settings within their bounds, and changes that do not undo each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from eudai_core.errors import InvalidInput, StaleVersion
from eudai_core.testing import FrozenClock
from support.shelf import Shelf, open_shelf, uploads


@pytest.fixture
async def shelf(tmp_path: Path, clock: FrozenClock, every_database: str) -> AsyncIterator[Shelf]:
    async with open_shelf(tmp_path / "data", clock=clock) as opened:
        yield opened


async def test_changes_of_different_fields_at_once_are_all_kept(shelf: Shelf) -> None:
    projects, key = shelf.app.projects, shelf.project.id
    changes: list[dict[str, Any]] = [
        {"name": "Park"},
        {"description": "Trees"},
        {"settings": {"model": "m"}},
        {"settings": {"overflow": "refuse"}},
        {"settings": {"retention_days": 3}},
    ]
    await asyncio.gather(*(projects.update(shelf.identity, key, **change) for change in changes))
    stored = await projects.get(shelf.identity, key)
    assert (stored.name, stored.description, stored.version) == ("Park", "Trees", 6)
    assert stored.settings == {"model": "m", "overflow": "refuse", "retention_days": 3}


async def test_a_change_or_deletion_upon_an_old_version_is_refused(shelf: Shelf) -> None:
    projects, key = shelf.app.projects, shelf.project.id
    await projects.update(shelf.identity, key, name="Park", expected_version=1)
    with pytest.raises(StaleVersion):
        await projects.update(shelf.identity, key, name="Wood", expected_version=1)
    with pytest.raises(StaleVersion):
        await projects.delete(shelf.identity, key, expected_version=1)
    assert (await projects.get(shelf.identity, key)).name == "Park"
    await projects.delete(shelf.identity, key, expected_version=2)


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"colour": "red"}, "$.settings.colour"),
        ({"model": 3}, "$.settings.model"),
        ({"model": ""}, "$.settings.model"),
        ({"model": "x" * 201}, "$.settings.model"),
        ({"model": "a\0b"}, "$.settings.model"),
        ({"overflow": "explode"}, "$.settings.overflow"),
        ({"retention_days": "30"}, "$.settings.retention_days"),
        ({"retention_days": True}, "$.settings.retention_days"),
        ({"retention_days": 0}, "$.settings.retention_days"),
        ({"retention_days": 36_501}, "$.settings.retention_days"),
    ],
)
async def test_a_bad_setting_is_refused_by_its_path(
    tmp_path: Path, clock: FrozenClock, settings: dict[str, Any], path: str
) -> None:
    async with open_shelf(tmp_path / "data", clock=clock) as shelf:
        with pytest.raises(InvalidInput) as refused:
            await shelf.app.projects.update(shelf.identity, shelf.project.id, name="Park", settings=settings)
        assert [error.path for error in refused.value.errors] == [path]
        assert (await shelf.app.projects.get(shelf.identity, shelf.project.id)).name == "Garden"


async def test_counts_tell_what_is_in_it(shelf: Shelf) -> None:
    content, project = shelf.app.content, shelf.project.id
    await content.files.upload(shelf.identity, project, uploads(("a.txt", b"a"), ("b.txt", b"b")))
    await content.urls.add(shelf.identity, project, url="https://example.org/")
    await content.instructions.add(shelf.identity, project, text="Be brief.")
    await shelf.app.conversations.create(shelf.identity, project, model="m")
    counts = (await shelf.app.projects.get(shelf.identity, project)).counts
    assert (counts.files, counts.urls, counts.instructions, counts.conversations) == (2, 1, 1, 1)
    shelf.fetcher.pages["https://example.org/"] = "Roses"
    await shelf.idle()
    await shelf.app.projects.delete(shelf.identity, project)
    await shelf.idle()
    assert (shelf.kept(), await shelf.found("roses")) == ([], [])


async def test_the_model_of_a_conversation_is_bounded(shelf: Shelf) -> None:
    conversations, project = shelf.app.conversations, shelf.project.id
    with pytest.raises(InvalidInput):
        await conversations.create(shelf.identity, project, model="x" * 201)
    made = await conversations.create(shelf.identity, project, model="")
    assert made.model is None
    with pytest.raises(InvalidInput):
        await conversations.update(shelf.identity, made.id, model="a\0b")
    changed = await conversations.update(shelf.identity, made.id, model="m" * 200)
    with pytest.raises(StaleVersion):
        await conversations.delete(shelf.identity, made.id, expected_version=made.version)
    await conversations.delete(shelf.identity, made.id, expected_version=changed.version)
