"""How the plugins of a running server are doing, told to other processes: in the database, else in a file."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from eudai_core.errors import EudaiError
from eudai_core.model import PluginState, PluginStatus
from eudai_core.plugins.host import PluginHost
from eudai_core.plugins.roles import STORAGE
from eudai_core.settings import CoreSettings

__all__ = ["STATES_FILE", "read_states", "save_states", "state_from_json", "state_to_json", "write_states"]

STATES_FILE: Final = "plugin-states.json"
"""The file's name in the data directory."""


async def save_states(host: PluginHost, instance: str) -> None:
    """Store the states under the name of this process; in the data directory when storage cannot take them.

    Raises:
        OSError: the file could not be written either.
    """
    states = host.states()
    storage = host.find(STORAGE)
    if storage is not None:
        try:
            async with storage.unit_of_work() as work:
                await work.plugin_states.save(instance, states, at=host.clock.now())
                await work.commit()
        except EudaiError:
            pass  # the file below is there for exactly this
        else:
            return
    path = host.settings.section(CoreSettings).data_dir / STATES_FILE
    await host.run_blocking(write_states, path, states)


def write_states(path: Path, states: Sequence[PluginState]) -> None:
    """Replace the file at once: a reader sees the old states or the new ones."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        draft.write_text(json.dumps([state_to_json(state) for state in states], indent=2), "utf-8")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def read_states(path: Path) -> Sequence[PluginState]:
    """Return the states in the file; none when it is not there or makes no sense."""
    try:
        return [state_from_json(entry) for entry in json.loads(path.read_text("utf-8"))]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def state_to_json(state: PluginState) -> dict[str, Any]:
    """Return a state as JSON can hold it."""
    return asdict(state)


def state_from_json(entry: dict[str, Any]) -> PluginState:
    """Return the state that :func:`state_to_json` made."""
    return PluginState(**{**entry, "status": PluginStatus(entry["status"]), "hooks": tuple(entry["hooks"])})
