"""Instructions, and what they said before."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from eudai_core.contracts import UnitOfWork
from eudai_core.errors import NotFound, StaleVersion
from eudai_core.ids import new_id
from eudai_core.model import Instruction, InstructionVersion, Page
from eudai_core.testing._storage.keeping import must_equal
from eudai_core.testing._storage.paging import must_page, must_refuse_cursors
from eudai_core.testing._storage.rows import NOW, Rows, at

__all__ = [
    "check_instruction_history",
    "check_instruction_order",
    "check_instruction_versions",
    "check_instructions",
    "check_instructions_at_once",
]


async def check_instruction_order(rows: Rows) -> None:
    """Instructions are given by position, then oldest first."""
    other = await rows.add_project()
    made = [
        Instruction(new_id(), rows.project.id, f"i{n}", at(created), position)
        for n, (position, created) in enumerate(((5, 0), (1, 3), (1, 1), (1, 2), (-1, 9)))
    ]
    async with rows.writing() as work:
        for instruction in made:
            await work.documents.add_instruction(instruction)
        await work.documents.add_instruction(Instruction(new_id(), other.id, "x", NOW))
    async with rows.reading() as work:
        found = await work.documents.list_instructions(rows.project.id)
        expected = [made[n] for n in (4, 2, 3, 1, 0)]
        must_equal(found, expected, "instructions are given by position, then oldest first")


async def check_instructions(rows: Rows) -> None:
    """Instructions are stored, changed and deleted."""
    made = Instruction(new_id(), rows.project.id, "be brief", NOW, position=2, enabled=False)
    changed = replace(made, instruction_text="be long", position=0, enabled=True, created_at=at(5), version=9)
    async with rows.writing() as work:
        await work.documents.add_instruction(made)
        must_equal(await work.documents.get_instruction(made.id), made, "an instruction comes back whole")
        stored = await work.documents.update_instruction(changed, expected_version=None, at=at(7))
        expected = replace(changed, created_at=NOW, version=2)
        must_equal(stored, expected, "an update stores text, position and enabled under the next version")
    async with rows.reading() as work:
        must_equal(await work.documents.get_instruction(made.id), expected, "an update returns what is stored")
    async with rows.writing() as work:
        await work.documents.delete_instruction(made.id)
    for call in (
        lambda work: work.documents.get_instruction(made.id),
        lambda work: work.documents.update_instruction(made, expected_version=None, at=NOW),
        lambda work: work.documents.update_instruction(made, expected_version=1, at=NOW),
        lambda work: work.documents.delete_instruction(made.id),
        lambda work: work.documents.add_instruction(replace(made, project_id=new_id())),
    ):
        await rows.refused(NotFound, call, "an instruction, or its project, that is not there is NotFound")


async def check_instruction_versions(rows: Rows) -> None:
    """An update that knows another version than the stored one changes nothing."""
    made = await _added(rows)
    changed = replace(made, instruction_text="be long", position=3)
    async with rows.writing() as work:
        stored = await work.documents.update_instruction(changed, expected_version=1, at=at(1))
        must_equal(stored.version, 2, "an update counts the version up")
    await rows.refused(
        StaleVersion,
        lambda work: work.documents.update_instruction(made, expected_version=1, at=at(2)),
        "another version than the stored one is StaleVersion",
    )
    async with rows.reading() as work:
        must_equal(await work.documents.get_instruction(made.id), stored, "a stale update changes nothing")
    must_equal(len(await _history(rows, made)), 2, "a stale update is no part of the history")


async def check_instruction_history(rows: Rows) -> None:
    """The history has every text, with the version and time that it began with."""
    made, other = await _added(rows), await _added(rows, "other", version=4)
    texts = ("be brief", "be long", "be long", "Be long", "be brief", "")
    for seconds, text in enumerate(texts, 1):
        changed = replace(made, instruction_text=text, position=seconds)
        async with rows.writing() as work:
            await work.documents.update_instruction(changed, expected_version=None, at=at(seconds))
    expected = [
        InstructionVersion(number, text, at(seconds))
        for number, text, seconds in ((7, "", 6), (6, "be brief", 5), (5, "Be long", 4), (3, "be long", 2))
    ]
    expected.append(InstructionVersion(1, "be brief", NOW))
    sentence = "the history has each text once, with the version and time that it began with, newest first"
    must_equal(await _history(rows, made), expected, sentence)
    must_equal(await _history(rows, other), [InstructionVersion(4, "other", NOW)], "the history begins with the first")

    async def listed(work: UnitOfWork, cursor: str | None, limit: int) -> Page[InstructionVersion]:
        return await work.documents.instruction_versions(made.id, cursor=cursor, limit=limit)

    await must_page(rows, listed, [7, 6, 5, 3, 1], name=lambda version: version.number)
    await must_refuse_cursors(rows, listed)
    async with rows.writing() as work:
        await work.documents.delete_instruction(made.id)
    must_equal(await _history(rows, made), [], "an instruction that was deleted has no history")
    must_equal(len(await _history(rows, other)), 1, "deleting an instruction takes nothing of others along")


async def check_instructions_at_once(rows: Rows) -> None:
    """Of updates of one version at once one is stored, and every stored text is in the history."""
    made = await _added(rows)

    async def update(number: int, expected_version: int | None) -> bool:
        changed = replace(made, instruction_text=f"text {number}")
        try:
            async with rows.writing(rows.handle(number)) as work:
                await work.documents.update_instruction(changed, expected_version=expected_version, at=at(number))
        except StaleVersion:
            return False
        return True

    done = await asyncio.gather(*(update(number, 1) for number in range(4)))
    must_equal(sum(done), 1, "of updates of one version at once one is stored, the others are StaleVersion")
    await asyncio.gather(*(update(number, None) for number in range(4, 8)))
    history = await _history(rows, made)
    must_equal([version.number for version in history], [6, 5, 4, 3, 2, 1], "every stored text is in the history")
    async with rows.reading() as work:
        stored = await work.documents.get_instruction(made.id)
    must_equal(history[0].instruction_text, stored.instruction_text, "the history begins with the present text")


async def _added(rows: Rows, text: str = "be brief", version: int = 1) -> Instruction:
    made = Instruction(new_id(), rows.project.id, text, NOW, version=version)
    async with rows.writing() as work:
        await work.documents.add_instruction(made)
    return made


async def _history(rows: Rows, instruction: Instruction) -> list[InstructionVersion]:
    async with rows.reading() as work:
        page = await work.documents.instruction_versions(instruction.id, cursor=None, limit=99)
    return list(page.items)
