"""What the tests of the documents share."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\|(.*)\|$", re.MULTILINE)


@pytest.fixture(scope="session")
def repository() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def page() -> Callable[[str], str]:
    """Return the text of a page by its path below docs/."""
    return lambda name: (ROOT / "docs" / name).read_text("utf-8")


@pytest.fixture(scope="session")
def rows(page: Callable[[str], str]) -> Callable[[str], list[list[str]]]:
    """Return the cells of every table row of a page, without the marks of code."""

    def read(name: str) -> list[list[str]]:
        lines = (line.replace("\\|", "\0") for line in ROW.findall(page(name)))
        return [[cell.strip().replace("\0", "|").strip("`") for cell in line.split("|")] for line in lines]

    return read


@pytest.fixture(scope="session")
def generator() -> ModuleType:
    """Return docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
