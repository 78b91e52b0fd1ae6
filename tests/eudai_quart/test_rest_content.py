"""Files, pages and instructions over REST: changes, versions, conditions."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from support.client import Answer, Client, client
from support.server import RunningServer, running_server
from support.shelf import DEFAULTS, Fetcher, FetcherPlugin


@pytest.fixture
def fetcher() -> Fetcher:
    return Fetcher({"https://example.org/roses": "Roses are red."}, title="Roses")


@pytest.fixture
async def server(tmp_path: Path, fetcher: Fetcher, every_database: str) -> AsyncIterator[RunningServer]:
    settings = {"EUDAI_DATA_DIR": str(tmp_path / "data"), "EUDAI_MAX_UPLOAD_MB": "2"}
    plugins = [*DEFAULTS, "eudai-quart", ("fetcher", FetcherPlugin(fetcher))]
    async with running_server(settings, plugins=plugins) as running:
        yield running


async def put(user: Client, path: str, content: bytes, **headers: str) -> Answer:
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("file", content, filename="whatever.bin")
    return await user.request("PUT", path, data=form, headers=headers)


async def uploaded(user: Client, project: str, content: bytes = b"Roses are red.") -> tuple[str, dict[str, Any]]:
    answer = await user.upload(project, ("roses.txt", content))
    assert answer.status == 201
    file = answer.json["items"][0]
    return f"/api/projects/{project}/files/{file['id']}", file


async def test_a_file_is_replaced_renamed_pinned_and_its_versions_are_downloaded(
    server: RunningServer, user: Client
) -> None:
    project = await user.project()
    path, file = await uploaded(user, project)
    await server.app.jobs.idle()
    replaced = await put(user, path, b"Roses are white.")
    assert (replaced.status, replaced.json["version"], replaced.json["filename"]) == (200, 2, "roses.txt")
    same = await put(user, path, b"Roses are white.")
    assert (same.json["version"], same.headers["ETag"].split(".")[0]) == (
        2,
        replaced.headers["ETag"].split(".")[0],
    )
    changed = await user.call("PATCH", path, {"filename": "white.txt", "pinned": True})
    assert (changed["filename"], changed["pinned"], changed["version"]) == ("white.txt", True, 2)
    await server.app.jobs.idle()
    told = await user.call("GET", path)
    assert (told["status"], told["preview"]) == ("ready", "Roses are white.")
    versions = await user.call("GET", f"{path}/versions")
    assert [(one["version"], one["size"], one["status"]) for one in versions["items"]] == [
        (2, 16, "ready"),
        (1, 14, "ready"),
    ]
    assert set(versions["items"][0]) == {
        *("version", "media_type", "size", "sha256", "status", "error", "characters", "tokens", "created_at")
    }
    down = f"/api/download/files/{file['id']}"
    old = await user.request("GET", f"{down}?version=1")
    assert (old.body, old.headers["ETag"]) == (b"Roses are red.", f'"{file["sha256"]}"')
    assert (await user.request("GET", down)).body == b"Roses are white."
    part = await user.request("GET", f"{down}?version=1", headers={"Range": "bytes=10-12"})
    assert (part.status, part.body) == (206, b"red")
    assert (await user.request("GET", f"{down}?version=3")).status == 404
    for bad in ("0", "-1", "x", str(2**31)):
        answer = await user.request("GET", f"{down}?version={bad}")
        assert (answer.status, answer.json["errors"][0]["path"]) == (400, "$.version")


async def test_an_upload_of_what_is_there_is_200(user: Client) -> None:
    project = await user.project()
    await uploaded(user, project)
    again = await user.upload(project, ("roses.txt", b"Roses are red."))
    assert again.status == 200
    both = await user.upload(project, ("roses.txt", b"Roses are red."), ("more.txt", b"Roses are red."))
    assert both.status == 201
    assert len(both.json["items"]) == 2


@pytest.mark.parametrize("parts", [0, 2])
async def test_a_replacement_is_one_part(user: Client, parts: int) -> None:
    path, _ = await uploaded(user, await user.project())
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("note", "no file")
    for number in range(parts):
        form.add_field("file", b"x", filename=f"{number}.txt")
    answer = await user.request("PUT", path, data=form)
    assert (answer.status, answer.json["code"]) == (400, "bad_file")
    assert (await user.call("GET", path))["version"] == 1


async def test_a_page_is_added_told_changed_fetched_again_and_deleted(
    server: RunningServer, user: Client, fetcher: Fetcher
) -> None:
    project = await user.project()
    path = f"/api/projects/{project}/urls"
    made = await user.request("POST", path, body={"url": "HTTPS://example.org/a/../roses#red", "description": "R"})
    assert made.status == 201
    assert set(made.json) == {
        *("id", "project_id", "url", "description", "title", "status", "error", "pinned", "version", "fetched_at"),
        *("added_by", "created_at"),
    }
    assert (made.json["url"], made.json["status"], made.json["version"]) == (
        "https://example.org/roses",
        "pending",
        None,
    )
    await server.app.jobs.idle()
    told = await user.request("GET", made.headers["Location"])
    assert (told.json["status"], told.json["version"], told.json["title"]) == ("ready", 1, "Roses")
    assert [page["id"] for page in (await user.call("GET", path))["items"]] == [made.json["id"]]
    assert (await user.call("GET", f"/api/projects/{project}"))["counts"]["urls"] == 1
    fetcher.pages["https://example.org/roses"] = "Roses are white."
    refreshed = await user.request("POST", f"{made.headers['Location']}/refresh")
    assert refreshed.status == 202
    await server.app.jobs.idle()
    versions = await user.call("GET", f"{made.headers['Location']}/versions")
    assert [one["version"] for one in versions["items"]] == [2, 1]
    changed = await user.request(
        "PUT", made.headers["Location"], body={"pinned": True}, headers={"If-Match": made.headers["ETag"]}
    )
    assert (changed.status, changed.json["pinned"], changed.json["description"]) == (200, True, "R")
    taken = await user.request("POST", path, body={"url": "https://example.org/roses"})
    assert (taken.status, taken.json["code"]) == (409, "conflict")
    await user.call("DELETE", made.headers["Location"], status=204)
    await user.call("GET", made.headers["Location"], status=404)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "http://a@b/", "http://h\\x/", "http://127.1/", "", "http://h/ x", "http://h/\0", 3]
)
async def test_what_is_no_address_is_told_by_its_path(user: Client, url: Any) -> None:
    path = f"/api/projects/{await user.project()}/urls"
    answer = await user.request("POST", path, body={"url": url})
    assert (answer.status, [error["path"] for error in answer.json["errors"]]) == (400, ["$.url"])
    assert (await user.call("GET", path))["items"] == []


async def test_instructions_come_in_pages_with_their_history(user: Client) -> None:
    path = f"/api/projects/{await user.project()}/instructions"
    for position in (3, 1, 2):
        body = {"instruction_text": f"Number {position}", "position": position}
        made = await user.request("POST", path, body=body)
        assert made.status == 201
    first = await user.call("GET", f"{path}?limit=2")
    second = await user.call("GET", f"{path}?limit=2&cursor={first['next']}")
    assert [one["position"] for one in first["items"] + second["items"]] == [1, 2, 3]
    assert second["next"] is None
    mine = made.headers["Location"]
    changed = await user.request(
        "PUT", mine, body={"instruction_text": "Other", "enabled": False}, headers={"If-Match": made.headers["ETag"]}
    )
    assert (changed.json["version"], changed.json["enabled"]) == (2, False)
    versions = await user.call("GET", f"{mine}/versions")
    assert [(one["version"], one["instruction_text"]) for one in versions["items"]] == [(2, "Other"), (1, "Number 2")]


async def objects(server: RunningServer, user: Client) -> dict[str, tuple[str, str, Any]]:
    """Make one object of each kind that has an ETag; return its address, and how it is changed."""
    project = await user.project()
    conversation = await user.conversation(project)
    file, _ = await uploaded(user, project)
    made = {}
    for kind, body in (("urls", {"url": "https://example.org/roses"}), ("instructions", {"instruction_text": "x"})):
        made[kind] = (await user.request("POST", f"/api/projects/{project}/{kind}", body=body)).headers["Location"]
    await server.app.jobs.idle()
    return {
        "file": (file, "PATCH", {"pinned": True}),
        "url": (made["urls"], "PUT", {"pinned": True}),
        "instruction": (made["instructions"], "PUT", {"position": 5}),
        "conversation": (f"/api/conversations/{conversation}", "PATCH", {"title": "x"}),
        "project": (f"/api/projects/{project}", "PUT", {"description": "x"}),
    }


async def test_conditions_hold_for_everything_that_has_a_tag(server: RunningServer, user: Client) -> None:
    for kind, (path, method, change) in (await objects(server, user)).items():
        before = await user.request("GET", path)
        tag = before.headers["ETag"]
        for known in (tag, "*", f'"other", W/{tag}'):
            unchanged = await user.request("GET", path, headers={"If-None-Match": known})
            assert (unchanged.status, unchanged.body) == (304, b""), kind
            assert unchanged.headers["ETag"] == tag
            assert "Content-Length" not in unchanged.headers
            assert "Content-Type" not in unchanged.headers
        for wrong in (
            '"nonsense"',
            tag.replace('"v1', '"v9').replace('"u-', '"u-0'),
            f"W/{tag}",
            f"{tag}, {tag}",
            "v1",
        ):
            refused = await user.request(method, path, body=change, headers={"If-Match": wrong})
            assert (refused.status, refused.json["code"]) == (412, "precondition_failed"), (kind, wrong)
            assert (await user.request("DELETE", path, headers={"If-Match": wrong})).status == 412
        changed = await user.request(method, path, body=change, headers={"If-Match": tag})
        assert changed.status == 200, kind
        assert changed.headers["ETag"] != tag
        assert (await user.request("GET", path, headers={"If-None-Match": tag})).status == 200
        assert (await user.request(method, path, body=change, headers={"If-Match": "*"})).status == 200
        assert (await user.request("DELETE", path, headers={"If-Match": tag})).status == 412
        newest = (await user.request("GET", path)).headers["ETag"]
        gone = await user.request("DELETE", path, headers={"If-Match": newest})
        assert (gone.status, "Content-Length" in gone.headers) == (204, False), kind


async def test_a_replacement_upon_an_old_state_is_refused(user: Client) -> None:
    path, _ = await uploaded(user, await user.project())
    tag = (await user.request("GET", path)).headers["ETag"]
    assert (await put(user, path, b"white", **{"If-Match": tag})).status == 200
    assert (await put(user, path, b"blue", **{"If-Match": tag})).status == 412
    assert (await put(user, path, b"blue", **{"If-Match": '"nonsense"'})).status == 412
    # What is no upload at all is told first.
    assert (await user.request("PUT", path, headers={"If-Match": '"nonsense"'})).status == 415
    assert (await user.call("GET", path))["version"] == 2


async def test_a_tag_follows_what_is_told_and_a_change_only_what_was_changed(
    server: RunningServer, user: Client
) -> None:
    project = await user.project()
    path, _ = await uploaded(user, project)
    above = f"/api/projects/{project}"
    tags = [(await user.request("GET", one)).headers["ETag"] for one in (path, above)]
    await server.app.jobs.idle()
    await user.upload(project, ("more.txt", b"more"))
    for one, tag, method, change in zip(
        (path, above), tags, ("PATCH", "PUT"), ({"pinned": True}, {"name": "x"}), strict=True
    ):
        # The file was read meanwhile, and the project has another file: there is more to tell, and no change to lose.
        assert (await user.request("GET", one, headers={"If-None-Match": tag})).status in {200, 304}
        assert (await user.request(method, one, body=change, headers={"If-Match": tag})).status == 200
    assert (await user.request("GET", above, headers={"If-None-Match": tags[1]})).status == 200


@pytest.mark.parametrize("cursor", ["x", "%00", "ü", "%F0%9F", "AAAA", base64.b64encode(b"\x7f" * 24).decode()])
async def test_a_cursor_of_nobody_s_is_told_by_its_path(server: RunningServer, user: Client, cursor: str) -> None:
    made = await objects(server, user)
    project = made["project"][0]
    lists = [f"{project}/{name}" for name in ("files", "urls", "instructions", "conversations")]
    lists += [f"{made[name][0]}/versions" for name in ("file", "url", "instruction")]
    for path in ("/api/projects", "/api/conversations", made["conversation"][0], *lists):
        answer = await user.request("GET", f"{path}?cursor={cursor}")
        assert answer.status == 400, path
        # What is no UTF-8 has no parameters to name.
        assert [error["path"] for error in answer.json["errors"]] in (["$.cursor"], ["$"]), path


BAD_BODIES: tuple[tuple[bytes, str], ...] = (
    (b"", "$"),
    (b"{", "$"),
    (b"[]", "$"),
    (b"null", "$"),
    (b'{"a": 1', "$.a"),
    (b"\xff\xfe", "$"),
    (b'{"unknown": 1}', "$.unknown"),
    (b'{"id": "0198c5f0-0000-7000-8000-000000000000"}', "$.id"),
    (b'{"owner_id": "0198c5f0-0000-7000-8000-000000000000"}', "$.owner_id"),
    (b'{"version": 7}', "$.version"),
    (b'{"\\ud800": 1}', "$"),
    (b"[" * 100_000, "$"),
    (b"9" * 5000, "$"),
    (b"NaN", "$"),
)


@pytest.mark.parametrize(("raw", "path"), BAD_BODIES)
async def test_a_body_that_is_none_is_told_by_its_path(
    server: RunningServer, user: Client, raw: bytes, path: str
) -> None:
    made = await objects(server, user)
    project = made["project"][0]
    targets = [(method, where) for where, method, _ in made.values()]
    targets += [("POST", "/api/projects"), ("POST", f"{project}/urls"), ("POST", f"{project}/instructions")]
    for method, where in targets:
        answer = await user.request(method, where, data=raw, headers={"Content-Type": "application/json"})
        told = (answer.status, [error["path"] for error in answer.json["errors"]])
        # What is asked for first is missing first; either is said by its name.
        assert told[0] == 400, (method, where)
        assert told[1] in ([path], ["$.name"], ["$.url"], ["$.instruction_text"]), (method, where)


@pytest.mark.parametrize(
    ("kind", "change", "path"),
    [
        ("file", {"filename": "a\0b"}, "$.filename"),
        ("file", {"filename": "a/b"}, "$.filename"),
        ("file", {"filename": "x" * 256}, "$.filename"),
        ("file", {"pinned": 1}, "$.pinned"),
        ("url", {"url": "ftp://h/"}, "$.url"),
        ("url", {"description": "a\0b"}, "$.description"),
        ("url", {"description": "x" * 10_001}, "$.description"),
        ("instruction", {"instruction_text": ""}, "$.instruction_text"),
        ("instruction", {"position": 2**31}, "$.position"),
        ("instruction", {"position": 1.5}, "$.position"),
        ("instruction", {"enabled": "yes"}, "$.enabled"),
        ("project", {"name": "a\0b"}, "$.name"),
        ("project", {"name": " "}, "$.name"),
        ("project", {"settings": {"colour": 1}}, "$.settings.colour"),
        ("project", {"settings": {"overflow": "explode"}}, "$.settings.overflow"),
        ("project", {"settings": {"model": "x" * 201}}, "$.settings.model"),
        ("project", {"settings": {"model": "a\0b"}}, "$.settings.model"),
        ("project", {"settings": {"retention_days": 2**40}}, "$.settings.retention_days"),
        ("conversation", {"model": "x" * 201}, "$.model"),
        ("conversation", {"title": "a\0b"}, "$.title"),
    ],
)
async def test_a_member_that_is_wrong_is_told_by_its_path(
    server: RunningServer, user: Client, kind: str, change: dict[str, Any], path: str
) -> None:
    where, method, _ = (await objects(server, user))[kind]
    before = await user.call("GET", where)
    answer = await user.request(method, where, body=change)
    assert (answer.status, [error["path"] for error in answer.json["errors"]]) == (400, [path])
    assert await user.call("GET", where) == before


async def test_what_is_another_s_looks_like_what_is_not_there(server: RunningServer, user: Client) -> None:
    theirs = await objects(server, user)
    their_project = theirs["project"][0].rpartition("/")[2]
    nobody_s = "0198c5f0-0000-7000-8000-000000000000"
    async with client(server.url) as stranger:
        own = await stranger.project()
        for kind, method, parts in (
            ("file", "PATCH", ("", "/versions")),
            ("url", "PUT", ("", "/versions", "/refresh")),
            ("instruction", "PUT", ("", "/versions")),
        ):
            path, _, change = theirs[kind]
            key = path.rpartition("/")[2]
            for part in parts:
                verbs = {"": ("GET", method, "DELETE"), "/versions": ("GET",), "/refresh": ("POST",)}[part]
                for verb in verbs:
                    body = change if verb == method else None
                    told = set()
                    for project in (own, their_project, nobody_s):
                        for one in (key, nobody_s):
                            where = f"/api/projects/{project}/{kind}s/{one}{part}"
                            answer = await stranger.request(verb, where, body=body)
                            assert answer.status == 404, (verb, where)
                            told.add(answer.json["detail"].replace(key, "?").replace(nobody_s, "?"))
                    assert len(told) == 1, (kind, verb, told)
            listed = [
                await stranger.request("GET", f"/api/projects/{one}/{kind}s") for one in (their_project, nobody_s)
            ]
            assert [answer.status for answer in listed] == [404, 404]
        file = theirs["file"][0].rpartition("/")[2]
        assert (await stranger.request("GET", f"/api/download/files/{file}")).status == 404
        assert (await put(stranger, theirs["file"][0], b"x")).status == 404
        for kind, body in (("urls", {"url": "https://h/"}), ("instructions", {"instruction_text": "x"})):
            answer = await stranger.request("POST", f"/api/projects/{their_project}/{kind}", body=body)
            assert answer.status == 404
        assert (await stranger.upload(their_project, ("a.txt", b"x"))).status == 404
    for path, _, _ in theirs.values():
        assert (await user.request("GET", path)).status == 200
