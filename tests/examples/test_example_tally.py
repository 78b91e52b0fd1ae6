"""examples/eudai-tally: a plugin with a table of its own, on both databases, installed, broken and removed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from eudai_core.app import Application
from eudai_core.contracts import OffersSql, Storage
from eudai_core.errors import PluginError
from eudai_core.ids import new_id
from eudai_core.model import (
    Credentials,
    Event,
    MessageStatus,
    MigrationSource,
    PluginState,
    PluginStatus,
    Run,
)
from eudai_core.plugins.discovery import discover
from eudai_core.testing.scripted_ollama import ScriptedOllama
from eudai_sql.storage import open_storage
from eudai_tally import TallyPlugin
from eudai_tally.tally import Day, Tally
from support.chatting import PASSWORD, PLAIN, SECRET, Chatting, chatting
from support.client import Client, client
from support.distributions import install
from support.eventually import eventually
from support.postgres import PostgresServer
from support.server import running_server, server_process

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "eudai-tally"
SOURCE = MigrationSource("tally", "eudai_tally.migrations")
DELETE_USER = "delete from users where id = :id"


def with_tally() -> Sequence[Any]:
    """Every default plugin, and the example."""
    own = [one.record.name for one in discover() if one.record.distribution == "eudai"]
    return [*own, ("eudai-tally", TallyPlugin())]


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The settings of an empty database: SQLite in the data directory, or PostgreSQL, which an operator migrates."""
    if request.param == "sqlite":
        yield {}
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create_database()
    asyncio.run(upgraded(url, [SOURCE]))
    yield {"EUDAI_DATABASE_URL": url}
    server.drop_database(url)


@pytest.fixture
async def chat(tmp_path: Path, database: dict[str, str]) -> AsyncIterator[Chatting]:
    """An application with the example in it."""
    async with chatting(tmp_path, overrides=database, plugins=with_tally()) as opened:
        yield opened


async def upgraded(url: str, sources: Sequence[MigrationSource]) -> None:
    storage = open_storage(url)
    try:
        await storage.migrate(sources)
    finally:
        await storage.aclose()


def state_of(chat: Chatting) -> PluginState:
    return next(state for state in chat.app.host.states() if state.name == "eudai-tally")


async def counted(storage: Storage, user_id: UUID, answers: int) -> Day:
    """Wait until so many answers of a user were counted on one day."""

    async def look() -> Day | None:
        days = await Tally(storage).days(user_id)
        return days[0] if days and days[0].answers >= answers else None

    day = await eventually(look)
    assert day.answers == answers
    return day


def ended(run: Run, user_id: UUID, chat: Chatting, status: str = "complete") -> Event:
    return Event("run", "ended", user_id, run.id, chat.app.clock.now(), {"status": status})


async def counted_run(chat: Chatting) -> Run:
    """Have an answer made and counted."""
    accepted = await chat.ask()
    await chat.answer(accepted)
    await counted(chat.app.storage, chat.identity.user_id, 1)
    async with chat.app.storage.unit_of_work(readonly=True) as unit:
        return await unit.runs.get(accepted.run_id)


async def test_answers_and_tokens_are_counted_for_each_user_and_day(chat: Chatting) -> None:
    assert (state_of(chat).status, state_of(chat).detail) == (PluginStatus.LOADED, "")
    answers = [await chat.said() for _ in range(3)]
    day = await counted(chat.app.storage, chat.identity.user_id, 3)
    assert day.day == chat.app.clock.now().date()
    usages = [answer.usage for answer in answers if answer.usage]
    assert day.answer_tokens == sum(usage.completion_tokens or 0 for usage in usages) > 0
    assert day.prompt_tokens == sum(usage.prompt_tokens or 0 for usage in usages) > 0
    assert await Tally(chat.app.storage).days(new_id()) == []


async def test_an_event_that_comes_twice_counts_once(chat: Chatting) -> None:
    run = await counted_run(chat)
    tally = Tally(chat.app.storage)
    event = ended(run, chat.identity.user_id, chat)
    for _ in range(3):
        await tally.hear(event)
    assert [day.answers for day in await tally.days(chat.identity.user_id)] == [1]


