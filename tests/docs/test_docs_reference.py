"""The reference pages name everything that is in the code, and nothing that is not."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from eudai_core import contracts, errors, hookspecs
from eudai_core.errors import EudaiError
from eudai_core.plugins.roles import ROLES
from eudai_quart.problems import STATUS

Page = Callable[[str], str]
Rows = Callable[[str], list[list[str]]]

ERRORS = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, EudaiError)}


@pytest.mark.parametrize("name", ["hooks.md", "settings.md", "cli.md"])
def test_a_generated_page_is_fresh(generator: ModuleType, page: Page, name: str) -> None:
    assert page(f"reference/{name}") == generator.pages()[name], "run: python docs/generate.py"


def test_generating_depends_on_nothing_but_the_code(
    generator: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = generator.pages()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("EUDAI_PORT", "9")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert generator.pages() == before


def test_every_hook_is_documented(page: Page) -> None:
    headings = set(re.findall(r"^### (eudai_\w+)$", page("reference/hooks.md"), re.MULTILINE))
    assert set(hookspecs.__all__) <= headings


def test_every_hook_tells_when_who_returns_faults_and_since(page: Page) -> None:
    for part in page("reference/hooks.md").split("\n### ")[1:]:
        labels = set(re.findall(r"^\| ([a-z ]+) \|", part, re.MULTILINE))
        assert labels >= {"mode", "returns", "faults", "since"}, part
        assert labels >= {"when", "who"} or "when and who" in labels, part


def test_every_error_is_documented_as_it_is(rows: Rows) -> None:
    written = {row[0]: tuple(row[1:4]) for row in rows("reference/errors.md") if row[0] in ERRORS}
    assert written == {name: (kind.code, kind.title, str(STATUS[kind.code])) for name, kind in ERRORS.items()}


def test_every_error_tells_what_happened_and_what_to_do(rows: Rows) -> None:
    for row in rows("reference/errors.md"):
        if row[0] in ERRORS:
            assert all(len(cell.split()) >= 2 for cell in row[4:6]), row


def test_every_setting_is_documented(generator: ModuleType, page: Page) -> None:
    text = page("reference/settings.md")
    names = [name for _, _, variables in generator._sections() for variable in variables for name in variable.names]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_every_setting_named_in_the_documents_exists(generator: ModuleType, repository: Path) -> None:
    known = {name for _, _, variables in generator._sections() for variable in variables for name in variable.names}
    # Of the plan, and of the how-to page's own plugin.
    later = {"EUDAI_FETCH_ALLOW", "EUDAI_NOW_ZONE", "EUDAI_OLLAMA_X"}
    named = {
        name.removesuffix("_FILE")
        for path in (repository / "docs").rglob("*.md")
        for name in re.findall(r"\bEUDAI_[A-Z_]+[A-Z]\b", path.read_text("utf-8"))
    }
    assert named - known - later == set()


def test_the_example_file_has_settings_that_exist(generator: ModuleType, repository: Path) -> None:
    known = {name for _, _, variables in generator._sections() for variable in variables for name in variable.names}
    shown = re.findall(r"^#?([A-Z_]+)=", (repository / ".env.example").read_text("utf-8"), re.MULTILINE)
    assert "EUDAI_PORT" in shown
    assert {name.removesuffix("_FILE") for name in shown} <= known


def test_every_command_is_documented(generator: ModuleType, page: Page) -> None:
    headings = set(re.findall(r"^##+ (eudai .+)$", page("reference/cli.md"), re.MULTILINE))
    commands = generator.entry_points("eudai.commands").items()
    assert {path for name, command in commands for path, _ in generator._walk(f"eudai {name}", command)} == headings


def test_the_design_names_every_role_and_contract(page: Page) -> None:
    text = page("design.md")
    named = {role.contract.__name__ for role in ROLES}
    assert named <= set(contracts.__all__)
    assert [name for name in sorted(named) if f"`{name}`" not in text] == []
    assert [name for name in hookspecs.__all__ if "_register_" not in name and f"`{name}" not in text] == [
        "eudai_add_hookspecs"
    ]
