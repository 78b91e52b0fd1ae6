"""The sources ``instructions`` and ``files`` over a real database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from eudai_context.files import FileSource, file_id
from eudai_context.instructions import InstructionSource
from eudai_core.errors import ConfigError
from eudai_core.ids import new_id
from eudai_core.model import (
    ContextQuery,
    DocumentStatus,
    SearchDocument,
    SearchHit,
    SearchScope,
    Segment,
    SegmentKind,
    Stability,
)
from eudai_core.text import query_terms
from support.assembled import World


def query(world: World, question: str, *, tokens: int = 2000, placed: Sequence[str] = ()) -> ContextQuery:
    return ContextQuery(
        user_id=world.project.owner_id,
        project_id=world.project.id,
        conversation_id=world.conversation.id,
        question=question,
        terms=query_terms(question),
        history=(),
        model="m",
        evidence_tokens=tokens,
        placed=frozenset(placed),
    )


def files_of(world: World) -> FileSource:
    return FileSource(world.storage, world.search)


def topic(n: int, words: int = 120) -> str:
    return f"# Topic{n}\n\nThe keyword{n} is here. " + "filler " * words


async def test_instructions_come_in_their_order_without_disabled_ones(world: World) -> None:
    await world.add_instruction("Second.", position=2)
    await world.add_instruction("First.", position=1)
    await world.add_instruction("Off.", enabled=False)
    await world.add_instruction("   ")
    found = await InstructionSource(world.storage).collect(query(world, "?"))
    assert [s.text for s in found] == ["First.", "Second."]
    assert {(s.kind, s.stability, s.required) for s in found} == {(SegmentKind.INSTRUCTION, Stability.STATIC, True)}
    assert len({s.id for s in found}) == 2


async def test_files_that_fit_come_in_full(world: World) -> None:
    one = await world.add_file("a.md", "Alpha.")
    await world.add_file("b.md", "Beta.", pinned=True)
    found = await files_of(world).collect(query(world, "Alpha?"))
    assert {s.text: (s.stability, s.required) for s in found} == {
        "Alpha.": (Stability.STATIC, False),
        "Beta.": (Stability.STATIC, True),
    }
    assert next(s.id for s in found if s.text == "Alpha.") == file_id(one.id, 1)
    # Pinned ones stand first in the prompt.
    assert [s.text for s in sorted(found, key=lambda s: s.order)] == ["Beta.", "Alpha."]


async def test_files_that_do_not_fit_come_in_passages_and_pinned_ones_in_full(world: World) -> None:
    await world.add_file("pinned.md", "Always.", pinned=True)
    await world.add_file("big.md", "\n\n".join(topic(n) for n in range(30)))
    found = await files_of(world).collect(query(world, "What about keyword7?"))
    assert found[0].text == "Always."
    best = max((s for s in found if s.stability is Stability.TURN), key=lambda s: s.score or 0)
    assert "keyword7 is here" in best.text
    assert best.origin.start is not None
    assert best.origin.end is not None
    assert best.origin.end - best.origin.start == len(best.text)
    assert best.id.partition(":")[0] == file_id(UUID(best.origin.id), 1)
    assert best.reason.startswith("matches")


@pytest.mark.parametrize(
    ("part_of_share", "placed", "whole"),
    [
        (0.95, "nothing", True),
        (0.95, "passage", False),
        (0.8, "passage", True),
        (0.95, "file", True),
        (1.05, "file", False),
    ],
)
async def test_the_mode_changes_late(world: World, part_of_share: float, placed: str, whole: bool) -> None:
    file = await world.add_file("a.md", "\n\n".join(topic(n) for n in range(5)))
    async with world.storage.unit_of_work(readonly=True) as work:
        size = (await work.documents.get_file(file.id)).current.tokens
    this = file_id(file.id, 1)
    ids = {"nothing": (), "passage": (f"{this}:1",), "file": (this,)}[placed]
    found = await files_of(world).collect(query(world, "keyword1", tokens=int(size / part_of_share), placed=ids))
    assert {s.stability for s in found} == {Stability.STATIC if whole else Stability.TURN}


async def test_without_a_hit_the_files_begin_to_speak_named_ones_first(world: World) -> None:
    await world.add_file("cooking.md", topic(1, 900))
    await world.add_file("gardening.md", topic(2, 900))
    found = await files_of(world).collect(query(world, "Summarise gardening please", tokens=1000))
    texts = [s.text for s in found]
    assert any("keyword2" in text for text in texts)
    unmatched = await files_of(world).collect(query(world, "zzz", tokens=1000))
    assert [s.reason for s in unmatched] == ["file start", "file start"]
    assert {s.text[:8] for s in unmatched} == {"# Topic1", "# Topic2"}


class _NoIndex:
    """What stands for a search index that the operator did not choose."""

    async def search(
        self, terms: Mapping[str, float], *, scopes: Sequence[SearchScope], limit: int
    ) -> Sequence[SearchHit]:
        raise ConfigError("There is no search index.")

    async def put(self, documents: Sequence[SearchDocument]) -> None:
        raise ConfigError("There is no search index.")

    async def remove(self, key: UUID) -> None:
        raise ConfigError("There is no search index.")


async def test_without_a_search_index_the_files_begin_to_speak(world: World) -> None:
    await world.add_file("big.md", topic(1, 2000))
    found = await FileSource(world.storage, _NoIndex()).collect(query(world, "keyword1", tokens=1000))
    assert [s.reason for s in found] == ["file start"]


async def test_another_project_s_files_are_not_offered(world: World) -> None:
    await world.add_file("big.md", "\n\n".join(topic(n) for n in range(30)))
    stranger = replace(query(world, "keyword7"), project_id=world.conversation.id)
    assert await files_of(world).collect(stranger) == []


async def test_a_project_without_files_offers_nothing(world: World) -> None:
    found: Sequence[Segment] = await files_of(world).collect(query(world, "Anything?"))
    assert found == []


def test_a_new_version_has_an_id_of_its_own() -> None:
    first, second = file_id(UUID(int=7), 1), file_id(UUID(int=7), 2)
    assert len(first) == 8
    assert first.startswith("f")
    assert second == f"{first}v2"


async def test_pages_are_offered_like_files(world: World) -> None:
    page = await world.add_page("https://example.org/roses", "Roses are red.", title="Roses")
    await world.add_file("a.md", "Alpha.")
    whole = await files_of(world).collect(query(world, "Roses?"))
    assert [(s.kind, s.text) for s in whole] == [(SegmentKind.FILE, "Alpha."), (SegmentKind.PAGE, "Roses are red.")]
    assert (whole[1].origin.type, whole[1].origin.id, whole[1].origin.name) == ("url", str(page.id), "Roses")
    await world.add_page("https://example.org/big", "\n\n".join(topic(n) for n in range(30)))
    passages = await files_of(world).collect(query(world, "What about keyword7?"))
    best = max(passages, key=lambda s: s.score or 0)
    assert (best.kind, best.origin.type, best.origin.name) == (SegmentKind.PAGE, "url", "https://example.org/big")
    assert "keyword7 is here" in best.text
    assert best.id.startswith("p")


async def test_until_a_new_version_is_read_passages_of_the_old_one_are_offered(world: World) -> None:
    file = await world.add_file("a.md", "Roses are red.")
    version = replace(file.current, id=new_id(), number=2, sha256="0" * 64, blob_key="blob/2")
    async with world.storage.unit_of_work() as work:
        await work.documents.add_version(version)
        await work.commit()
    (passage,) = await files_of(world).collect(query(world, "Roses?"))
    assert (passage.text, passage.origin.version, passage.stability) == ("Roses are red.", 1, Stability.TURN)
    async with world.storage.unit_of_work() as work:
        await work.documents.finish_version(version.id, status=DocumentStatus.FAILED, error="No text.")
        await work.commit()
    assert await files_of(world).collect(query(world, "Roses?")) == []
