"""A database of the time before the search index had segments: what could be found there is found after the upgrade."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from eudai_core.clock import SystemClock
from eudai_core.ids import new_id
from eudai_core.model import SearchCollection, SearchHit, SearchScope
from eudai_core.plugins.roles import SEARCH_INDEXES, STORAGE
from eudai_core.search import MessageIndexer
from eudai_core.text import tokenise
from eudai_sql.alembic_run import check
from eudai_sql.history import CORE, read_history
from eudai_sql.tables import metadata
from support.eventually import eventually
from support.ingest_desk import Desk
from support.old_database import fill, inside, move_down, move_up
from support.old_rows import OldRows, Row, make_rows
from support.postgres import migrate, sqlite_file_url

FILLED, BEFORE = "0003", "0006"
TEXT = "The heron stands in the shallow water of the river and waits."
SAID = "Cormorants dry their wings in the sun."
_old_index: dict[str, dict[str, sa.types.TypeEngine[Any]]] = {
    "search_projects": {"id": sa.BigInteger(), "project_id": sa.Uuid()},
    "search_documents": {
        **dict.fromkeys(("id", "scope"), sa.BigInteger()),
        "document_id": sa.Uuid(),
        "name": sa.Text(),
        "ready": sa.Boolean(),
        **dict.fromkeys(("version", "passages", "terms"), sa.Integer()),
    },
    "passages": {
        **dict.fromkeys(("id", "document", "number", "char_start", "char_end"), sa.BigInteger()),
        **dict.fromkeys(("heading", "text"), sa.Text()),
    },
    "postings": {
        **dict.fromkeys(("scope", "passage", "document", "frequency", "length"), sa.BigInteger()),
        "term": sa.Text(),
    },
}


@pytest.fixture
def clock() -> SystemClock:
    """The jobs are due at the time of the upgrade."""
    return SystemClock()


@pytest.fixture
def old() -> OldRows:
    return make_rows(40, 7)


@pytest.fixture
def file(old: OldRows) -> Row:
    """A file that was read."""
    project, key, digest = old.tables["projects"][0], new_id(), hashlib.sha256(TEXT.encode()).hexdigest()
    at, path = project["created_at"], f"files/{key.hex}"
    row = old.add("files", key, project["id"], "birds.md", path, at, project["owner_id"], 1, False)
    version = (new_id(), "file", key, project["id"], 1, digest, path, "text/markdown", len(TEXT), at)
    old.add("document_versions", *version, "ready", None, digest, len(TEXT), 12)
    old.add("texts", digest, TEXT)
    old.add("text_owners", digest, key)
    return row


@pytest.fixture
async def url(
    request: pytest.FixtureRequest, dialect: str, tmp_path: Path, old: OldRows, file: Row
) -> AsyncIterator[str]:
    """A database that was filled and indexed before, and upgraded."""
    server = request.getfixturevalue("postgres_server") if dialect == "postgres" else None
    url = sqlite_file_url(tmp_path / "eudai.db") if server is None else server.create_database()
    old.tables["messages"][0]["text"] = SAID
    await move_up(url, FILLED)
    await fill(url, old.tables)
    await inside(url, lambda connection: index_as_before(connection, file))
    await move_up(url, BEFORE)
    await inside(url, lambda connection: connection.execute(sa.text("update messages set indexed = true")))
    await migrate(url)
    yield url
    if server is not None:
        server.drop_database(url)


@pytest.fixture(params=["sqlite", "postgres"])
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def index_as_before(connection: sa.Connection, file: Row) -> None:
    rows: dict[str, list[dict[str, Any]]] = {
        "search_projects": [{"id": 1, "project_id": file["project_id"]}],
        "search_documents": [
            {"id": 1, "scope": 1, "document_id": file["id"], "version": 1, "name": "birds.md", "ready": True}
            | {"passages": 1, "terms": 3}
        ],
        "passages": [
            {"id": 1, "document": 1, "number": 0, "char_start": 0, "char_end": len(TEXT), "heading": "", "text": TEXT}
        ],
        "postings": [
            {"scope": 1, "term": term, "passage": 1, "document": 1, "frequency": 1, "length": 3}
            for term in ("bird", "heron", "river")
        ],
    }
    for name, found in rows.items():
        columns: list[sa.ColumnClause[Any]] = [sa.column(column, kind) for column, kind in _old_index[name].items()]
        connection.execute(sa.table(name, *columns).insert(), found)


async def search(desk: Desk, project: UUID, words: str) -> list[SearchHit]:
    scopes = [SearchScope(project, collection) for collection in SearchCollection]
    terms = dict.fromkeys(tokenise(words), 1.0)
    return list(await desk.host.one(SEARCH_INDEXES).search(terms, scopes=scopes, limit=5))


async def test_documents_and_messages_are_indexed_again(desk: Desk, old: OldRows, file: Row) -> None:
    (hit,) = await eventually(lambda: search(desk, file["project_id"], "heron"))
    assert (hit.document_id, hit.version, hit.name, hit.passage.text) == (file["id"], 1, "birds.md", TEXT)
    indexer = MessageIndexer(desk.host, desk.host.one(STORAGE), desk.host.clock)
    assert await indexer.catch_up() > 0
    message = old.tables["messages"][0]
    (conversation,) = [row for row in old.tables["conversations"] if row["id"] == message["conversation_id"]]
    hits = await search(desk, conversation["project_id"], "cormorants wings")
    assert message["id"] in [hit.document_id for hit in hits]


async def test_every_document_that_was_read_has_a_job_and_the_tables_are_right(url: str, old: OldRows) -> None:
    def jobs(connection: sa.Connection) -> list[str]:
        found = connection.execute(sa.text("select key from jobs where kind = 'ingest' and state = 'waiting'"))
        return sorted(key.partition(".")[0] for (key,) in found)

    wanted = sorted(str(version["id"]) for version in old.tables["document_versions"])
    history = read_history(CORE)
    assert await inside(url, jobs) == wanted
    await inside(url, lambda connection: check(connection, history, metadata))
    await move_down(url, BEFORE)
    assert await inside(url, jobs) == sorted(wanted * 2)
    await move_down(url, FILLED)
    await migrate(url)
    await inside(url, lambda connection: check(connection, history, metadata))
