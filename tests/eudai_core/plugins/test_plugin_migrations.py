"""Plugins with tables, as the host sees them: names of branches, and leaving out the owner of one that failed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eudai_core.cli.running import NoJobs
from eudai_core.contracts import OffersSql
from eudai_core.errors import ConfigError
from eudai_core.hooks import hookimpl
from eudai_core.model import MigrationSource, PluginStatus
from eudai_core.plugins import STORAGE, PluginHost
from eudai_core.plugins.context import HostContext
from support.plugins.house import HousePlugin

Compose = Callable[..., PluginHost]


class Tabled:
    """A plugin with branches of migrations."""

    eudai_api = (0, 1)

    def __init__(self, *sources: Any) -> None:
        self.sources = sources

    @hookimpl
    def eudai_register_migrations(self, register: Any) -> None:
        for source in self.sources:
            register(source)


def status(host: PluginHost, name: str) -> tuple[PluginStatus, str]:
    return next((state.status, state.detail) for state in host.states() if state.name == name)


@pytest.mark.parametrize("branch", ["tally", "a", "a1", "a" * 24])
def test_a_branch_that_can_name_tables_is_taken(compose: Compose, branch: str) -> None:
    host = compose(HousePlugin(), ("tabled", Tabled(MigrationSource(branch, "some.package"))))
    assert status(host, "tabled") == (PluginStatus.LOADED, "")
    assert [source.branch for source in host.migrations()] == [branch]


@pytest.mark.parametrize("branch", ["", "core", "Tally", "my_tally", "my-tally", "1a", "tälly", "a" * 25, "a'b", "a\n"])
def test_a_branch_that_cannot_is_refused_with_advice(compose: Compose, branch: str) -> None:
    host = compose(HousePlugin(), ("tabled", Tabled(MigrationSource(branch, "some.package"))))
    found, detail = status(host, "tabled")
    assert found is PluginStatus.FAILED
    assert "p_tally_answers" in detail
    assert host.migrations() == []


def test_what_is_no_source_is_refused(compose: Compose) -> None:
    host = compose(HousePlugin(), ("tabled", Tabled("tally")))
    assert "not str" in status(host, "tabled")[1]


async def test_the_owner_of_a_branch_that_failed_is_left_out(compose: Compose) -> None:
    bad, worse, good = (MigrationSource(name, f"{name}.package") for name in ("bad", "worse", "good"))
    host = compose(HousePlugin(), ("bad", Tabled(bad, worse)), ("good", Tabled(good)))
    await host.build(jobs=NoJobs())
    await host.leave_out("bad", "its table is gone")
    assert status(host, "bad") == (PluginStatus.FAILED, "its table is gone")
    assert status(host, "good")[0] is PluginStatus.LOADED
    assert host.migrations() == [good]
    await host.leave_out("worse", "its other table is gone, too")
    assert status(host, "bad") == (PluginStatus.FAILED, "its table is gone")


async def test_without_the_owner_of_a_required_role_there_is_no_server(compose: Compose) -> None:
    class Both(HousePlugin):
        @hookimpl
        def eudai_register_migrations(self, register: Any) -> None:
            register(MigrationSource("house", "house.package"))

    host = compose(("house", Both()))
    await host.build(jobs=NoJobs())
    with pytest.raises(ConfigError, match="its table is gone"):
        await host.leave_out("house", "its table is gone")


async def test_the_stand_in_for_the_storage_passes_the_capability_on(tmp_path: Path) -> None:
    overrides = {"EUDAI_DATA_DIR": str(tmp_path)}
    host = PluginHost.compose(plugins=["eudai-sql"], overrides=overrides, environ={}, dotenv=None)
    context = HostContext(host._objects, host.settings, host._pool, NoJobs(), host.clock)
    stand_in = context.storage  # nothing is built yet
    await host.build(jobs=NoJobs(), roles=(STORAGE,))
    try:
        async with stand_in.unit_of_work(readonly=True) as unit:
            assert isinstance(unit, OffersSql)
            assert unit.sql.dialect == "sqlite"
    finally:
        await host.aclose()
