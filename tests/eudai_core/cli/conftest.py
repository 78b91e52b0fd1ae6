"""Commands run in this process, in an empty directory, with an environment of their own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from eudai_core.cli.root import run
from support.distributions import install

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory of a machine with a few plugins, healthy and faulty, and nothing else set."""
    for name in [name for name in os.environ if name.startswith("EUDAI_")]:
        monkeypatch.delenv(name)
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    modules = ("good", "raising_import", "misspelt_hook", "newer_api", "broken_storage")
    plugins = {name.replace("_", "-"): f"support.plugins.{name}:plugin" for name in modules}
    plugins |= {name: f"support.plugins.reporting_storage:{name}" for name in ("reporting", "dead")}
    install(site, "some-plugins", plugins=plugins, version="3.1")
    monkeypatch.syspath_prepend(site)
    monkeypatch.chdir(work)
    monkeypatch.setenv("EUDAI_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def command(house: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(group: click.Command, *arguments: str, **environ: str) -> tuple[int, str, str]:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        code = run(group, arguments)
        told = capsys.readouterr()
        return code, told.out, told.err

    return call
