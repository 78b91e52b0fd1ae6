"""How a storage in memory can be made to break what its contract says of files, pages and instructions."""

from __future__ import annotations

from typing import Any

from eudai_core.model import InstructionVersion
from eudai_core.testing._memory.owned import set_current

__all__ = [
    "adds_any_number",
    "drops_files_alone",
    "finishes_as_current",
    "forgets_the_last_version",
    "notes_every_change",
    "of_files_alone",
    "of_one_document",
    "owner_of_any_kind",
    "releases_current_blobs",
    "updates_all_of_a_file",
    "updates_all_of_a_url",
]


def of_files_alone(original: Any, record: Any) -> Any:
    found = original(record)
    return {key: documents for key, documents in found.items() if all(kind == "file" for kind, _ in documents)}


def of_one_document(original: Any, record: Any) -> Any:
    return {key: [max(documents)] for key, documents in original(record).items()}


async def updates_all_of_a_file(_: Any, self: Any, file: Any) -> Any:
    files = (await self._tx.writing()).files
    files[(await self.get_file(file.id)).id] = file
    return file


async def updates_all_of_a_url(_: Any, self: Any, url: Any) -> Any:
    urls = (await self._tx.writing()).urls
    urls[(await self.get(url.id)).id] = url
    return url


async def notes_every_change(original: Any, self: Any, instruction: Any, **options: Any) -> Any:
    stored = await original(self, instruction, **options)
    version = InstructionVersion(stored.version, stored.instruction_text, options["at"])
    (await self._tx.writing()).instruction_versions[stored.id, stored.version] = version
    return stored


async def adds_any_number(_: Any, self: Any, version: Any) -> None:
    state = await self._tx.writing()
    state.versions[version.id] = version
    set_current(state, version)


async def forgets_the_last_version(original: Any, self: Any, version: Any) -> None:
    await original(self, version)
    rows = (await self._tx.writing()).versions
    for key in [row.id for row in rows.values() if row.owner_id == version.owner_id and row.id != version.id]:
        del rows[key]


async def finishes_as_current(original: Any, self: Any, key: Any, **options: Any) -> Any:
    version = await original(self, key, **options)
    set_current(await self._tx.writing(), version)
    return version


def owner_of_any_kind(_: Any, state: Any, version: Any) -> Any:
    return state.files.get(version.owner_id) or state.urls.get(version.owner_id)


def releases_current_blobs(original: Any, state: Any, keys: Any) -> Any:
    owners = [*state.files.values(), *state.urls.values()]
    current = {owner.current.blob_key for owner in owners if owner.id in keys and owner.current}
    return [key for key in original(state, keys) if key in current]


def drops_files_alone(original: Any, state: Any, keys: Any) -> Any:
    return original(state, [key for key in keys if key in state.files])