async def test_what_failed_or_is_not_there_is_not_counted(chat: Chatting) -> None:
    run = await counted_run(chat)
    tally = Tally(chat.app.storage)
    stranger = replace(run, id=new_id())
    await tally.hear(ended(stranger, chat.identity.user_id, chat))
    await tally.hear(ended(run, new_id(), chat))  # a user who was deleted meanwhile
    await tally.hear(ended(stranger, chat.identity.user_id, chat, "failed"))
    assert [day.answers for day in await tally.days(chat.identity.user_id)] == [1]


async def test_deleting_a_user_deletes_the_counts(chat: Chatting) -> None:
    await chat.said()
    await counted(chat.app.storage, chat.identity.user_id, 1)
    async with chat.app.storage.unit_of_work() as unit:
        assert isinstance(unit, OffersSql)
        assert await unit.sql.run(DELETE_USER, {"id": chat.identity.user_id}) == 1
        assert await unit.sql.rows("select run_id from p_tally_answers") == []
        await unit.commit()


async def test_the_route_shows_everybody_their_own(tmp_path: Path, database: dict[str, str]) -> None:
    async with ScriptedOllama([PLAIN]) as ollama:
        settings = {"EUDAI_DATA_DIR": str(tmp_path), "EUDAI_OLLAMA_HOST": ollama.url, **database}
        async with running_server(settings, plugins=with_tally()) as server, client(server.url) as user:
            other = Client(user.url, user.http)
            await other.sign_up()
            conversation = await user.conversation()
            async with user.chat(conversation) as socket:
                await socket.send("user_message", content="How many?")
                await socket.until("bot_message")

            async def shown() -> Any:
                return (await user.call("GET", "/api/x/eudai-tally/days"))["items"]

            (day,) = await eventually(shown)
            assert (day["answers"], set(day)) == (1, {"day", "answers", "prompt_tokens", "answer_tokens"})
            assert await other.call("GET", "/api/x/eudai-tally/days") == {"items": []}
            assert (await Client(user.url, user.http).request("GET", "/api/x/eudai-tally/days")).status == 401


@asynccontextmanager
async def again(before: Chatting, data_dir: Path, database: Mapping[str, str], plugins: Any) -> AsyncIterator[Chatting]:
    """Open the same data another time, as the same user, for another conversation."""
    async with ScriptedOllama([PLAIN]) as ollama:
        settings = {
            "EUDAI_DATA_DIR": str(data_dir),
            "EUDAI_SECRET_KEY": SECRET,
            "EUDAI_AUTH_BCRYPT_COST": "4",
            "EUDAI_OLLAMA_HOST": ollama.url,
            **database,
        }
        async with Application.open(overrides=settings, environ={}, dotenv=None, plugins=plugins) as app:
            pair = await app.accounts.log_in(login="ada", password=PASSWORD)
            identity = await app.accounts.authenticate(Credentials("bearer", pair.access_token))
            conversation = await app.conversations.create(identity, before.project.id)
            yield Chatting(app, identity, before.project, conversation, ollama)


async def test_removed_it_breaks_nothing_and_installed_again_it_goes_on(
    tmp_path: Path, database: dict[str, str]
) -> None:
    async with chatting(tmp_path, overrides=database, plugins=with_tally()) as first:
        await first.said()
        await counted(first.app.storage, first.identity.user_id, 1)
    async with again(first, tmp_path, database, with_tally()[:-1]) as without:
        assert (await without.said()).status is MessageStatus.COMPLETE
        assert (await without.app.health()).status == "ok"
    async with again(first, tmp_path, database, with_tally()) as back:
        await back.said()
        await counted(back.app.storage, first.identity.user_id, 2)


async def test_a_shared_database_without_the_table_leaves_only_the_plugin_out(
    tmp_path: Path, postgres_url: str
) -> None:
    settings = {"EUDAI_DATABASE_URL": postgres_url}
    async with chatting(tmp_path, overrides=settings, plugins=with_tally()) as chat:
        assert state_of(chat).status is PluginStatus.FAILED
        assert "eudai db upgrade" in state_of(chat).detail
        assert (await chat.said()).status is MessageStatus.COMPLETE


