"""The rules for every example: what it imports, what it depends on, and that it says what it is."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

EXAMPLES = sorted(path.parent for path in (Path(__file__).resolve().parents[2] / "examples").glob("*/pyproject.toml"))
FROZEN = {"sqlalchemy", "alembic", "__future__"}
"""What a revision may import."""

every_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.name))


def imports(path: Path) -> set[str]:
    """Return the full names of the modules that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def allowed(name: str, own: set[str]) -> bool:
    top = name.partition(".")[0]
    private = any(part.startswith("_") and part != "__future__" for part in name.split("."))
    return not private and (top in sys.stdlib_module_names or top in {"eudai_core", *own})


@every_example
def test_an_example_imports_the_core_s_public_names_and_its_own_libraries(example: Path) -> None:
    project = tomllib.loads((example / "pyproject.toml").read_text("utf-8"))
    packages = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    libraries = {re.split(r"[^\w-]", one)[0].replace("-", "_") for one in project["project"]["dependencies"]}
    sources = [path for package in packages for path in (example / package).rglob("*.py")]
    assert sources
    for path in sources:
        own = FROZEN if "versions" in path.parts else packages | libraries
        assert {name for name in imports(path) if not allowed(name, own)} == set(), path
        if "versions" in path.parts:
            assert {name for name in imports(path) if name.startswith("eudai")} == set(), path


@every_example
def test_its_tests_import_no_other_plugin(example: Path) -> None:
    packages = {path.name for path in example.iterdir() if (path / "__init__.py").exists()}
    paths = list((example / "tests").rglob("*.py"))
    assert paths
    for path in paths:
        assert {name for name in imports(path) if not allowed(name, packages | {"pytest"})} == set(), path


@every_example
def test_its_entry_points_and_readme_are_there(example: Path) -> None:
    project = tomllib.loads((example / "pyproject.toml").read_text("utf-8"))["project"]
    assert (example / project["readme"]).read_text("utf-8").startswith(f"# {project['name']}\n")
    for name, target in project["entry-points"]["eudai.plugins"].items():
        assert name == project["name"]
        module, _, attribute = target.partition(":")
        tree = ast.parse((example / module.replace(".", "/") / "__init__.py").read_text("utf-8"))
        assert attribute in {node.targets[0].id for node in tree.body if isinstance(node, ast.Assign)}  # type: ignore[attr-defined]  # plain names
