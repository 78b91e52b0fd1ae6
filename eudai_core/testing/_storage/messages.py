"""Messages."""

from __future__ import annotations

from dataclasses import replace

from eudai_core.errors import Conflict, NotFound
from eudai_core.ids import new_id
from eudai_core.model import Citation, Message, MessageStatus, Sender, Usage
from eudai_core.testing._storage.keeping import must_equal
from eudai_core.testing._storage.rows import Rows, at

__all__ = [
    "check_first_end_stands",
    "check_many_messages",
    "check_marking_indexed",
    "check_messages",
    "check_partial_texts",
    "check_path",
    "check_reopening",
    "check_siblings",
    "check_unindexed",
]

PENDING = MessageStatus.PENDING


async def check_messages(rows: Rows) -> None:
    """A message comes back whole."""
    question = await rows.add_message(text="why?")
    message = Message(
        id=new_id(),
        conversation_id=rows.conversation.id,
        parent_id=question.id,
        sender=Sender.LLM,
        text="because 𝄞",
        timestamp=at(1),
        status=MessageStatus.FAILED,
        thinking="hm",
        model="m",
        usage=Usage(prompt_tokens=3, first_token_ms=0),
        citations=[Citation("f1", 0, 1, 2, "q", "verified"), Citation("f2", None, 3, 4, "", "not_found")],
        error={"code": "llm_failed", "detail": None},
        client_id="c",
    )
    async with rows.writing() as work:
        await work.messages.add(message)
    async with rows.reading() as work:
        found = await work.messages.get(message.id)
        must_equal(found, replace(message, siblings=[message.id]), "a message comes back whole, with its siblings")
    await rows.refused(NotFound, lambda work: work.messages.get(new_id()), "a message that is not there is NotFound")
    await rows.refused(Conflict, lambda work: work.messages.add(message), "an id that is taken is a Conflict")
    for wrong in (replace(message, conversation_id=new_id()), replace(message, parent_id=new_id())):
        await rows.refused(
            NotFound,
            lambda work, wrong=wrong: work.messages.add(replace(wrong, id=new_id())),  # type: ignore[misc]  # a default, no parameter
            "a message of no conversation, or under no message, is NotFound",
        )


async def check_siblings(rows: Rows) -> None:
    """Siblings are all versions with the same parent, oldest first; those without parent of one conversation."""
    other = await rows.add_conversation()
    await rows.add_message(conversation=other)
    roots = [await rows.add_message(said=said) for said in (5, 1)]
    answers = [await rows.add_message(roots[0].id, said=said) for said in (6, 8, 7)]
    async with rows.reading() as work:
        for group, expected in ((roots, [1, 0]), (answers, [0, 2, 1])):
            for message in group:
                found = (await work.messages.get(message.id)).siblings
                must_equal(found, [group[n].id for n in expected], "siblings have one parent and come oldest first")


async def check_path(rows: Rows) -> None:
    """A path is the end of one branch, oldest first, with siblings."""
    root = await rows.add_message()
    first, second = await rows.add_message(root.id, said=1), await rows.add_message(root.id, said=2)
    middle, aside = await rows.add_message(second.id, said=3), await rows.add_message(first.id, said=3)
    leaf = await rows.add_message(middle.id, said=4)
    branch = [root.id, second.id, middle.id, leaf.id]
    async with rows.reading() as work:
        for limit in range(1, 6):
            path = await work.messages.path(leaf.id, limit=limit)
            ids = [message.id for message in path]
            must_equal(ids, branch[-limit:], "a path is the last `limit` messages of the branch, oldest first")
            siblings = [[root.id], [first.id, second.id], [middle.id], [leaf.id]]
            must_equal([message.siblings for message in path], siblings[-limit:], "a path comes with siblings")
        path = await work.messages.path(aside.id, limit=9)
        must_equal([message.id for message in path], [root.id, first.id, aside.id], "a path is of one branch only")
        path = await work.messages.path(middle.id, limit=9)
        must_equal([message.id for message in path], branch[:-1], "a path ends at the message that was asked for")
    await rows.refused(
        NotFound, lambda work: work.messages.path(new_id(), limit=9), "a leaf that is not there is NotFound"
    )


async def check_partial_texts(rows: Rows) -> None:
    """Partial texts are stored while an answer is pending, and left out for all others."""
    question = await rows.add_message()
    pending = [await rows.add_message(question.id, status=PENDING) for _ in range(2)]
    ended = await rows.add_message(question.id, text="whole")
    text, thinking = "so \"far' 𝄞\n\\", "hm\\u0000"
    async with rows.writing() as work:
        await work.messages.save_partial([])
        await work.messages.save_partial(
            [(new_id(), "x", "x"), (pending[0].id, text, thinking), (ended.id, "no", "no"), (pending[1].id, "b", "")]
        )
    async with rows.reading() as work:
        found = await work.messages.many([message.id for message in (*pending, ended)])
    stored = [(found[message.id].text, found[message.id].thinking) for message in (*pending, ended)]
    must_equal(stored[:2], [(text, thinking), ("b", "")], "the texts so far are stored, whatever else is in the batch")
    must_equal(stored[2], ("whole", ""), "an answer that ended is left alone")
    must_equal(found[pending[0].id].status, PENDING, "a partial text does not end an answer")


