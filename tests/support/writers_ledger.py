"""What a server acknowledged, and whether it is still there after the server was killed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Shelf", "Trying", "Turn"]

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Trying:
    """A write that was sent and not acknowledged yet: nobody may say whether it happened.

    ``kind`` and ``key`` are the object's; a new one has no key. ``fields`` are what it has afterwards, one for each new
    object, and none when it is deleted.
    """

    kind: str
    key: str | None = None
    fields: Sequence[Fields] = ()


@dataclass(slots=True)
class Shelf:
    """The objects of one kind that a user was told of, by id, and the ids of those that were deleted."""

    kind: str
    there: dict[str, Fields] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)

    def put(self, key: str, fields: Fields) -> None:
        """Note that an object is there."""
        self.there[key] = fields

    def drop(self, key: str) -> None:
        """Note that an object was deleted."""
        self.there.pop(key, None)
        self.deleted.add(key)

    def settle(self, found: Mapping[str, Fields], trying: Trying | None) -> None:
        """Compare with what the server has now, and take that for what is there from now on.

        Raises:
            AssertionError: an acknowledged write is lost, or something is there that was never sent or was deleted.
        """
        ours = trying if trying is not None and trying.kind == self.kind else None
        for key in [key for key in self.there if key not in found]:
            assert ours is not None, f"{self.kind} {key} is lost: {self.there[key]}"
            assert (ours.key, ours.fields) == (key, ()), f"{self.kind} {key} is lost, and not by {ours}"
            self.drop(key)
        for key, fields in self.there.items():
            allowed = [fields, *ours.fields] if ours is not None and ours.key == key else [fields]
            assert found[key] in allowed, f"{self.kind} {key} is {found[key]}, and must be one of {allowed}"
        new = {key: fields for key, fields in found.items() if key not in self.there}
        assert not self.deleted & set(new), f"a deleted {self.kind} is back: {self.deleted & set(new)}"
        if new:
            assert ours is not None, f"a {self.kind} that nobody asked for is there: {new}"
            assert ours.key is None, f"a {self.kind} that nobody asked for is there: {new}"
            unmatched = list(ours.fields)
            for fields in new.values():
                unmatched.remove(fields)
            assert not unmatched, f"only a part of one write is there: {unmatched} is missing"
        self.there = dict(found)


@dataclass(slots=True)
class Turn:
    """A question or a regeneration, what was acknowledged of it, and what was seen of its answer."""

    conversation: str
    client_id: str
    content: str
    target: str | None = None
    """The answer to regenerate; None for a question."""
    message_id: str | None = None
    answer_id: str | None = None
    run_id: str | None = None
    stop_sent: bool = False
    end: Mapping[str, Any] | None = None
    seen: list[tuple[float, str, str]] = field(default_factory=list)
    """When each piece came, and the text and thinking up to then."""

    @property
    def acknowledged(self) -> bool:
        """Whether the server said that it is stored."""
        return self.answer_id is not None

    def acknowledge(self, ack: Mapping[str, Any]) -> None:
        """Note what the server answered; the same ids each time."""
        for name in ("message_id", "answer_id", "run_id"):
            known = getattr(self, name)
            assert known in (None, ack[name]), f"{self.client_id}: {name} was {known} and is {ack[name]} now"
            setattr(self, name, ack[name])

    def take(self, event: Mapping[str, Any], at: float) -> None:
        """Note an event that came at a time."""
        if event.get("message_id") != self.answer_id or self.answer_id is None:
            return
        _, text, thinking = self.seen[-1] if self.seen else (0.0, "", "")
        if event["type"] == "snapshot":
            text, thinking = event["content"], event["thinking"]
        elif event["type"] == "delta":
            assert event["offset"] <= len(text), "a piece was lost"
            text = text[: event["offset"]] + event["content"]
        elif event["type"] == "thinking":
            thinking = thinking[: event["offset"]] + event["content"]
        elif event["type"] == "bot_message":
            self.end = event
            return
        self.seen.append((at, text, thinking))

    def lost(self, text: str, thinking: str, at: float) -> float:
        """Return how long before ``at`` the first piece came that ``text`` and ``thinking`` lack; 0 when none does."""
        for when, seen_text, seen_thinking in self.seen:
            if not (text.startswith(seen_text) and thinking.startswith(seen_thinking)):
                return at - when
        return 0.0
