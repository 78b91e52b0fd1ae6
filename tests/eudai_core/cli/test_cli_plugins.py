from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eudai_core.cli.plugins import plugins
from eudai_core.model import PluginState, PluginStatus
from eudai_core.plugins.reports import STATES_FILE, write_states

Run = Callable[..., tuple[int, str, str]]
FAULTY = "good,raising-import,misspelt-hook,newer-api,broken-storage"


def listed(command: Run, **environ: str) -> dict[str, dict[str, Any]]:
    code, out, _ = command(plugins, "list", "--json", **environ)
    assert code == 0
    return {state["name"]: state for state in json.loads(out)}


def test_each_plugin_is_named_with_its_reason(command: Run) -> None:
    states = listed(command, EUDAI_PLUGINS=FAULTY)
    assert states["good"]["status"] == "loaded"
    assert states["good"]["hooks"] == ["eudai_register_context_sources"]
    assert (states["good"]["distribution"], states["good"]["version"]) == ("some-plugins", "3.1")
    assert states["reporting"]["status"] == "disabled"
    reasons = {name: state["detail"] for name, state in states.items() if state["status"] == "failed"}
    assert "the moon is in the wrong phase" in reasons["raising-import"]
    assert "did you mean eudai_register_context_sources?" in reasons["misspelt-hook"]
    assert "upgrade eudai" in reasons["newer-api"]
    assert reasons["broken-storage"] == "the factory of the storage sql raised OSError: the disk is gone"


def test_a_table_for_people(command: Run) -> None:
    code, out, _ = command(plugins, "list", EUDAI_PLUGINS=FAULTY)
    assert code == 0
    head, *rows = out.splitlines()
    assert head.split() == ["PLUGIN", "STATE", "VERSION", "IMPORT", "MS", "REMARKS"]
    (row,) = (row for row in rows if row.startswith("newer-api"))
    assert row.split()[1] == "failed"
    assert row.endswith("it needs plugin API 0.99, and this server has 0.1: upgrade eudai")


def test_what_a_running_server_saw_is_added_from_the_database(command: Run) -> None:
    good = listed(command, EUDAI_PLUGINS="good,reporting")["good"]
    assert good["status"] == "degraded"
    assert good["detail"] == "collect failed 5 times in a row"
    assert good["faults"] == {"collect": 7}
    assert good["version"] == "3.1"  # what is installed now, not what the server saw


@pytest.mark.parametrize("storage", ["dead", "broken-storage"])
def test_without_a_database_the_file_tells(
    command: Run, house: Path, monkeypatch: pytest.MonkeyPatch, storage: str
) -> None:
    monkeypatch.setattr("eudai_core.cli.plugins.DATABASE_SECONDS", 0.05)
    seen = PluginState("good", "x", "1", PluginStatus.NOT_READY, "waiting for the model server")
    write_states(house / STATES_FILE, [seen])
    good = listed(command, EUDAI_PLUGINS=f"good,{storage}")["good"]
    assert (good["status"], good["detail"]) == ("not_ready", "waiting for the model server")


def test_a_failure_here_counts_more_than_what_a_server_saw(command: Run, house: Path) -> None:
    write_states(house / STATES_FILE, [PluginState("raising-import", "x", "1", PluginStatus.LOADED)])
    assert listed(command, EUDAI_PLUGINS="raising-import,broken-storage")["raising-import"]["status"] == "failed"


def test_a_wrong_setting_of_the_core_ends_with_3(command: Run) -> None:
    code, out, err = command(plugins, "list", EUDAI_PORT="x")
    assert (code, out) == (3, "")
    assert err.startswith("Configuration error: EUDAI_PORT (the environment): expected a whole number")