async def check_first_end_stands(rows: Rows) -> None:
    """An answer ends once."""
    question = await rows.add_message()
    answer = await rows.add_message(question.id, status=PENDING)
    citation = Citation("f1", None, 0, 1, "q", "paraphrase")
    usage = Usage(1, 2, 3, 4, 5)
    async with rows.writing() as work:
        await work.messages.finish(
            answer.id,
            text="whole",
            thinking="hm",
            status=MessageStatus.COMPLETE,
            usage=usage,
            citations=[citation],
            error={"code": "x"},
        )
    async with rows.writing() as work:
        await work.messages.finish(answer.id, text="cut", thinking="", status=MessageStatus.INTERRUPTED)
    expected = replace(
        answer,
        text="whole",
        thinking="hm",
        status=MessageStatus.COMPLETE,
        usage=usage,
        citations=[citation],
        error={"code": "x"},
        siblings=[answer.id],
    )
    async with rows.reading() as work:
        must_equal(await work.messages.get(answer.id), expected, "the end of an answer is stored, and the first stands")
    await rows.refused(
        NotFound,
        lambda work: work.messages.finish(new_id(), text="", thinking="", status=MessageStatus.COMPLETE),
        "ending a message that is not there is NotFound",
    )


async def check_reopening(rows: Rows) -> None:
    """An ended answer can be continued; one that is being made cannot."""
    question = await rows.add_message()
    answer = await rows.add_message(question.id, status=PENDING)
    await rows.refused(
        Conflict, lambda work: work.messages.reopen(answer.id), "reopening an answer that is being made is a Conflict"
    )
    await rows.refused(NotFound, lambda work: work.messages.reopen(new_id()), "reopening nothing is NotFound")
    async with rows.writing() as work:
        await work.messages.finish(
            answer.id, text="cut", thinking="t", status=MessageStatus.FAILED, usage=Usage(1), error={"code": "x"}
        )
        await work.messages.reopen(answer.id)
    async with rows.writing() as work:
        found = await work.messages.get(answer.id)
        expected = replace(answer, text="cut", thinking="t", usage=Usage(1), siblings=[answer.id])
        must_equal(found, expected, "a reopened answer is pending with all that it had, but its error")
        await work.messages.save_partial([(answer.id, "cut more", "t")])
        await work.messages.finish(answer.id, text="cut more.", thinking="t", status=MessageStatus.COMPLETE)
        must_equal((await work.messages.get(answer.id)).text, "cut more.", "a reopened answer can end again")


async def check_many_messages(rows: Rows) -> None:
    """Several messages are returned by id, without siblings."""
    question = await rows.add_message(text="why?")
    answer = await rows.add_message(question.id, text="so")
    async with rows.reading() as work:
        found = await work.messages.many([answer.id, question.id, new_id(), answer.id])
        must_equal(found, {question.id: question, answer.id: answer}, "many() gives those that are there, no siblings")
        must_equal(await work.messages.many([]), {}, "many() of nothing is nothing")


async def check_unindexed(rows: Rows) -> None:
    """Messages that ended and are not indexed are returned oldest first, with their conversations."""
    other = await rows.add_conversation()
    question = await rows.add_message(text="why?")
    pending = await rows.add_message(question.id, status=PENDING)
    failed = await rows.add_message(question.id, status=MessageStatus.FAILED, said=1)
    last = await rows.add_message(text="elsewhere", conversation=other, said=2)
    expected = [(question, rows.conversation), (failed, rows.conversation), (last, other)]
    async with rows.reading() as work:
        found = await work.messages.unindexed(limit=9)
        must_equal(found, expected, "unindexed() gives what ended, oldest first, without siblings")
        must_equal(await work.messages.unindexed(limit=2), expected[:2], "unindexed() gives up to `limit`")
    async with rows.writing() as work:
        await work.messages.finish(pending.id, text="so", thinking="", status=MessageStatus.COMPLETE)
        ids = [message.id for message, _ in await work.messages.unindexed(limit=9)]
        must_equal(ids, [question.id, pending.id, failed.id, last.id], "an answer is to be indexed when it has ended")


async def check_marking_indexed(rows: Rows) -> None:
    """A text that the index has is returned no more, until it grows."""
    question = await rows.add_message(text="wh𝄞?")
    answer = await rows.add_message(question.id, text="so")
    async with rows.writing() as work:
        await work.messages.mark_indexed({})
        await work.messages.mark_indexed({question.id: 4, answer.id: 1, new_id(): 3})
    async with rows.reading() as work:
        ids = [message.id for message, _ in await work.messages.unindexed(limit=9)]
        must_equal(ids, [answer.id], "what the index has is not returned; a text that grew meanwhile is")
    async with rows.writing() as work:
        await work.messages.mark_indexed({answer.id: 2})
        must_equal(await work.messages.unindexed(limit=9), [], "what the index has is not returned")
        await work.messages.reopen(answer.id)
        must_equal(await work.messages.unindexed(limit=9), [], "an answer that is being made is not returned")
        await work.messages.finish(answer.id, text="so be it", thinking="", status=MessageStatus.COMPLETE)
        await work.messages.mark_indexed({answer.id: 2})
        ids = [message.id for message, _ in await work.messages.unindexed(limit=9)]
        must_equal(ids, [answer.id], "an answer that was continued is indexed again")
