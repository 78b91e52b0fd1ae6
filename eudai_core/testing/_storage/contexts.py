"""Context records, and the texts that they name."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from eudai_core.errors import NotFound
from eudai_core.ids import new_id
from eudai_core.model import ContextRecord, Conversation, Origin, SegmentKind, SegmentRecord
from eudai_core.testing._storage.keeping import must, must_equal
from eudai_core.testing._storage.rows import Rows, digest

__all__ = [
    "check_contexts",
    "check_newest_context",
    "check_texts",
    "check_texts_of_conversations",
    "check_texts_of_deleted_files",
    "check_texts_of_files",
    "check_texts_of_pages",
]


async def check_contexts(rows: Rows) -> None:
    """A context record comes back whole."""
    record = replace(
        _record(rows, "be brief"),
        user=[_segment("why?", "message", str(new_id()))],
        left_out=[replace(_segment("old", "file", str(new_id())), included=False, score=0.25, id="f1")],
        history_from=new_id(),
        report={"budget": {"window": 4096}, "list": [1, None]},
    )
    async with rows.writing() as work:
        await work.contexts.put(record, {digest("be brief"): "be brief", digest("why?"): "why?"})
    async with rows.reading() as work:
        must_equal(await work.contexts.of_message(record.message_id), record, "a context record comes back whole")
        must(await work.contexts.of_message(new_id()) is None, "an answer without a record has None")
    await rows.refused(
        NotFound,
        lambda work: work.contexts.put(replace(record, run_id=new_id(), conversation_id=new_id()), {}),
        "a record of no conversation is NotFound",
    )


async def check_newest_context(rows: Rows) -> None:
    """Of the records of an answer the newest is given: of its last run, and of that run's last step."""
    answer, other, older_run, newer_run = (new_id() for _ in range(4))
    newest = replace(_record(rows), message_id=answer, run_id=newer_run, step=1)
    elsewhere = replace(_record(rows), message_id=other)
    async with rows.writing() as work:
        for record in (
            newest,
            replace(newest, run_id=older_run, step=7),
            replace(newest, step=0),
            elsewhere,
        ):
            await work.contexts.put(record, {})
    async with rows.reading() as work:
        must_equal(await work.contexts.of_message(answer), newest, "of_message() gives the newest record")
        found = await work.contexts.of_messages([answer, other, new_id()])
        must_equal(found, {answer: newest, other: elsewhere}, "of_messages() gives the newest records that are there")
        must_equal(await work.contexts.of_messages([]), {}, "of_messages() of nothing is nothing")


async def check_texts(rows: Rows) -> None:
    """Texts are kept once by hash; what is not there is missing."""
    for _ in range(2):
        await _put(rows, _record(rows, "be brief", "wh𝄞?"))
    async with rows.reading() as work:
        hashes = [digest(text) for text in ("be brief", "wh𝄞?", "unknown", "be brief")]
        expected = {hashes[0]: "be brief", hashes[1]: "wh𝄞?"}
        must_equal(await work.contexts.texts(hashes), expected, "texts are given by hash, those not there are missing")
        must_equal(await work.contexts.texts([]), {}, "no hashes give no texts")


async def check_texts_of_conversations(rows: Rows) -> None:
    """The text of a record goes with the last conversation that has it."""
    other = await rows.add_conversation()
    await _put(rows, _record(rows, "rules", "mine"))
    await _put(rows, _record(rows, "rules", conversation=other))
    async with rows.writing() as work:
        await work.conversations.delete(rows.conversation.id)
    must_equal(await _left(rows, "rules", "mine"), {"rules"}, "a text is kept while another conversation names it")
    async with rows.writing() as work:
        await work.projects.delete(rows.project.id)
    must_equal(await _left(rows, "rules", "mine"), set(), "a text goes with the last conversation that names it")


