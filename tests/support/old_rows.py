"""Rows as the first revision with conversations kept them: several shapes of conversations, awkward text and JSON."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

__all__ = ["OldRows", "make_rows"]

Row = dict[str, Any]
Shape = Callable[[list[Row], int], Row | None]

_BEGIN = datetime(2025, 1, 31, 23, 59, 59, 999999, tzinfo=UTC)
_FAR = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
_PLANES = 17
_AWKWARD = (
    "",
    " ",
    "\x01\x1b\x7f\x85\u2028\ufeff\ufffe\uffff\U0010ffff",
    "line\r\nline\rline\n\ttab\v\f",
    "quotes ' \" ` ; -- /* */ \\ \\\\ \\u0000 \\x00 %s %(a)s :name $1 ? {0} {{}}",
    "e\u0301 \u00e9 \u1e9b\u0323 \u202eright to left\u202c \u0645\u0631\u062d\u0628\u0627 \U0001f468\u200d\U0001f469",
    '{"json": "in a text", "n": null}',
    "NULL",
    "0",
)
_JSON: tuple[Any, ...] = (
    {},
    {"nested": {"list": [1, -1, 0.1, True, False, None, "", [], {}], "text": '\U0001d54f \\u0000 " \u2028'}},
    {"\u00e9": 2**53},
)
_TOKENS = ["prompt_tokens", "completion_tokens", "reused_prefix_tokens", "duration_ms", "first_token_ms"]
_USAGE: tuple[Any, ...] = (None, dict.fromkeys(_TOKENS, 0), dict(zip(_TOKENS, (2**53, None, 1, 0, None), strict=True)))
_CITATION = {
    "id": "S1",
    "segment": 2**31,
    "start": 0,
    "end": 1,
    "quote": _JSON[1]["nested"]["text"],
    "verdict": "verified",
}
_COLUMNS = {
    "users": "id username email username_key email_key password_hash is_admin disabled created_at",
    "sessions": "id user_id created_at expires_at revoked_at",
    "refresh_tokens": "sha256 session_id expires_at spent_at",
    "plugin_states": "instance name reported_at distribution version status detail import_ms hooks faults",
    "projects": "id owner_id name description settings created_at updated_at version",
    "files": "id project_id filename path uploaded_at uploaded_by current_version pinned",
    "instructions": "id project_id instruction_text created_at position enabled version",
    "document_versions": "id owner_type owner_id project_id number sha256 blob_key media_type size created_at status"
    " error text_sha256 characters tokens",
    "texts": "sha256 bytes",
    "text_owners": "sha256 owner_id",
    "jobs": "id kind key payload run_after state attempts error owner lease_until",
    "conversations": "id project_id title model active_message_id next_seq lease_owner lease_until version created_at"
    " updated_at",
    "messages": "id conversation_id parent_id sender text timestamp status thinking model usage citations error"
    " client_id",
    "runs": "id conversation_id user_id message_id answer_id kind model backend host queued_at status owner lease_until"
    " stop_requested announced options finished_at",
    "commands": "conversation_id client_id kind request_hash message_id answer_id run_id created_at",
    "events": "conversation_id seq run_id type payload",
    "context_records": "run_id step message_id conversation_id model system user history_from left_out report",
}


@dataclass(slots=True)
class OldRows:
    """Rows by table, and for each conversation its leaf with the texts and thinking on the path to it."""

    tables: dict[str, list[Row]] = field(default_factory=dict)
    paths: list[tuple[UUID, list[tuple[str, str]]]] = field(default_factory=list)

    def add(self, table: str, *values: Any) -> Row:
        """Add a row."""
        row = dict(zip(_COLUMNS[table].split(), values, strict=True))
        self.tables.setdefault(table, []).append(row)
        return row


def make_rows(count: int, seed: int) -> OldRows:
    """Make ``count`` messages in conversations of several shapes, and rows of every other table around them."""
    maker = _Maker(seed)
    users = [maker.user(number) for number in range(3)]
    projects = [maker.project(users[number % 3], number) for number in range(5)]
    shapes = itertools.cycle([_straight, maker.tree, _wide, _several_roots])
    lengths = iter([count * 3 // 10, count // 10, count // 20, count // 20])
    while (made := len(maker.rows.tables.get("messages", ()))) < count:
        length = next(lengths, 0) or maker.random.randint(1, 60)
        project = maker.random.choice(projects[:4])  # the last one stays without conversations
        maker.conversation(project, next(shapes), min(length, count - made))
    maker.rows.add("plugin_states", "i", "n", _BEGIN, "d", "1", "running", "", 0.1, ["a"], {})
    return maker.rows


def _straight(messages: list[Row], number: int) -> Row | None:
    return messages[-1] if number else None


def _wide(messages: list[Row], number: int) -> Row | None:
    return messages[0] if number else None


def _several_roots(messages: list[Row], number: int) -> Row | None:
    return messages[-1] if number % 7 else None


class _Maker:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.rows = OldRows()
        self._texts = _texts(self.random)

    def user(self, number: int) -> Row:
        """Add a user with a session."""
        name, mail, at = f"U{number}", f"U{number}@example.org", self._at()
        admin, disabled = number == 0, number == 2
        user = self.rows.add("users", self._id(), name, mail, name.lower(), mail.lower(), "$2b$", admin, disabled, at)
        session = self.rows.add("sessions", self._id(), user["id"], at, _FAR, at if number else None)
        self.rows.add("refresh_tokens", f"{number:064x}", session["id"], _FAR, None)
        return user

    def project(self, owner: Row, number: int) -> Row:
        """Add a project with instructions, files and jobs."""
        text, at = self._text(), self._at()
        key = self._id()
        project = self.rows.add("projects", key, owner["id"], text or "-", text, _JSON[number % 3], at, at, number)
        for position in range(4):
            enabled = bool(position % 2)
            self.rows.add("instructions", self._id(), key, self._text(), self._at(), position - 2, enabled, 1)
            self._file(project, owner, position)
        return project

    def conversation(self, project: Row, shape: Shape, count: int) -> None:
        """Add a conversation whose messages have the parents that ``shape`` gives them."""
        high, version, at = self.random.randrange(2**62), self.random.randrange(2**31), self._at()
        conversation = self.rows.add(
            "conversations", self._id(), project["id"], self._text(), None, None, high, None, None, version, at, at
        )
        messages: list[Row] = []
        for number in range(count):
            messages.append(self._message(conversation, shape(messages, number), number))
        leaf = messages[-1]
        conversation["active_message_id"] = leaf["id"]
        self.rows.paths.append((leaf["id"], _path(leaf, messages)))
        self._run(conversation, project, messages)

    def tree(self, messages: list[Row], number: int) -> Row | None:
        """Grow anywhere near the end."""
        return self.random.choice(messages[-40:]) if number else None

    def _id(self) -> UUID:
        return UUID(int=self.random.getrandbits(128))

    def _at(self) -> datetime:
        return _BEGIN + timedelta(microseconds=self.random.randrange(10**14))

    def _text(self) -> str:
        return next(self._texts)

    def _file(self, project: Row, owner: Row, number: int) -> None:
        key, at, text = self._id(), self._at(), self._text() + str(number)
        sha256 = hashlib.sha256(f"{key}{text}".encode()).hexdigest()
        path, pinned, state = f"files/{key.hex}", bool(number % 2), ("waiting", "running", "failed", "failed")[number]
        self.rows.add("files", key, project["id"], f"\u00e9 {number}.md", path, at, owner["id"], 1, pinned)
        version = (self._id(), "file", key, project["id"], 1, sha256, path, "text/markdown", 2**40, at, "ready", None)
        self.rows.add("document_versions", *version, sha256, len(text), number)
        self.rows.add("texts", sha256, text)
        self.rows.add("text_owners", sha256, key)
        payload = {"text": self._text()}
        self.rows.add("jobs", self._id(), "extract", str(key), payload, at, state, number, None, None, None)

    def _message(self, conversation: Row, parent: Row | None, number: int) -> Row:
        bot = parent is not None and parent["sender"] == "user"
        key, parent_id = self._id(), None if parent is None else parent["id"]
        start = (key, conversation["id"], parent_id, "llm" if bot else "user", self._text(), self._at())
        error = _JSON[number % 3] if number % 4 == 3 else None
        if not bot:
            client_id = f"{self._text()[:20]}{number}"
            return self.rows.add("messages", *start, "complete", "", None, None, [], error, client_id)
        status = ("complete", "stopped", "interrupted", "failed")[number % 4]
        thinking = self._text() if number % 3 else ""
        citations = [_CITATION] * (number % 3)
        usage = self.random.choice(_USAGE)
        return self.rows.add("messages", *start, status, thinking, "m\u00f6del", usage, citations, error, None)

    def _run(self, conversation: Row, project: Row, messages: list[Row]) -> None:
        key, at, talk, user = self._id(), self._at(), conversation["id"], project["owner_id"]
        ids = (messages[0]["id"], messages[-1]["id"])
        began = (key, talk, user, *ids, "message", "m", "ollama", "h", at)
        self.rows.add("runs", *began, "complete", None, None, False, True, _JSON[2], at)
        self.rows.add("commands", talk, self._text()[:100] or "-", "message", "0" * 64, *ids, key, at)
        for number in range(3):
            self.rows.add("events", talk, 2**60 + number, key, "delta", {"offset": number, "content": self._text()})
        self.rows.add("context_records", key, 0, ids[1], talk, "m", [_JSON[2]], [], None, [], _JSON[1])


def _path(leaf: Row, messages: list[Row]) -> list[tuple[str, str]]:
    by_id = {message["id"]: message for message in messages}
    path: list[tuple[str, str]] = []
    at: Row | None = leaf
    while at is not None:
        path.append((at["text"], at["thinking"]))
        at = by_id.get(at["parent_id"])
    return path[::-1]


def _texts(source: random.Random) -> Iterator[str]:
    """Give texts without end: awkward ones, some of every plane of Unicode, and now and then a long one."""
    for number in itertools.count():
        kind, count = number % 4, number // 4
        if kind == 0:
            yield _AWKWARD[count % len(_AWKWARD)]
        elif kind == 1:
            yield _of_plane(source, count % _PLANES, 40)
        elif number % 4_004 == 2:
            yield _of_plane(source, source.randrange(_PLANES), 250_000)
        else:
            yield f"Message {number}: " + "plain words " * source.randrange(30)


def _of_plane(source: random.Random, plane: int, count: int) -> str:
    first = min(count, 300)
    if plane == 0:  # without NUL and without surrogates
        points = [source.choice((source.randrange(1, 0xD800), source.randrange(0xE000, 0x10000))) for _ in range(first)]
    else:
        points = [plane << 16 | source.randrange(0x10000) for _ in range(first)]
    text = "".join(map(chr, points))
    return (text * (count // first + 1))[:count]
