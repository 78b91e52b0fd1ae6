"""Files over REST: uploads while they arrive, and downloads byte for byte."""

from __future__ import annotations

import hashlib
import io
from collections.abc import AsyncIterator

import pytest

from support.client import Client
from support.server import RunningServer

BOUNDARY = "----boundary"
MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def part(name: str, content: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="f"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n"


NO_FILE = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="a"\r\n\r\nno file\r\n'.encode()
END = f"--{BOUNDARY}--\r\n".encode()


async def test_files_are_stored_and_come_back_byte_for_byte(user: Client) -> None:
    project = await user.project()
    content = bytes(range(256)) * 3000
    answer = await user.upload(project, ("Ünïcode name.bin", content), ("notes.md", b"# Notes\n\nRoses are red.\n"))
    assert answer.status == 201
    binary, notes = answer.json["items"]
    assert set(notes) == {
        *("id", "project_id", "filename", "media_type", "size", "sha256", "status", "error", "pinned"),
        *("version", "characters", "tokens", "uploaded_at", "uploaded_by", "preview"),
    }
    assert (binary["filename"], binary["size"]) == ("Ünïcode name.bin", len(content))
    assert binary["sha256"] == hashlib.sha256(content).hexdigest()
    down = await user.request("GET", f"/api/download/files/{binary['id']}")
    assert down.body == content
    assert down.headers["ETag"] == f'"{binary["sha256"]}"'
    assert down.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in down.headers["Content-Security-Policy"]
    assert down.headers["Content-Disposition"] == (
        "attachment; filename=\"_n_code name.bin\"; filename*=UTF-8''%C3%9Cn%C3%AFcode%20name.bin"
    )


async def test_the_same_file_again_is_the_row_that_is_there(user: Client) -> None:
    project = await user.project()
    first = (await user.upload(project, ("a.txt", b"same"))).json["items"][0]
    second = (await user.upload(project, ("a.txt", b"same"))).json["items"][0]
    assert first["id"] == second["id"]
    assert len((await user.call("GET", f"/api/projects/{project}/files"))["items"]) == 1


async def test_a_file_is_told_with_a_preview_and_deleted(user: Client) -> None:
    project = await user.project()
    made = (await user.upload(project, ("a.txt", b"Roses are red."))).json["items"][0]
    path = f"/api/projects/{project}/files/{made['id']}"
    file = await user.call("GET", path)
    while file["status"] == "pending":
        file = await user.call("GET", path)
    assert (file["status"], file["preview"]) == ("ready", "Roses are red.")
    assert file["characters"] == 14
    await user.call("DELETE", path, status=204)
    await user.call("GET", path, status=404)
    await user.call("GET", f"/api/download/files/{made['id']}", status=404)


@pytest.mark.parametrize(
    ("header", "status", "body", "content_range"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=5-99", 206, b"56789", "bytes 5-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=4-2", 200, b"0123456789", None),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
async def test_ranges(user: Client, header: str, status: int, body: bytes | None, content_range: str | None) -> None:
    file = (await user.upload(await user.project(), ("a.txt", b"0123456789"))).json["items"][0]
    answer = await user.request("GET", f"/api/download/files/{file['id']}", headers={"Range": header})
    assert (answer.status, answer.headers.get("Content-Range")) == (status, content_range)
    if body is not None:
        assert answer.body == body
        assert answer.headers["Content-Length"] == str(len(body))


async def test_conditional_downloads(user: Client) -> None:
    file = (await user.upload(await user.project(), ("a.txt", b"0123456789"))).json["items"][0]
    path, tag = f"/api/download/files/{file['id']}", f'"{file["sha256"]}"'
    unchanged = await user.request("GET", path, headers={"If-None-Match": f'"other", W/{tag}'})
    assert (unchanged.status, unchanged.body) == (304, b"")
    part_of_this = await user.request("GET", path, headers={"Range": "bytes=0-1", "If-Range": tag})
    assert part_of_this.body == b"01"
    all_of_new = await user.request("GET", path, headers={"Range": "bytes=0-1", "If-Range": '"old"'})
    assert (all_of_new.status, all_of_new.body) == (200, b"0123456789")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", MULTIPART),
        (b"no multipart at all", MULTIPART),
        (END, MULTIPART),
        (part("a.txt", b"text"), MULTIPART),
        (part("a.txt", b"text")[:-20], MULTIPART),
        (part("a.txt", b"") + END, MULTIPART),
        (part("a.txt", b"text") + part("b.txt", b"") + END, MULTIPART),
        (part("..", b"text") + END, MULTIPART),
        (b"--" + BOUNDARY.encode() + b"\r\nX-No: disposition\r\n\r\ntext\r\n" + END, MULTIPART),
        (b"--" + BOUNDARY.encode() + b"\r\nX: \xff\xfe\r\n\r\ntext\r\n" + END, MULTIPART),
        (b"--" + BOUNDARY.encode() + b"\r\nX: " + b"x" * 400_000 + b"\r\n\r\ntext\r\n" + END, MULTIPART),
        (part("a.txt", b"text") + END, {"Content-Type": "multipart/form-data"}),
        (NO_FILE + END, MULTIPART),
        (part("big.bin", b"x" * 2_500_000) + END, MULTIPART),
        (part("big.bin", b"x" * 6_000_000) + END, MULTIPART),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_bad_upload_is_refused_and_leaves_nothing(
    user: Client, server: RunningServer, body: bytes, headers: dict[str, str], chunked: bool
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    project = await user.project()
    path = f"/api/projects/{project}/files"
    answer = await user.request("POST", path, data=pieces() if chunked else io.BytesIO(body), headers=headers)
    assert (answer.status, answer.json["title"]) == (400, "Bad file"), answer.body
    assert len(answer.json["detail"]) > 10
    assert (await user.call("GET", path))["items"] == []
    blobs = [path for path in server.app.core.data_dir.rglob("*") if path.is_file() and "files" in path.parts]
    assert blobs == []


async def test_an_upload_of_another_type_is_415(user: Client) -> None:
    path = f"/api/projects/{await user.project()}/files"
    assert (await user.request("POST", path, body={"file": "x"})).status == 415


async def test_a_conversation_is_downloaded_as_a_document(user: Client) -> None:
    conversation = await user.conversation()
    await user.call("POST", f"/api/conversations/{conversation}/messages", {"content": "Hello there"})
    plain = await user.request("GET", f"/api/download/conversations/{conversation}")
    assert plain.headers["Content-Type"].startswith("text/markdown")
    assert "attachment" in plain.headers["Content-Disposition"]
    assert "Hello there" in plain.body.decode()
    as_json = await user.request("GET", f"/api/download/conversations/{conversation}?format=json")
    assert "Hello there" in as_json.body.decode()
    unknown = await user.request("GET", f"/api/download/conversations/{conversation}?format=nope")
    assert (unknown.status, unknown.json["errors"][0]["path"]) == (400, "$.format")
