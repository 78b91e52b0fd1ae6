"""What the page on storage plugins shows is run."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eudai_core.cli.running import NoJobs
from eudai_core.plugins import PluginHost
from eudai_core.plugins.roles import STORAGE
from eudai_core.testing import MemoryStorage
from eudai_core.testing._storage.checks import CHECKS

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "how-to" / "write-a-storage-plugin.md"
MODULE = re.compile(r"^```python\n# (\S+\.py)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Write the modules of the page as they stand there."""
    for name, text in MODULE.findall(PAGE.read_text("utf-8")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "eudai_forgetful"]:
        del sys.modules[name]


async def test_the_plugin_of_the_page_is_loaded(folder: Path) -> None:
    plugin: Any = importlib.import_module("eudai_forgetful").plugin
    assert "eudai_forgetful.storage" not in sys.modules
    host = PluginHost.compose(
        plugins=[("eudai-forgetful", plugin)], environ={"EUDAI_STORAGE": "forgetful"}, dotenv=None
    )
    try:
        await host.build(jobs=NoJobs(), roles=(STORAGE,))
        assert host.one(STORAGE).description == MemoryStorage.description
    finally:
        await host.aclose()


def test_the_test_module_of_the_page_passes(folder: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "lease", "test_forgetful.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b\d+ passed, \d+ deselected", done.stdout)


def test_the_names_on_the_page_exist() -> None:
    page = PAGE.read_text("utf-8")
    lacks = re.findall(r'lacks = \{"(\w+)"', page)
    assert lacks
    assert set(lacks) <= set(CHECKS)
