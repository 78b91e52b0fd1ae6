"""A turn from question to answer, on both databases, against the scripted Ollama."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from eudai_core.errors import BackendBusy, BackendUnavailable, Conflict, InvalidInput, ModelNotFound, NotFound
from eudai_core.ids import new_id
from eudai_core.model import Identity, MessageStatus, Sender
from eudai_core.testing.scripted_ollama import End, ErrorLine, Gate, Piece, Reply
from support.chatting import Chatting, chatting, place


async def test_an_answer_is_streamed_stored_and_explained(chat: Chatting) -> None:
    chat.ollama.script(Reply.of("Two", " and ", "two.", thinking=["Hm", "m."]))
    async with chat.follow() as follower:
        accepted = await chat.ask("What is four made of?", client_id="one")
        frames = await follower.until("bot_message")

    assert follower.types()[:2] == ["user_message", "title"]
    phases = [frame.payload["phase"] for frame in frames if frame.type == "status"]
    assert phases[-2:] == ["thinking", "answering"]
    numbers = [frame.seq for frame in frames if frame.seq is not None]
    assert numbers == sorted(set(numbers))
    assert place(frames, accepted.answer_id) == "Two and two."
    assert place(frames, accepted.answer_id, "thinking") == "Hmm."
    ended = frames[-1].payload
    assert (ended["status"], ended["content"], ended["model"]) == (
        "complete",
        "Two and two.",
        chat.ollama.chats[0].body["model"],
    )
    assert ended["usage"]["prompt_tokens"] > 0

    question, answer = await chat.messages()
    assert (question.sender, question.text, question.client_id) == (Sender.USER, "What is four made of?", "one")
    assert (answer.text, answer.thinking, answer.status) == ("Two and two.", "Hmm.", MessageStatus.COMPLETE)
    report = await chat.app.conversations.context(chat.identity, answer.id)
    assert report["messages"] == chat.ollama.chats[0].body["messages"]


async def test_the_second_turn_begins_with_the_first_one_byte_for_byte(chat: Chatting) -> None:
    chat.ollama.script(Reply.of("One.", thinking=["secret thoughts"]), Reply.of("Two."))
    await chat.said("First?")
    await chat.said("Second?")
    first, second = (received.body["messages"] for received in chat.ollama.chats)
    assert second[: len(first)] == first
    assert second[len(first)] == {"role": "assistant", "content": "One."}
    assert second[-1]["content"].endswith("Second?")


async def test_instructions_are_sent(chat: Chatting) -> None:
    await chat.app.content.instructions.add(chat.identity, chat.project.id, text="Speak like a pirate.")
    await chat.said()
    system = chat.ollama.chats[0].body["messages"][0]
    assert system["role"] == "system"
    assert "Speak like a pirate." in system["content"]


async def test_one_command_is_one_run_however_often_it_is_sent(chat: Chatting) -> None:
    accepted = await asyncio.gather(*(chat.ask("Once?", client_id="key") for _ in range(20)))
    assert len({(one.message_id, one.answer_id, one.run_id) for one in accepted}) == 1
    answers = await asyncio.gather(*(chat.answer(one) for one in accepted))
    assert len({answer.text for answer in answers}) == 1
    assert len(chat.ollama.chats) == 1
    assert len(await chat.messages()) == 2


async def test_the_same_key_with_another_content_is_a_conflict(chat: Chatting) -> None:
    await chat.said("Once?", client_id="key")
    with pytest.raises(Conflict, match="client_id"):
        await chat.ask("Twice?", client_id="key")
    assert len(await chat.messages()) == 2


async def test_a_message_sent_while_busy_waits_and_follows_the_running_answer(chat: Chatting) -> None:
    chat.ollama.hold("gate")
    chat.ollama.script(Reply(steps=(Piece("One"), Gate("gate"), Piece("."))), Reply.of("Two."))
    first = await chat.ask("First?")
    await chat.ollama.standing("gate")
    second = await chat.ask("Second?")
    assert len(chat.ollama.chats) == 1
    chat.ollama.release("gate")
    await chat.answer(first)
    await chat.answer(second)
    assert [message.text for message in await chat.messages()] == ["First?", "One.", "Second?", "Two."]


async def test_stop_keeps_the_text_and_closes_the_upstream(chat: Chatting) -> None:
    chat.ollama.hold("gate")
    chat.ollama.script(Reply(steps=(Piece("A beginning"), Gate("gate"), Piece(" and an end."))))
    async with chat.follow() as follower:
        accepted = await chat.ask()
        await follower.until("delta")
        async with asyncio.timeout(1):
            await chat.app.chat.stop(chat.identity, chat.conversation.id)
            await chat.ollama.disconnected()
        ended = (await follower.until("bot_message"))[-1].payload
    assert (ended["status"], ended["content"]) == ("stopped", "A beginning")
    answer = await chat.answer(accepted)
    assert (answer.status, answer.text) == (MessageStatus.STOPPED, "A beginning")


async def test_a_queued_message_can_be_stopped_before_it_starts(chat: Chatting) -> None:
    chat.ollama.hold("gate")
    chat.ollama.script(Reply(steps=(Piece("One"), Gate("gate"))))
    first = await chat.ask("First?")
    await chat.ollama.standing("gate")
    second = await chat.ask("Second?")
    await chat.app.chat.stop(chat.identity, chat.conversation.id, run_id=second.run_id)
    assert (await chat.answer(second)).status is MessageStatus.STOPPED
    chat.ollama.release("gate")
    assert (await chat.answer(first)).status is MessageStatus.COMPLETE
    assert len(chat.ollama.chats) == 1


async def test_a_stopped_answer_is_continued_after_its_text(chat: Chatting) -> None:
    chat.ollama.hold("gate")
    chat.ollama.script(Reply(steps=(Piece("One, "), Gate("gate"))), Reply.of("two, ", "three."))
    async with chat.follow() as follower:
        accepted = await chat.ask("Count!")
        await follower.until("delta")
        await chat.app.chat.stop(chat.identity, chat.conversation.id)
        await follower.until("bot_message")
        again = await chat.app.chat.resume_answer(
            chat.identity, chat.conversation.id, message_id=accepted.answer_id, client_id="go on"
        )
        frames = await follower.until("bot_message", 2)
    assert again.answer_id == accepted.answer_id
    assert chat.ollama.chats[1].body["messages"][-1] == {"role": "assistant", "content": "One, "}
    pieces = [
        frame.payload for frame in frames if frame.type == "delta" and frame.payload["run_id"] == str(again.run_id)
    ]
    assert pieces[0]["offset"] == len("One, ")
    assert frames[-1].payload["content"] == "One, two, three."
    assert (await chat.messages())[-1].text == "One, two, three."


async def test_a_complete_answer_is_not_continued(chat: Chatting) -> None:
    answer = await chat.said()
    with pytest.raises(Conflict, match="complete"):
        await chat.app.chat.resume_answer(chat.identity, chat.conversation.id, message_id=answer.id)


async def test_regenerating_keeps_the_old_answer_as_a_sibling(chat: Chatting) -> None:
    chat.ollama.script(Reply.of("Old."), Reply.of("New."))
    old = await chat.said()
    accepted = await chat.app.chat.regenerate(chat.identity, chat.conversation.id, client_id="again")
    repeated = await chat.app.chat.regenerate(chat.identity, chat.conversation.id, client_id="again")
    assert repeated.run_id == accepted.run_id
    new = await chat.answer(accepted)
    assert new.text == "New."
    assert list(new.siblings) == [old.id, new.id]
    assert chat.ollama.chats[0].body["messages"] == chat.ollama.chats[1].body["messages"]
    assert (await chat.messages())[-1].id == new.id


async def test_a_branch_forgets_what_came_after_its_parent(chat: Chatting) -> None:
    chat.ollama.script(Reply.of("A1."), Reply.of("A2."), Reply.of("B2."))
    first = await chat.said("First?")
    await chat.said("Second?")
    branch = await chat.said("Instead?", parent=first.id)
    assert [message.text for message in await chat.messages()] == ["First?", "A1.", "Instead?", "B2."]
    sent = [message["content"] for message in chat.ollama.chats[2].body["messages"] if message["role"] != "system"]
    assert sent[1] == "A1."
    assert not any("Second?" in text for text in sent)
    assert branch.status is MessageStatus.COMPLETE


async def test_a_new_first_message_is_a_root_of_its_own(chat: Chatting) -> None:
    await chat.said("First?")
    await chat.said("Anew?", parent=None)
    assert (await chat.messages())[0].text == "Anew?"


async def test_a_message_cannot_follow_a_question_or_a_stranger(chat: Chatting) -> None:
    accepted = await chat.ask()
    await chat.answer(accepted)
    with pytest.raises(InvalidInput, match="parent_id"):
        await chat.ask(parent=accepted.message_id)
    with pytest.raises(NotFound):
        await chat.ask(parent=new_id())


@pytest.mark.parametrize("step", [End(), ErrorLine("the runner stopped")], ids=["no done", "error line"])
async def test_a_broken_stream_keeps_its_text_and_the_next_message_works(chat: Chatting, step: End | ErrorLine) -> None:
    chat.ollama.script(Reply(steps=(Piece("Half an ans"), step)), Reply.of("Whole."))
    async with chat.follow() as follower:
        await chat.ask()
        frames = await follower.until("bot_message")
    assert follower.types()[-2:] == ["error", "bot_message"]
    assert (frames[-1].payload["status"], frames[-1].payload["content"]) == ("failed", "Half an ans")
    assert frames[-1].payload["error"]["code"] == "llm_stream_broken"
    assert (await chat.messages())[-1].status is MessageStatus.FAILED
    assert (await chat.said("Again?")).text == "Whole."


async def test_an_unreachable_backend_is_tried_three_times_and_told(chat: Chatting) -> None:
    await chat.said()
    before = len(chat.ollama.requests)
    await chat.ollama.refuse()
    answer = await chat.said("Anybody there?")
    assert answer.status is MessageStatus.FAILED
    assert answer.error is not None
    assert answer.error["code"] == BackendUnavailable.code
    assert chat.ollama.url not in answer.error["detail"]
    assert len(chat.ollama.requests) == before


async def test_a_model_that_is_not_there_is_refused_and_nothing_is_kept(chat: Chatting) -> None:
    with pytest.raises(ModelNotFound, match="ollama pull"):
        await chat.ask(model="nobody:7b", client_id="key")
    assert list(await chat.messages()) == []
    assert (await chat.said(client_id="key")).status is MessageStatus.COMPLETE


async def test_a_full_queue_refuses_and_keeps_nothing(database_url: str, tmp_path: Path) -> None:
    settings = {"EUDAI_DATABASE_URL": database_url, "EUDAI_QUEUE_LIMIT": "1"}
    async with chatting(tmp_path / "data", overrides=settings) as chat:
        chat.ollama.hold("gate")
        chat.ollama.script(Reply(steps=(Piece("One"), Gate("gate"))))
        first = await chat.ask("Running?")
        await chat.ollama.standing("gate")
        second = await chat.ask("Waiting?")
        with pytest.raises(BackendBusy) as refused:
            await chat.ask("Too many?", client_id="key")
        assert refused.value.retry_after
        chat.ollama.release("gate")
        await chat.answer(first)
        await chat.answer(second)
        assert [message.text for message in await chat.messages()][::2] == ["Running?", "Waiting?"]
        assert (await chat.said("Too many?", client_id="key")).status is MessageStatus.COMPLETE


async def test_another_user_s_conversation_does_not_exist(chat: Chatting) -> None:
    eve = await chat.app.accounts.create_user(username="eve", email="eve@example.org", password="correct horse")
    stranger = Identity(eve.id, "eve")
    with pytest.raises(NotFound):
        await chat.app.chat.send(stranger, chat.conversation.id, content="Hello?")
    with pytest.raises(NotFound):
        async with chat.app.chat.subscribe(stranger, chat.conversation.id):
            pass
    with pytest.raises(NotFound):
        await chat.app.chat.stop(stranger, chat.conversation.id)


@pytest.mark.parametrize("what", ["conversation", "project"])
async def test_deleting_ends_the_subscriptions_and_the_running_answer(chat: Chatting, what: str) -> None:
    chat.ollama.hold("gate")
    chat.ollama.script(Reply(steps=(Piece("One"), Gate("gate"))))
    async with chat.follow() as follower:
        await chat.ask()
        await follower.until("delta")
        if what == "project":
            await chat.app.projects.delete(chat.identity, chat.project.id)
        else:
            await chat.app.conversations.delete(chat.identity, chat.conversation.id)
        with pytest.raises(NotFound):
            await follower.until("never")
        await chat.ollama.disconnected()
    other = await chat.app.projects.create(chat.identity, name="Another")
    chat.conversation = await chat.app.conversations.create(chat.identity, other.id)
    assert (await chat.said("Still there?")).status is MessageStatus.COMPLETE
