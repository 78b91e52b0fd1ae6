"""Text and times come back exactly, or are refused."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Final
from uuid import UUID

from eudai_core.contracts import UnitOfWork
from eudai_core.errors import InvalidInput
from eudai_core.ids import new_id
from eudai_core.model import (
    ApiKey,
    DocumentStatus,
    EventRecord,
    FileRecord,
    Instruction,
    Invite,
    Job,
    MessageStatus,
    PluginState,
    PluginStatus,
    StoredAnswer,
    Url,
)
from eudai_core.testing._storage.keeping import must_equal, refuses
from eudai_core.testing._storage.rows import NOW, Rows, at

__all__ = ["check_all_of_unicode", "check_awkward_text", "check_large_texts", "check_times", "check_unstorable_text"]

AWKWARD: Final = (
    "",
    " \t\r\n\v\f ",
    "' \" ` \\ \\' \\u0000 \\x00 %s %(a)s :name ? $1 {} {{",
    "'; drop table users; --",
    "\x01\x1f\x7f\x80\x9f\u2028\u2029\ufeff\ufffe\uffff\U0010ffff",
    "e\u0301 é ß ẞ İ ı ﬁ Ａ",
    "👩‍👩‍👧‍👦 🇨🇿 𝄞",
    "\u202eright to left\u202c עברית",
    "null",
    '{"a": 1}',
)
UNSTORABLE: Final = ("\x00", "a\x00b", "a\\\x00", "\ud800", "a\udfff", "\udc00\ud800")


async def check_awkward_text(rows: Rows) -> None:
    """Awkward text comes back exactly, from every kind of field."""
    pending = await rows.add_message(status=MessageStatus.PENDING)
    for number, text in enumerate(AWKWARD):
        project = replace(rows.project, name=text, description=text, settings={text: [text]})
        conversation = replace(rows.conversation, title=text, model=text)
        message = replace(rows.message(text=text), thinking=text, model=text, error={text: text}, client_id=text)
        instruction = Instruction(new_id(), rows.project.id, text, NOW)
        event = EventRecord(rows.conversation.id, number + 1, None, text, {text: {text: text}})
        run = replace(rows.run(), model=text, backend=text, host=text, options={text: text})
        command = rows.command(run, text)
        file = rows.file(text, text.encode())
        url = replace(rows.url(text), description=text, title=text, error=text)
        state = PluginState(text, text, text, PluginStatus.LOADED, text, 0.0, [text], {text: 1})
        async with rows.writing() as work:
            await work.projects.update(project, expected_version=None)
            await work.conversations.update(conversation, expected_version=None)
            await work.messages.add(message)
            await work.messages.save_partial([(pending.id, text, text)])
            await work.documents.add_instruction(instruction)
            await work.documents.add_file(file)
            await work.urls.add(url)
            await work.events.append([event])
            await work.runs.add(run, command)
            await work.jobs.add(Job(new_id(), "kind", text, {text: text}, NOW))
            await work.plugin_states.save("p1", [state], at=at(number))
        sentence = "text comes back exactly, whatever it is"
        async with rows.reading() as work:
            found = await work.projects.get(project.id)
            must_equal((found.name, found.description, found.settings), (text, text, {text: [text]}), sentence)
            talk = await work.conversations.get(conversation.id)
            must_equal((talk.title, talk.model), (text, text), sentence)
            must_equal((await work.messages.many([message.id]))[message.id], message, sentence)
            partial = (await work.messages.many([pending.id]))[pending.id]
            must_equal((partial.text, partial.thinking), (text, text), sentence)
            must_equal(await work.documents.get_instruction(instruction.id), instruction, sentence)
            must_equal(await work.documents.find_file(rows.project.id, text, file.current.sha256), file, sentence)
            must_equal(await work.urls.get(url.id), url, sentence)
            history = await work.documents.instruction_versions(instruction.id, cursor=None, limit=9)
            must_equal([version.instruction_text for version in history.items], [text], sentence)
            must_equal(await work.events.after(rows.conversation.id, number, limit=1), [event], sentence)
            must_equal(await work.runs.get(run.id), run, sentence)
            must_equal(await work.runs.command(rows.conversation.id, text), command, sentence)
            must_equal(await work.plugin_states.latest(), [state], sentence)
    async with rows.writing() as work:
        claimed = await work.jobs.claim(["kind"], owner="p1", now=NOW, until=at(1), limit=99)
        must_equal({job.key for job in claimed}, set(AWKWARD), "text comes back exactly, whatever it is")


async def check_all_of_unicode(rows: Rows) -> None:
    """Every code point but NUL and the halves of surrogate pairs can be stored."""
    text = "".join(map(chr, (*range(1, 0xD800), *range(0xE000, sys.maxunicode + 1))))
    pending = await rows.add_message(status=MessageStatus.PENDING)
    message = rows.message(text=text)
    async with rows.writing() as work:
        await work.messages.add(message)
        await work.messages.save_partial([(pending.id, text[::7], text[:0x3000])])
        await work.events.append([EventRecord(rows.conversation.id, 1, None, "delta", {"content": text[::5]})])
    async with rows.reading() as work:
        found = await work.messages.many([message.id, pending.id])
        (event,) = await work.events.after(rows.conversation.id, 0, limit=1)
    sentence = "every code point but NUL and surrogates is kept"
    must_equal(found[message.id].text == text, True, sentence)
    must_equal(found[pending.id].text == text[::7], True, sentence)
    must_equal(found[pending.id].thinking == text[:0x3000], True, sentence)
    must_equal(event.payload["content"] == text[::5], True, sentence)


async def check_unstorable_text(rows: Rows) -> None:
    """NUL and halves of surrogate pairs are InvalidInput, to store and to look up."""
    pending = await rows.add_message(status=MessageStatus.PENDING)
    file, url = await rows.add_file(), await rows.add_url()
    instruction = Instruction(new_id(), rows.project.id, "", NOW)
    async with rows.writing() as work:
        await work.documents.add_instruction(instruction)
    for text in UNSTORABLE:
        uses = {**_uses(rows, text, pending.id, file.current.id), **_changes(text, file, url, instruction)}
        for name, call in uses.items():
            await rows.refused(InvalidInput, call, f"text that cannot be stored is InvalidInput: {name}, {text!a}")


async def check_times(rows: Rows) -> None:
    """Times come back to the microsecond, aware and in UTC; naive ones are refused."""
    east = timezone(timedelta(hours=5, minutes=45))
    times = (
        datetime(2026, 3, 29, 1, 30, 0, 1, tzinfo=UTC),
        datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 1, 1, 3, 0, 0, 123456, tzinfo=east),
        datetime(2400, 2, 29, tzinfo=UTC),
    )
    for number, time in enumerate(times):
        message = replace(rows.message(), timestamp=time)
        conversation = replace(rows.conversation, id=new_id(), created_at=time, updated_at=time)
        run = replace(rows.run(conversation), queued_at=time)
        async with rows.writing() as work:
            await work.conversations.add(conversation)
            await work.messages.add(message)
            await work.runs.add(run, rows.command(run, f"c{number}"))
        async with rows.reading() as work:
            command = await work.runs.command(run.conversation_id, f"c{number}")
            found = (
                (await work.messages.get(message.id)).timestamp,
                (await work.conversations.get(conversation.id)).updated_at,
                (await work.runs.get(run.id)).queued_at,
                command.created_at if command else None,
            )
        for one in found:
            must_equal(one, time, "a time comes back to the microsecond")
            must_equal(one.utcoffset() if one else None, timedelta(0), "a time comes back aware, in UTC")
    async with rows.storage.unit_of_work() as work:
        with refuses(Exception, "a time without a zone is refused"):
            await work.messages.add(replace(rows.message(), timestamp=datetime(2026, 1, 1)))


async def check_large_texts(rows: Rows) -> None:
    """Texts of megabytes come back exactly."""
    text = "naïve text 𝄞 of a long document\n" * 100_000
    file = await rows.add_file()
    message = rows.message(text=text)
    async with rows.writing() as work:
        await work.documents.finish_version(file.current.id, status=DocumentStatus.READY, text=text, tokens=800_000)
        await work.messages.add(message)
    async with rows.reading() as work:
        version = await work.documents.get_version(file.current.id)
        must_equal((version.characters, version.tokens), (len(text), 800_000), "the size of a text is kept")
        must_equal(await work.documents.text_of(file.current.id) == text, True, "a long text comes back exactly")
        found = (await work.messages.many([message.id]))[message.id].text
        must_equal(found == text, True, "a long text comes back exactly")


def _changes(
    text: str, file: FileRecord, url: Url, instruction: Instruction
) -> Mapping[str, Callable[[UnitOfWork], Awaitable[object]]]:
    """Return calls that put a text into what is there."""
    return {
        "documents.update_file": lambda work: work.documents.update_file(replace(file, filename=text)),
        "documents.update_instruction": lambda work: work.documents.update_instruction(
            replace(instruction, instruction_text=text), expected_version=None, at=NOW
        ),
        "urls.add": lambda work: work.urls.add(replace(url, id=new_id(), url=text)),
        "urls.add (title)": lambda work: work.urls.add(replace(url, id=new_id(), url="new", title=text)),
        "urls.update": lambda work: work.urls.update(replace(url, url=text)),
        "urls.update (description)": lambda work: work.urls.update(replace(url, description=text)),
        "urls.update (error)": lambda work: work.urls.update(replace(url, error=text)),
    }


def _uses(
    rows: Rows, text: str, answer_id: UUID, version_id: UUID
) -> Mapping[str, Callable[[UnitOfWork], Awaitable[object]]]:
    """Return calls that store a text, or look for it."""
    run = rows.run()
    return {
        "users.add": lambda work: work.users.add(replace(rows.user, id=new_id(), username=text, email="e"), "h"),
        "users.by_login": lambda work: work.users.by_login(text),
        "users.update": lambda work: work.users.update(replace(rows.user, email=text)),
        "api_keys.add": lambda work: work.api_keys.add(ApiKey(new_id(), rows.user.id, text, frozenset(), NOW), "0"),
        "invites.add": lambda work: work.invites.add(Invite(new_id(), None, NOW, at(1), text), "0"),
        "login_failures.get": lambda work: work.login_failures.get([text]),
        "login_failures.add": lambda work: work.login_failures.add([text], at=NOW, forget_before=NOW),
        "answers.begin": lambda work: work.answers.begin(rows.user.id, text, StoredAnswer("0", NOW), stale_before=NOW),
        "answers.drop": lambda work: work.answers.drop(rows.user.id, text),
        "projects.add": lambda work: work.projects.add(replace(rows.project, id=new_id(), name=text)),
        "projects.add (settings)": lambda work: work.projects.add(
            replace(rows.project, id=new_id(), settings={"a": [text]})
        ),
        "projects.update": lambda work: work.projects.update(
            replace(rows.project, description=text), expected_version=None
        ),
        "conversations.add": lambda work: work.conversations.add(replace(rows.conversation, id=new_id(), title=text)),
        "messages.add": lambda work: work.messages.add(rows.message(text=text)),
        "messages.add (error)": lambda work: work.messages.add(replace(rows.message(), error={text: 1})),
        "messages.save_partial": lambda work: work.messages.save_partial([(answer_id, text, "")]),
        "messages.save_partial (thinking)": lambda work: work.messages.save_partial([(answer_id, "", text)]),
        "messages.finish": lambda work: work.messages.finish(
            answer_id, text="", thinking=text, status=MessageStatus.COMPLETE
        ),
        "runs.add": lambda work: work.runs.add(run, rows.command(run, text)),
        "runs.add (options)": lambda work: work.runs.add(replace(run, options={"a": text}), None),
        "runs.command": lambda work: work.runs.command(rows.conversation.id, text),
        "events.append": lambda work: work.events.append(
            [EventRecord(rows.conversation.id, 1, None, "delta", {"a": {"b": text}})]
        ),
        "jobs.add": lambda work: work.jobs.add(Job(new_id(), "kind", "key", {"a": text}, NOW)),
        "documents.add_file": lambda work: work.documents.add_file(rows.file(text)),
        "documents.find_file": lambda work: work.documents.find_file(rows.project.id, text, "0" * 64),
        "documents.finish_version": lambda work: work.documents.finish_version(
            version_id, status=DocumentStatus.READY, text=text
        ),
        "documents.add_instruction": lambda work: work.documents.add_instruction(
            Instruction(new_id(), rows.project.id, text, NOW)
        ),
    }
