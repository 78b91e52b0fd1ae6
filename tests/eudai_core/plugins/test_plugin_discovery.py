from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from eudai_core.errors import ConfigError
from eudai_core.model import PluginState, PluginStatus
from eudai_core.plugins import PluginHost
from eudai_core.plugins.discovery import discover
from support.distributions import install
from support.plugins.house import HousePlugin

Compose = Callable[..., PluginHost]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def faulty(site: Path) -> None:
    modules = ("good", "raising_import", "exiting_import", "misspelt_hook", "newer_api", "unwanted")
    install(
        site,
        "faulty-plugins",
        plugins={name.replace("_", "-"): f"support.plugins.{name}:plugin" for name in modules}
        | {"missing": "support.plugins.not_there:plugin", "nameless": "support.plugins.good:nothing"},
        version="2.5",
    )


FAULTY = "good,raising-import,exiting-import,misspelt-hook,newer-api,missing,nameless"


def states(host: PluginHost) -> dict[str, PluginState]:
    return {state.name: state for state in host.states()}


async def test_each_faulty_plugin_is_named_with_its_reason(site: Path, compose: Compose) -> None:
    faulty(site)
    seen = states(compose(EUDAI_PLUGINS=FAULTY))
    assert seen["good"].status is PluginStatus.LOADED
    reasons = {
        "raising-import": "RuntimeError: the moon is in the wrong phase",
        "exiting-import": "SystemExit: no licence found",
        "misspelt-hook": "there is no hook eudai_register_context_source: did you mean eudai_register_context_sources?",
        "newer-api": "it needs plugin API 0.99",
        "missing": "ModuleNotFoundError",
        "nameless": "has no attribute 'nothing'",
    }
    for name, reason in reasons.items():
        assert seen[name].status is PluginStatus.FAILED
        assert reason in seen[name].detail


async def test_a_record_says_where_a_plugin_comes_from(site: Path, compose: Compose) -> None:
    faulty(site)
    good = states(compose(EUDAI_PLUGINS="good"))["good"]
    assert (good.distribution, good.version) == ("faulty-plugins", "2.5")
    assert good.hooks == ("eudai_register_context_sources",)
    assert good.import_ms >= 0


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"EUDAI_PLUGINS_DENY": "unwanted"}, "denied by EUDAI_PLUGINS_DENY"),
        ({"EUDAI_PLUGINS": "good"}, "not in EUDAI_PLUGINS"),
        ({"EUDAI_PLUGINS": "unwanted", "EUDAI_SAFE_MODE": "1"}, "left out in safe mode"),
    ],
)
async def test_a_plugin_that_is_not_wanted_is_never_imported(
    site: Path, compose: Compose, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], reason: str
) -> None:
    faulty(site)
    monkeypatch.delitem(sys.modules, "support.plugins.unwanted", raising=False)
    unwanted = states(compose(**variables))["unwanted"]
    assert unwanted.status is PluginStatus.DISABLED
    assert unwanted.detail == reason
    assert "support.plugins.unwanted" not in sys.modules


def test_the_default_plugins_come_first_then_the_others_by_name(site: Path) -> None:
    install(site, "eudai", plugins={"z-own": "a:b"})
    install(site, "aaa", plugins={"c": "a:b", "a": "a:b"})
    names = [one.record.name for one in discover()]
    assert names.index("z-own") < names.index("a") < names.index("c")


def test_of_two_with_one_name_the_second_fails(site: Path) -> None:
    install(site, "first-one", plugins={"same": "support.plugins.good:plugin"})
    install(site, "second-one", plugins={"same": "support.plugins.unwanted:plugin"})
    first, second = (one.record for one in discover() if one.record.name == "same")
    assert first.distribution == "first-one"
    assert first.problem == ""
    assert second.status is PluginStatus.FAILED
    assert second.problem == "its name is taken by first-one: uninstall one of the two"


async def test_an_allow_list_with_a_name_that_is_not_installed_is_an_error(site: Path, compose: Compose) -> None:
    faulty(site)
    with pytest.raises(ConfigError, match=r"EUDAI_PLUGINS names goood, which is not installed. Did you mean good\?"):
        compose(EUDAI_PLUGINS="goood")


async def test_a_deny_list_may_name_what_is_not_installed_but_not_misspell(site: Path, compose: Compose) -> None:
    faulty(site)
    compose(EUDAI_PLUGINS="good", EUDAI_PLUGINS_DENY="qqqqqq")
    with pytest.raises(ConfigError, match=r"EUDAI_PLUGINS_DENY names unwantet.*Did you mean unwanted\?"):
        compose(EUDAI_PLUGINS="good", EUDAI_PLUGINS_DENY="unwantet")


async def test_listed_plugins_replace_those_installed(site: Path, compose: Compose) -> None:
    faulty(site)
    host = compose(("house", HousePlugin()), "good", HousePlugin())
    assert [state.name for state in host.states()] == ["house", "good", "HousePlugin"]
    with pytest.raises(ConfigError, match="No plugin qqqq is installed"):
        compose("qqqq")


async def test_an_object_is_named_like_its_entry_point(compose: Compose) -> None:
    import eudai_auth

    assert [state.name for state in compose(eudai_auth.plugin).states()] == ["eudai-auth"]


async def test_a_slow_import_is_named(
    site: Path, compose: Compose, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter((0.0, 0.25))
    faulty(site)
    monkeypatch.setattr("eudai_core.plugins.discovery.time.perf_counter", lambda: next(ticks))
    host = compose(EUDAI_PLUGINS="good")
    monkeypatch.undo()
    assert states(host)["good"].import_ms == 250
    assert "Plugin good took 250 ms to import" in caplog.text
