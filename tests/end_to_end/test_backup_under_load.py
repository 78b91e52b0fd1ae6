"""A backup of a server that people work on, everything wiped, and restored elsewhere: every row with its bytes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from eudai_content.blobs import LocalBlobStore
from eudai_core.backup.capability import portable
from eudai_core.testing.scripted_ollama import Reply, ScriptedOllama
from eudai_sql.storage import open_storage
from support.client import Client, client
from support.portable import contents_of
from support.postgres import PostgresServer, sqlite_file_url
from support.server import server_process

WRITERS = 4
SEED = 31


@dataclass(slots=True)
class Ledger:
    """What the server acknowledged: files by id with their bytes, those deleted again, and texts of messages."""

    files: dict[str, bytes] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    texts: list[str] = field(default_factory=list)


async def write(user: Client, number: int, ledger: Ledger, enough: asyncio.Event, started: asyncio.Barrier) -> None:
    """Upload, delete and chat until it is enough."""
    dice = random.Random(SEED + number)
    project = await user.project(f"project {number}")
    conversation = await user.conversation(project)
    mine: list[str] = []
    for step in range(10_000):
        if step == 3:
            await started.wait()
        body = dice.randbytes(dice.choice((1, 1000, 300_000))) + f"{number}:{step}".encode()
        answer = await user.upload(project, (f"file {step}.txt", body.hex().encode()))
        assert answer.status == 201, answer.body
        file = answer.json["items"][0]
        ledger.files[file["id"]] = body.hex().encode()
        mine.append(file["id"])
        if len(mine) > 2:
            gone = mine.pop(dice.randrange(len(mine)))
            ledger.deleted.add(gone)
            await user.call("DELETE", f"/api/projects/{project}/files/{gone}", status=204)
        text = f"message {number}:{step} é"
        await user.call("POST", f"/api/conversations/{conversation}/messages", {"content": text})
        ledger.texts.append(text)
        if enough.is_set():
            return


async def eudai(*arguments: str, environ: Mapping[str, str]) -> str:
    """Run a command of the command line and return its output."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("EUDAI_", "DATABASE_"))}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "eudai_core.cli",
        *arguments,
        env={**kept, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def versions_of(url: str) -> list[dict[str, Any]]:
    """Return the rows that name blobs."""
    storage = open_storage(url)
    try:
        async with portable(storage).snapshot() as snapshot:
            table = next(table for table in snapshot.tables if table.name == "document_versions")
            return [dict(zip(table.columns, row, strict=True)) async for batch in snapshot.rows(table) for row in batch]
    finally:
        await storage.aclose()


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("before", "after"), [("sqlite", "postgres"), ("postgres", "sqlite")])
async def test_every_blob_is_there_and_equal(
    tmp_path: Path, postgres_server: PostgresServer, ollama: ScriptedOllama, before: str, after: str
) -> None:
    url = await asyncio.to_thread(postgres_server.create_database)
    data, new = tmp_path / "data", tmp_path / "elsewhere"
    settings = {"OLLAMA_HOST": ollama.url}
    here = settings | ({"EUDAI_DATABASE_URL": url} if before == "postgres" else {})
    there = {"EUDAI_DATABASE_URL": url} if after == "postgres" else {}
    ollama.script(*(Reply.of("An ", "answer.") for _ in range(2000)))
    if before == "postgres":
        await eudai("db", "upgrade", environ=here)

    ledger, enough = Ledger(), asyncio.Event()
    started = asyncio.Barrier(WRITERS + 1)
    async with server_process(data, environ=here) as server, client(server.url) as user, asyncio.TaskGroup() as group:
        for number in range(WRITERS):
            group.create_task(write(user, number, ledger, enough, started))
        await started.wait()
        files, texts = dict(ledger.files), list(ledger.texts)
        out = await eudai("db", "backup", str(tmp_path / "a.zip"), environ=here | {"EUDAI_DATA_DIR": str(data)})
        assert out.strip() == str(tmp_path / "a.zip")
        more = len(ledger.texts) - len(texts)
        deleted = set(ledger.deleted)
        enough.set()
    assert more > 0, "nobody wrote while the backup ran"

    await asyncio.to_thread(shutil.rmtree, data)
    if before == "postgres":
        await asyncio.to_thread(postgres_server.drop_database, url)
    await eudai("db", "restore", str(tmp_path / "a.zip"), environ=there | {"EUDAI_DATA_DIR": str(new)})

    restored = url if after == "postgres" else sqlite_file_url(new / "eudai.db")
    versions = await versions_of(restored)
    blobs = LocalBlobStore(new / "blobs")
    for version in versions:
        body = b"".join([piece async for piece in blobs.read(version["blob_key"])])
        assert (len(body), hashlib.sha256(body).hexdigest()) == (version["size"], version["sha256"])
        assert body == ledger.files[str(UUID(version["owner_id"]))]
    owners = {version["owner_id"] for version in versions}
    # What was acknowledged before the backup began, and not taken back before it ended, is in it.
    assert {file.replace("-", "") for file in files.keys() - deleted} <= owners
    storage = open_storage(restored)
    messages = (await contents_of(storage))["messages"]
    await storage.aclose()
    assert [text for text in texts if not any(json.dumps(text) in line for line in messages)] == []
    if after == "postgres":
        await asyncio.to_thread(postgres_server.drop_database, url)
