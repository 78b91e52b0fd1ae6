"""Walking the whole surface: every route with every method, and a body that would do something there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import websockets
from websockets.asyncio.client import connect

from eudai_quart.context import Surface
from support.client import Answer, Client
from support.eventually import eventually

__all__ = ["BODIES", "Step", "furnish", "observed", "send", "steps", "told", "websocket_refusal"]

UPLOAD = (
    b'--edge\r\nContent-Disposition: form-data; name="f"; filename="taken.txt"\r\n\r\nTaken over.\r\n--edge--\r\n',
    {"Content-Type": "multipart/form-data; boundary=edge"},
)
BODIES: Mapping[str, Any] = {
    "auth.signup": {"username": "walker", "email": "walker@example.org", "password": "correct horse"},
    "auth.login": {"username": "walker", "password": "wrong horse"},
    "auth.refresh": {"refresh_token": "nonsense"},
    "users.change": {"email": "taken@example.org", "current_password": "wrong horse"},
    "users.delete": {"current_password": "wrong horse"},
    "keys.create": {"name": "taken", "scopes": ["read"]},
    "projects.create": {"name": "taken"},
    "projects.update": {"name": "taken"},
    "files.upload": UPLOAD,
    "files.replace": UPLOAD,
    "files.update": {"filename": "taken.txt"},
    "urls.create": {"url": "http://127.0.0.1:1/taken"},
    "urls.update": {"description": "taken"},
    "instructions.create": {"instruction_text": "taken"},
    "instructions.update": {"instruction_text": "taken", "enabled": False},
    "conversations.create": {"title": "taken"},
    "conversations.update": {"title": "taken"},
    "messages.send": {"content": "taken"},
    "messages.regenerate": {},
    "messages.resume": {"message_id": "<message_id>"},
    "messages.stop": {},
    "messages.preview": {"content": "taken"},
    "admin.change_user": {"disabled": True},
    "admin.invite": {},
}
"""A body for each endpoint that takes one; ``<name>`` stands for an id."""
_ARGUMENT = re.compile(r"<id:(\w+)>")
_CHANGING = ("retry_after", "request_id")


@dataclass(frozen=True, slots=True)
class Step:
    """One route with one method; ``method`` is empty for a WebSocket."""

    endpoint: str
    rule: str
    method: str

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of its ids."""
        return tuple(_ARGUMENT.findall(self.rule))

    def path(self, ids: Mapping[str, str]) -> str:
        """Return its path with these ids."""
        return _ARGUMENT.sub(lambda match: ids[match[1]], self.rule)


def steps(surface: Surface, *, implied: bool = False) -> Iterator[Step]:
    """Give every step there is; with ``implied`` also HEAD and OPTIONS, which are there by themselves."""
    for rule in surface.url_map.iter_rules():
        if rule.websocket:
            yield Step(rule.endpoint, rule.rule, "")
            continue
        for method in sorted(rule.methods or ()):
            if implied or method not in {"HEAD", "OPTIONS"}:
                yield Step(rule.endpoint, rule.rule, method)


async def send(user: Client, step: Step, ids: Mapping[str, str], **options: Any) -> Answer:
    """Take a step over HTTP."""
    body = BODIES.get(step.endpoint)
    if step.method in {"GET", "HEAD", "OPTIONS"} or (body is None and step.method == "DELETE"):
        return await user.request(step.method, step.path(ids), **options)
    if isinstance(body, tuple):
        headers = {**body[1], **options.pop("headers", {})}
        return await user.request(step.method, step.path(ids), data=body[0], headers=headers, **options)
    text = re.sub(r"<(\w+)>", lambda match: ids[match[1]], json.dumps(body or {}))
    return await user.request(step.method, step.path(ids), body=json.loads(text), **options)


async def websocket_refusal(user: Client, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    """Open a socket that is to be refused; return status and body."""
    sent = {"Authorization": f"Bearer {user.token}"} if headers is None else dict(headers)
    try:
        async with connect(
            f"ws{user.url.removeprefix('http')}{path}", additional_headers=sent, compression=None, proxy=None
        ):
            return 101, b""
    except websockets.InvalidStatus as refused:
        return refused.response.status_code, bytes(refused.response.body or b"")


def told(body: bytes, ids: Mapping[str, str]) -> Any:
    """Return what an answer says, without its request id, and with the names of ids in their places."""
    text = body.decode("utf-8", "replace")
    for name, value in ids.items():
        text = text.replace(value, f"<{name}>")
    try:
        said = json.loads(text)
    except ValueError:
        return text
    return {name: value for name, value in said.items() if name not in _CHANGING} if isinstance(said, dict) else said


async def furnish(user: Client) -> dict[str, str]:
    """Give a user one object of each kind; return their ids by the names that routes have for them."""
    project = await user.project("Of the first")
    conversation = await user.conversation(project)
    exchange = await user.call("POST", f"/api/conversations/{conversation}/messages", {"content": "What is mine?"})
    base = f"/api/projects/{project}"
    uploaded = await user.upload(project, ("mine.txt", b"My own text about beekeeping."))
    instruction = await user.call("POST", f"{base}/instructions", {"instruction_text": "Be mine."}, status=201)
    page = await user.call("POST", f"{base}/urls", {"url": "http://127.0.0.1:1/mine"}, status=201)
    key = await user.call("POST", "/api/auth/keys", {"name": "mine", "scopes": ["read"]}, status=201)
    ids = {
        "project_id": project,
        "conversation_id": conversation,
        "message_id": str(exchange["bot_message"]["id"]),
        "file_id": str(uploaded.json["items"][0]["id"]),
        "instruction_id": str(instruction["id"]),
        "url_id": str(page["id"]),
        "key_id": str(key["id"]),
        "user_id": str((await user.call("GET", "/api/users/me"))["id"]),
    }
    await _settled(user, ids)
    return ids


async def _settled(user: Client, ids: Mapping[str, str]) -> None:
    """Wait until what goes on in the background has come to its end."""
    base = f"/api/projects/{ids['project_id']}"
    for path in (f"{base}/files/{ids['file_id']}", f"{base}/urls/{ids['url_id']}"):

        async def settled(path: str = path) -> bool:
            return bool((await user.call("GET", path))["status"] != "pending")

        await eventually(settled)


async def observed(user: Client, ids: Mapping[str, str]) -> dict[str, tuple[int, bytes]]:
    """Return all that a user can see of the own objects."""
    base = f"/api/projects/{ids['project_id']}"
    paths = [
        "/api/users/me",
        "/api/auth/keys",
        "/api/projects",
        base,
        f"{base}/files",
        f"{base}/files/{ids['file_id']}",
        f"{base}/urls",
        f"{base}/instructions",
        f"/api/conversations/{ids['conversation_id']}",
        f"/api/download/files/{ids['file_id']}",
    ]
    answers = [await user.request("GET", path) for path in paths]
    return {path: (answer.status, answer.body) for path, answer in zip(paths, answers, strict=True)}