async def test_a_storage_without_sql_fails_the_plugin_with_a_sentence(chat: Chatting) -> None:
    class Plain:
        """A unit of work that has nothing to offer."""

        async def __aenter__(self) -> Plain:
            return self

        async def __aexit__(self, *error: object) -> None:
            return None

    class PlainStorage:
        def unit_of_work(self, *, readonly: bool) -> Plain:
            assert readonly
            return Plain()

    with pytest.raises(PluginError, match="needs a storage with SQL"):
        await Tally(PlainStorage()).check()  # type: ignore[arg-type]  # no more is used of it


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory in which the example looks installed, as pip leaves it."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text("utf-8"))["project"]
    site = tmp_path / "site"
    shutil.copytree(EXAMPLE / "eudai_tally", site / "eudai_tally")
    install(site, project["name"], plugins=project["entry-points"]["eudai.plugins"], version=project["version"])
    return site


def python_path(site: Path | None) -> str:
    return os.pathsep.join(filter(None, [str(site or ""), os.environ.get("PYTHONPATH", "")]))


async def eudai(data: Path, site: Path | None, *arguments: str) -> tuple[int, Any, str]:
    """Run a command that answers in JSON; return its code, its answer and what it said beside."""
    ours = ("EUDAI_", "OLLAMA_", "DATABASE_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environ |= {"EUDAI_DATA_DIR": str(data), "PYTHONPATH": python_path(site)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "eudai_core.cli", *arguments, "--json"),
        cwd=data.parent,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return await process.wait(), json.loads(out), err.decode()


async def test_commands_know_it_while_it_is_installed_and_do_without_it(tmp_path: Path, site: Path) -> None:
    data = tmp_path / "data"
    code, answer, _ = await eudai(data, site, "db", "upgrade")
    assert (code, answer["failed"]) == (0, {})
    assert answer["revisions"][-1] == "tally:tally_0001"
    code, answer, _ = await eudai(data, None, "db", "check")
    assert (code, answer["pending"], answer["failed"]) == (0, [], {})
    code, answer, _ = await eudai(data, None, "db", "upgrade")
    assert (code, answer["revisions"]) == (0, [])
    code, answer, _ = await eudai(data, site, "db", "check")
    assert (code, answer["pending"], answer["failed"]) == (0, [], {})


async def test_a_migration_that_fails_is_named_and_the_server_starts_without_the_plugin(
    tmp_path: Path, site: Path
) -> None:
    data = tmp_path / "data"
    assert (await eudai(data, site, "db", "upgrade"))[0] == 0
    (site / "eudai_tally" / "migrations" / "versions" / "r0002_broken.py").write_text(
        "from alembic import op\nrevision = 'tally_0002'\ndown_revision = 'tally_0001'\n"
        "def upgrade():\n    op.drop_table('p_tally_answers')\n    raise RuntimeError('no luck')\n"
    )
    code, answer, err = await eudai(data, site, "db", "upgrade")
    assert (code, answer["revisions"], set(answer["failed"])) == (1, [], {"tally"})
    assert "no luck" in answer["failed"]["tally"]
    assert "tally cannot be used" in err
    environ = {"PYTHONPATH": python_path(site), "OLLAMA_HOST": "127.0.0.1:1"}
    async with server_process(data, environ=environ) as server, client(server.url) as user:
        assert (await user.call("GET", "/api/health", status=200))["checks"]["storage"]["status"] == "ok"
        assert (await user.request("GET", "/api/x/eudai-tally/days")).status == 404

        async def reported() -> Any:
            _, answer, _ = await eudai(data, site, "plugins", "list")
            return next((one for one in answer if one["name"] == "eudai-tally" and one["status"] == "failed"), None)

        assert "no luck" in (await eventually(reported))["detail"]


async def test_its_own_tests_pass() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        cwd=EXAMPLE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