async def check_texts_of_files(rows: Rows) -> None:
    """The text of a file is erased everywhere with the file; records keep the hash."""
    file = await rows.add_file()
    record = replace(
        _record(rows, "be brief"),
        user=[_segment("passage", "file", str(file.id)), _segment("of a plugin", "file", "not one of ours")],
        left_out=[replace(_segment("left out", "file", str(file.id)), included=False)],
    )
    texts = ("be brief", "passage", "of a plugin", "left out")
    async with rows.writing() as work:
        await work.contexts.put(record, {digest(text): text for text in texts})
    must_equal(await _left(rows, *texts), set(texts), "the texts of a record are stored")
    async with rows.writing() as work:
        await work.documents.delete_file(file.id)
    must_equal(await _left(rows, *texts), {"be brief", "of a plugin"}, "texts of a file are erased with it")
    async with rows.reading() as work:
        must_equal(await work.contexts.of_message(record.message_id), record, "a record keeps the hashes")


async def check_texts_of_deleted_files(rows: Rows) -> None:
    """The text of a file that is gone is not stored again, and that of a file outlives the conversation."""
    kept, gone = await rows.add_file("a", b"1"), await rows.add_file("b", b"2")
    async with rows.writing() as work:
        await work.documents.delete_file(gone.id)
    for file, text in ((kept, "of a file"), (gone, "of a file that is gone")):
        await _put(rows, replace(_record(rows), user=[_segment(text, "file", str(file.id))]), text)
    texts = ("of a file", "of a file that is gone")
    must_equal(await _left(rows, *texts), {"of a file"}, "the text of a file that is gone is not stored")
    async with rows.writing() as work:
        await work.conversations.delete(rows.conversation.id)
    must_equal(await _left(rows, *texts), {"of a file"}, "the text of a file stays while the file is there")


async def check_texts_of_pages(rows: Rows) -> None:
    """The text of a page is erased everywhere with the page, and not stored when the page is gone."""
    url, gone = await rows.add_url("a"), await rows.add_url("b")
    file = await rows.add_file()
    async with rows.writing() as work:
        await work.urls.delete(gone.id)
    segments = [
        _segment("of the page", "url", str(url.id)),
        _segment("of the page that is gone", "url", str(gone.id)),
        _segment("of no page", "url", str(file.id)),
        _segment("of the file", "file", str(file.id)),
        _segment("of both", "file", str(file.id)),
        _segment("of both", "url", str(url.id)),
    ]
    texts = ("of the page", "of the page that is gone", "of no page", "of the file", "of both")
    record = replace(_record(rows), user=segments)
    await _put(rows, record, *texts)
    kept = {"of the page", "of the file", "of both"}
    must_equal(await _left(rows, *texts), kept, "the text of a page that is gone is not kept")
    async with rows.writing() as work:
        await work.urls.delete(url.id)
    must_equal(await _left(rows, *texts), {"of the file", "of both"}, "texts are erased with the last they belong to")
    async with rows.writing() as work:
        await work.documents.delete_file(file.id)
    must_equal(await _left(rows, *texts), set(), "texts are erased with the last that they belong to")
    async with rows.reading() as work:
        must_equal(await work.contexts.of_message(record.message_id), record, "a record keeps the hashes")


def _segment(text: str, origin_type: str, origin_id: str) -> SegmentRecord:
    origin = Origin(origin_type, origin_id, name="a", version=2, start=0, end=len(text))
    kind = SegmentKind.FILE if origin_type == "file" else SegmentKind.INSTRUCTION
    return SegmentRecord(kind, "a-plugin", origin, "", 3, True, "fits", digest(text), 1.5)


def _record(rows: Rows, *texts: str, conversation: Conversation | None = None) -> ContextRecord:
    return ContextRecord(
        run_id=new_id(),
        step=0,
        message_id=new_id(),
        conversation_id=(conversation or rows.conversation).id,
        model="m",
        system=[_segment(text, "instruction", "rules") for text in texts],
        user=[],
        history_from=None,
    )


async def _put(rows: Rows, record: ContextRecord, *texts: str) -> UUID:
    named = texts or ("be brief", "wh𝄞?", "rules", "mine")
    hashes = {segment.sha256 for segment in (*record.system, *record.user, *record.left_out)}
    async with rows.writing() as work:
        await work.contexts.put(record, {digest(text): text for text in named if digest(text) in hashes})
    return record.message_id


async def _left(rows: Rows, *texts: str) -> set[str]:
    async with rows.reading() as work:
        return set((await work.contexts.texts([digest(text) for text in texts])).values())
