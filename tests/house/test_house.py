"""The rules of the house: lint, types, imports, sizes, pins and packaging."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MOST_LINES = 500
MOST_FUNCTION_LINES = 60


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_ruff_finds_nothing() -> None:
    assert run("ruff", "check", ".") == ""


def test_ruff_would_format_nothing() -> None:
    assert run("ruff", "format", "--check", ".") == ""


@pytest.mark.timeout(600)
def test_mypy_strict_is_clean() -> None:
    assert run("mypy") == ""


@pytest.mark.timeout(300)
def test_import_rules_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_import_rules_cover_every_package_of_the_wheel() -> None:
    assert PYPROJECT["tool"]["importlinter"]["root_packages"] == [Path(package).name for package in PACKAGES]


def test_every_package_is_typed_and_in_the_coverage() -> None:
    names = [Path(package).name for package in PACKAGES if not package.startswith("migrations/")]
    assert PYPROJECT["tool"]["coverage"]["run"]["source_pkgs"] == names
    assert [
        name for name in PACKAGES if name != "migrations/eudai_migrations" and not (ROOT / name / "py.typed").exists()
    ] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_LINES
    long = {
        node.name: (node.end_lineno or 0) - node.lineno + 1
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and "versions" not in path.parts
    }
    assert {name: lines for name, lines in long.items() if lines > MOST_FUNCTION_LINES} == {}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_all_is_sorted_and_true(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names = ast.literal_eval(node.value)
            assert sorted(names, key=lambda name: (not name.isupper(), name)) == names or sorted(names) == names


def test_pins_are_fresh() -> None:
    pins = runpy.run_path(str(ROOT / "scripts" / "update_pins.py"))["pins"]
    constraints = dict(line.split("==") for line in PYPROJECT["tool"]["uv"]["constraint-dependencies"])
    wrong = {name: found for name, found in pins().items() if constraints.get(name) != found}
    assert wrong == {}, "run scripts/update_pins.py"


def test_nothing_committed_names_a_lock_file_or_a_machine_path() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    assert [name for name in tracked if re.search(r"(^|/)(uv\.lock|package-lock\.json|yarn\.lock)$", name)] == []


def test_every_default_plugin_is_found_through_the_entry_point_group() -> None:
    names = {Path(package).name for package in PACKAGES if package.startswith("plugins/")}
    found = {
        point.value.split(":")[0]
        for point in entry_points(group="eudai.plugins")
        if point.dist and point.dist.name == "eudai"
    }
    assert found == names


def test_the_version_is_the_distribution_s() -> None:
    from eudai_core import __version__

    assert version("eudai") == __version__
