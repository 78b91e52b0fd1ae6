"""What is left when a process dies: text from the log, the status `interrupted`, and conversations that go on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from eudai_core.app import Application
from eudai_core.chat.recovery import rebuild
from eudai_core.errors import ConfigError, Draining
from eudai_core.ids import new_id
from eudai_core.model import EventRecord, Message, MessageStatus, Sender
from eudai_core.testing.scripted_ollama import Gate, Piece, Reply
from support.chatting import Chatting, chatting


def piece(kind: str, offset: int, content: str) -> EventRecord:
    return EventRecord(new_id(), 1, None, kind, {"offset": offset, "content": content})


@pytest.mark.parametrize(
    ("row", "pieces", "text"),
    [
        ("", [(0, "One"), (3, " two")], "One two"),
        ("One", [(0, "One two")], "One two"),
        ("One two", [(0, "One")], "One two"),
        ("", [(5, "lost its beginning")], ""),
        ("One", [(3, "!"), (3, "! and more")], "One! and more"),
    ],
)
def test_a_text_is_rebuilt_from_its_row_and_the_log(row: str, pieces: list[tuple[int, str]], text: str) -> None:
    message = Message(new_id(), new_id(), None, Sender.LLM, row, datetime.now(UTC), thinking="Hm")
    events = [piece("delta", *one) for one in pieces] + [piece("thinking", 2, "m")]
    assert rebuild(message, events) == (text, "Hmm")


async def test_closing_interrupts_what_runs_and_keeps_its_text(database_url: str, tmp_path: Path) -> None:
    settings = {"EUDAI_DATABASE_URL": database_url}
    async with chatting(tmp_path / "data", overrides=settings) as chat:
        chat.ollama.hold("gate")
        chat.ollama.script(Reply(steps=(Piece("Half of"), Gate("gate"))))
        async with chat.follow() as follower:
            await chat.ask()
            await follower.until("delta")
            await chat.app.drain(0)
            ended = (await follower.until("bot_message"))[-1].payload
        assert (ended["status"], ended["content"]) == ("interrupted", "Half of")
        assert (await chat.messages())[-1].status is MessageStatus.INTERRUPTED


async def test_a_second_server_on_an_embedded_database_is_refused(tmp_path: Path) -> None:
    async with chatting(tmp_path / "data"):
        settings = {"EUDAI_DATA_DIR": str(tmp_path / "data")}
        with pytest.raises(ConfigError, match="Another eudai server"):
            async with Application.open(overrides=settings, environ={}, dotenv=None):
                pass
        async with Application.open(overrides=settings, environ={}, dotenv=None, background=False) as beside:
            user = await beside.accounts.create_user(username="bob", email="b@example.org", password="long enough")
            assert user.username == "bob"


async def test_a_drained_server_takes_no_new_message(chat: Chatting) -> None:
    await chat.app.drain(0)
    with pytest.raises(Draining):
        await chat.ask()
