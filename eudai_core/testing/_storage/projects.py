"""Projects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from eudai_core.contracts import UnitOfWork
from eudai_core.errors import Conflict, NotFound, StaleVersion
from eudai_core.ids import new_id
from eudai_core.model import Instruction, Page, Project, ProjectCounts
from eudai_core.testing._storage.keeping import must_equal
from eudai_core.testing._storage.paging import must_page, must_refuse_cursors
from eudai_core.testing._storage.rows import NOW, Rows, at

__all__ = [
    "check_deleting_a_project",
    "check_project_blobs",
    "check_project_counts",
    "check_project_pages",
    "check_project_versions",
    "check_projects",
]


async def check_projects(rows: Rows) -> None:
    """A project comes back whole."""
    settings = {"model": None, "overflow": "drop", "retention_days": 30, "nested": {"a": [1, 2.5, True, "ä"]}}
    project = replace(rows.project, id=new_id(), description="", settings=settings, updated_at=at(1), version=4)
    async with rows.writing() as work:
        await work.projects.add(project)
    async with rows.reading() as work:
        must_equal(await work.projects.get(project.id), project, "a project comes back whole")
        ids = await work.projects.ids(rows.user.id)
        must_equal(set(ids), {project.id, rows.project.id}, "ids() returns the ids of all of the owner's projects")
        must_equal(len(ids), 2, "ids() names no project twice")
        must_equal(await work.projects.ids(new_id()), [], "ids() of nobody are none")
    await rows.refused(NotFound, lambda work: work.projects.get(new_id()), "a project that is not there is NotFound")
    await rows.refused(Conflict, lambda work: work.projects.add(project), "an id that is taken is a Conflict")
    await rows.refused(
        NotFound,
        lambda work: work.projects.add(replace(project, id=new_id(), owner_id=new_id())),
        "a project of nobody is NotFound",
    )


async def check_project_counts(rows: Rows) -> None:
    """``get`` and ``list`` fill in the counts."""
    other = await rows.add_project()
    await rows.add_file()
    await rows.add_version(await rows.add_file(project=other), 2)
    await rows.add_conversations(2)
    for address in ("a", "b", "c", "d"):
        await rows.add_version(await rows.add_url(address), 1)
    await rows.add_url(project=other)
    async with rows.writing() as work:
        for position in range(2):
            await work.documents.add_instruction(Instruction(new_id(), rows.project.id, "x", NOW, position))
    expected = ProjectCounts(files=1, urls=4, instructions=2, conversations=3)
    async with rows.reading() as work:
        must_equal((await work.projects.get(rows.project.id)).counts, expected, "get() fills in the counts")
        listed = await work.projects.list(rows.user.id, cursor=None, limit=9)
        counts = {project.id: project.counts for project in listed.items}
        others = ProjectCounts(files=1, urls=1)
        must_equal(counts, {rows.project.id: expected, other.id: others}, "list() fills in the counts")


async def check_project_pages(rows: Rows) -> None:
    """Projects of one owner are listed newest first, in pages without loss or repeats."""
    await rows.add_project(await rows.add_user("bob"))
    added = [await rows.add_project(created=seconds) for seconds in (2, 1, 2, 2)]
    newest_first = sorted([rows.project, *added], key=lambda project: project.created_at, reverse=True)

    async def listed(work: UnitOfWork, cursor: str | None, limit: int) -> Page[Project]:
        return await work.projects.list(rows.user.id, cursor=cursor, limit=limit)

    async with rows.reading() as work:
        whole = (await listed(work, None, 99)).items
    times = [project.created_at for project in newest_first]
    must_equal([project.created_at for project in whole], times, "projects are listed newest first")
    must_equal(
        {project.id for project in whole}, {project.id for project in newest_first}, "all of the owner's are listed"
    )
    await must_page(rows, listed, [project.id for project in whole])
    await must_refuse_cursors(rows, listed)


async def check_project_versions(rows: Rows) -> None:
    """An update stores its fields under the next version, when it knows the stored one."""
    changed = replace(
        rows.project, name="New", description="d", settings={"a": 1}, updated_at=at(9), created_at=at(5), version=7
    )
    expected = replace(changed, created_at=rows.project.created_at, version=2, counts=ProjectCounts(conversations=1))
    async with rows.writing() as work:
        stored = await work.projects.update(changed, expected_version=1)
        must_equal(stored, expected, "update() stores name, description and settings under the next version")
    async with rows.reading() as work:
        must_equal(await work.projects.get(rows.project.id), expected, "update() returns what is stored")
    await rows.refused(
        StaleVersion,
        lambda work: work.projects.update(changed, expected_version=1),
        "another version than the stored one is StaleVersion",
    )
    async with rows.writing() as work:
        stored = await work.projects.update(changed, expected_version=None)
        must_equal(stored.version, 3, "without expected_version every version may be changed")
    for version in (None, 1):
        await rows.refused(
            NotFound,
            lambda work, version=version: work.projects.update(  # type: ignore[misc]  # a default, no parameter
                replace(changed, id=new_id()), expected_version=version
            ),
            "updating a project that is not there is NotFound",
        )


async def check_deleting_a_project(rows: Rows) -> None:
    """A deleted project takes everything in it along, and nothing else."""
    other = await rows.add_project()
    file, kept = await rows.add_file(), await rows.add_file("b", b"b", project=other)
    instruction = Instruction(new_id(), rows.project.id, "x", NOW)
    message = await rows.add_message()
    run = rows.run()
    async with rows.writing() as work:
        await work.documents.add_instruction(instruction)
        await work.runs.add(run, rows.command(run, "c1"))
    async with rows.writing() as work:
        await work.projects.delete(rows.project.id)
    for call in (
        lambda work: work.projects.get(rows.project.id),
        lambda work: work.documents.get_file(file.id),
        lambda work: work.documents.get_version(file.current.id),
        lambda work: work.documents.get_instruction(instruction.id),
        lambda work: work.conversations.get(rows.conversation.id),
        lambda work: work.messages.get(message.id),
        lambda work: work.runs.get(run.id),
        lambda work: work.projects.delete(rows.project.id),
    ):
        await rows.refused(NotFound, call, "a deleted project takes everything in it along")
    async with rows.reading() as work:
        must_equal(await work.projects.ids(rows.user.id), [other.id], "a deleted project is listed no more")
        must_equal(await work.documents.get_file(kept.id), kept, "a deleted project takes nothing of others along")
        history = await work.documents.instruction_versions(instruction.id, cursor=None, limit=9)
        must_equal(history, Page([]), "a deleted project takes the history of its instructions along")
        must_equal(await work.runs.queued(), 0, "the runs of a deleted project wait no more")


async def check_project_blobs(rows: Rows) -> None:
    """Deleting a project returns the blob keys that nothing names any more."""
    other = await rows.add_project()
    only = [await rows.add_file("a.txt", b"only here"), await rows.add_file("b.txt", b"only here")]
    await rows.add_file("c.txt", b"shared")
    shared = await rows.add_file("d.txt", b"shared", project=other)
    released: list[Sequence[str]] = []
    for project in (rows.project, other):
        async with rows.writing() as work:
            released.append(await work.projects.delete(project.id))
    must_equal(released[0], [only[0].current.blob_key], "delete() returns each blob key that nothing names, once")
    must_equal(released[1], [shared.current.blob_key], "a blob key is returned by who deletes its last name")
