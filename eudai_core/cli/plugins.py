"""Show the plugins and how they are doing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from eudai_core.cli.running import opened_storage, print_json, print_table, quiet, run_async

if TYPE_CHECKING:
    from eudai_core.model import PluginState
    from eudai_core.plugins import PluginHost

__all__ = ["plugins"]

DATABASE_SECONDS: Final = 2.0
"""How long the database may take to tell of the running server."""


@click.group()
def plugins() -> None:
    """Show the plugins and how they are doing."""


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_plugins(as_json: bool) -> None:
    """List every installed plugin: its state, and why it is in it.

    The plugins are loaded here as a server would load them; what a running server has seen of them is added.
    """
    from eudai_core.plugins import PluginHost
    from eudai_core.plugins.reports import state_to_json

    quiet()
    states = run_async(_states(PluginHost.compose(strict=False)))
    if as_json:
        print_json([state_to_json(state) for state in states])
        return
    rows = [
        (state.name, state.status.value, state.version, f"{state.import_ms:.0f}", _remarks(state)) for state in states
    ]
    print_table(("PLUGIN", "STATE", "VERSION", "IMPORT MS", "REMARKS"), rows)


async def _states(host: PluginHost) -> Sequence[PluginState]:
    seen = {state.name: state for state in await _seen_by_server(host)}
    return [_merged(state, seen.get(state.name)) for state in host.states()]


async def _seen_by_server(host: PluginHost) -> Sequence[PluginState]:
    """Return what a server wrote into the database, or, when that does not answer, into the data directory."""
    from eudai_core.errors import EudaiError
    from eudai_core.plugins.reports import STATES_FILE, read_states
    from eudai_core.settings import CoreSettings

    try:
        async with (
            asyncio.timeout(DATABASE_SECONDS),
            opened_storage(host) as storage,
            storage.unit_of_work(readonly=True) as work,
        ):
            if states := await work.plugin_states.latest():
                return states
    except (EudaiError, TimeoutError):
        pass  # a broken storage must not hide which plugin is broken
    return read_states(host.settings.section(CoreSettings).data_dir / STATES_FILE)


def _merged(here: PluginState, there: PluginState | None) -> PluginState:
    """Add what the server saw to what loading the plugin here shows; a failure here is the newer truth."""
    from eudai_core.model import PluginStatus

    if there is None or here.status is not PluginStatus.LOADED:
        return here
    if there.status is PluginStatus.DISABLED:
        return replace(here, faults=there.faults)
    return replace(here, status=there.status, detail=there.detail, faults=there.faults)


def _remarks(state: PluginState) -> str:
    faults = ", ".join(f"{what} {count}" for what, count in state.faults.items())
    return "; ".join(part for part in (state.detail, f"faults: {faults}" if faults else "") if part)
