"""Schemathesis sends a running server what its OpenAPI document allows, and what it forbids."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from support.client import Client
from support.server import RunningServer

LEFT_OUT = (
    "auth.logout",  # would end the session of all that follows
    "messages.events",  # its answer never ends
    "events.stream",  # nor does this one
)
# What a schema cannot say (an answer's id must be an answer's, a text holds no NUL) is refused all the same.
NOT_CHECKED = ("positive_data_acceptance",)


@pytest.fixture
def every_database() -> str:
    """One database is enough: the answers are the surface's."""
    return "sqlite"


async def objects(user: Client) -> dict[str, str]:
    """Make one object of each kind, and return their ids by the names that paths have for them."""
    project = await user.project()
    conversation = await user.conversation(project)
    exchange = await user.call("POST", f"/api/conversations/{conversation}/messages", {"content": "Hello"})
    uploaded = await user.upload(project, ("a.txt", b"Roses are red."))
    path = f"/api/projects/{project}/instructions"
    instruction = await user.call("POST", path, {"instruction_text": "Be brief."}, status=201)
    page = await user.call("POST", f"/api/projects/{project}/urls", {"url": "https://example.org/"}, status=201)
    key = await user.call("POST", "/api/auth/keys", {"name": "script", "scopes": ["read"]}, status=201)
    return {
        "project_id": project,
        "conversation_id": conversation,
        "message_id": exchange["bot_message"]["id"],
        "file_id": uploaded.json["items"][0]["id"],
        "instruction_id": instruction["id"],
        "url_id": page["id"],
        "key_id": key["id"],
        # For administrators only, which this user is not.
        "user_id": (await user.call("GET", "/api/users/me"))["id"],
        "invite_id": key["id"],
    }


def settings(kept: dict[str, str], deleted: dict[str, str]) -> str:
    """Return a configuration that gives paths the ids of real objects, and deletes only those meant for it."""
    tables = [", ".join(f'"path.{name}" = {json.dumps(key)}' for name, key in ids.items()) for ids in (kept, deleted)]
    return "\n".join(
        (
            f"parameters = {{ {tables[0]} }}",
            "[phases.coverage]",
            "unexpected-methods = []",  # what they get, another test tells
            "[checks.negative_data_rejection]",
            # A stale If-Match is a refusal, too: an upload is not read to its end for it.
            'expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "412", "413", "415", "429", "5xx"]',
            "[[operations]]",
            'include-method = "DELETE"',
            f"parameters = {{ {tables[1]} }}",
        )
    )


@pytest.mark.timeout(480)
async def test_no_request_makes_an_answer_that_is_not_documented(
    server: RunningServer, user: Client, tmp_path: Path
) -> None:
    known = await objects(user)
    config = tmp_path / "schemathesis.toml"
    config.write_text(settings(known, await objects(user)), "utf-8")
    document = await user.call("GET", "/openapi.json")
    named = {
        parameter["name"]
        for methods in document["paths"].values()
        for described in methods.values()
        for parameter in described.get("parameters", ())
        if parameter.get("in") == "path"
    }
    assert named <= set(known), "make one of these in objects()"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(config)),
        *("run", f"{server.url}/openapi.json", "--header", f"Authorization: Bearer {user.token}"),
        *("--seed", "1", "--max-examples", "3", "--no-shrink", "--phases", "coverage,fuzzing"),
        *("--checks", "all", "--exclude-checks", ",".join(NOT_CHECKED), "--request-timeout", "60"),
        *(part for name in LEFT_OUT for part in ("--exclude-operation-id", name)),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-8000:]
    asked = sum(map(len, document["paths"].values())) - len(LEFT_OUT) - 1  # it does not ask for the document itself
    assert f"Tested: {asked}\n" in output.decode()
