"""What goes with what: deleting takes along everything below, and texts and blobs that nobody names any more."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from uuid import UUID

from eudai_core.model import DocumentVersion, FileRecord, Url
from eudai_core.testing._memory.state import State

__all__ = [
    "drop_conversations",
    "drop_documents",
    "drop_instructions",
    "hash_of",
    "own_text",
    "owner_of",
    "set_current",
]


def hash_of(text: str) -> str:
    """Return the SHA-256 of a text's UTF-8 bytes in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def own_text(state: State, sha256: str, text: str, owner: UUID) -> None:
    """Keep a text for an owner: the document that it was read out of, else the conversation that it was said in."""
    state.texts.setdefault(sha256, text)
    state.text_owners[sha256, owner] = None


def owner_of(state: State, version: DocumentVersion) -> FileRecord | Url | None:
    """Return the file or page that a version is of, when it is there."""
    if version.owner_type == "url":
        return state.urls.get(version.owner_id)
    return state.files.get(version.owner_id) if version.owner_type == "file" else None


def set_current(state: State, version: DocumentVersion) -> None:
    """Let a file or page show a version of it as the current one."""
    owner = owner_of(state, version)
    if isinstance(owner, FileRecord):
        state.files[owner.id] = replace(owner, current=version)
    elif owner is not None:
        state.urls[owner.id] = replace(owner, current=version)


def drop_conversations(state: State, keys: Collection[UUID]) -> None:
    """Forget conversations with everything in them."""
    state.messages = {key: row for key, row in state.messages.items() if row.conversation_id not in keys}
    state.commands = {key: row for key, row in state.commands.items() if row.conversation_id not in keys}
    state.runs = {key: row for key, row in state.runs.items() if row.conversation_id not in keys}
    state.ended = {key: at for key, at in state.ended.items() if key in state.runs}
    state.events = {key: row for key, row in state.events.items() if row.conversation_id not in keys}
    state.contexts = {key: row for key, row in state.contexts.items() if row.conversation_id not in keys}
    for key in keys:
        del state.conversations[key], state.numbering[key]
    _disown(state, keys)


def drop_instructions(state: State, keys: Collection[UUID]) -> None:
    """Forget instructions and what they said before."""
    state.instructions = {key: row for key, row in state.instructions.items() if key not in keys}
    versions = state.instruction_versions
    state.instruction_versions = {key: row for key, row in versions.items() if key[0] not in keys}


def drop_documents(state: State, keys: Collection[UUID]) -> Sequence[str]:
    """Forget files and pages with their versions; return the blob keys that nothing names any more."""
    gone = {row.blob_key for row in state.versions.values() if row.owner_id in keys}
    state.versions = {key: row for key, row in state.versions.items() if row.owner_id not in keys}
    state.files = {key: row for key, row in state.files.items() if key not in keys}
    state.urls = {key: row for key, row in state.urls.items() if key not in keys}
    _disown(state, keys)
    return sorted(gone - {row.blob_key for row in state.versions.values()})


def _disown(state: State, owners: Iterable[UUID]) -> None:
    gone = set(owners)
    state.text_owners = {pair: None for pair in state.text_owners if pair[1] not in gone}
    named = {sha256 for sha256, _ in state.text_owners}
    state.texts = {sha256: text for sha256, text in state.texts.items() if sha256 in named}
