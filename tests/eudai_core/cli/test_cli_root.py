from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import click
import pytest

from eudai_core import __version__
from eudai_core.cli.exits import exit_code
from eudai_core.cli.lazy import LazyGroup, summary_of
from eudai_core.cli.root import main, run
from eudai_core.errors import (
    BackendUnavailable,
    ConfigError,
    EudaiError,
    InvalidCredentials,
    NotFound,
    StorageUnavailable,
    TooManyRequests,
)
from support.distributions import install

ROOT = Path(__file__).parents[3]
MODULES = """
import sys
before = set(sys.modules)
from eudai_core.cli import main
code = main({arguments!r})
names = {{name.partition(".")[0] for name in set(sys.modules) - before}} - set(sys.stdlib_module_names)
print(code, sorted(names), file=sys.stderr)
"""


def in_process_of_its_own(arguments: list[str], *path: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT)))}
    script = MODULES.format(arguments=arguments)
    return subprocess.run(
        [sys.executable, "-c", script], env=environ, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_imports_click_only(arguments: list[str], tmp_path: Path) -> None:
    install(tmp_path, "eudai", commands=declared("eudai.commands"))
    result = in_process_of_its_own(arguments, tmp_path)
    assert result.stderr.strip() == "0 ['click', 'eudai_core']"
    if arguments == ["--help"]:
        for name in declared("eudai.commands"):
            assert f"\n  {name} " in result.stdout


def declared(group: str) -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    entries: dict[str, str] = project["project"]["entry-points"][group]
    return entries


@pytest.mark.parametrize("name", [name for name, value in declared("eudai.commands").items() if "eudai_core" in value])
def test_every_command_of_the_core_loads_and_says_what_it_is(name: str) -> None:
    value = declared("eudai.commands")[name]
    command = EntryPoint(name, value, "eudai.commands").load()
    assert isinstance(command, click.Command)
    assert summary_of(value.partition(":")[0]) == (command.help or "").partition("\n")[0].removesuffix(".")


def test_help_imports_no_command_and_notes_what_is_missing(tmp_path: Path) -> None:
    package = tmp_path / "somebody"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')\n")
    (package / "fine.py").write_text('"""Do a fine thing.\n\nMore.\n"""\nraise SystemExit("imported")\n')
    (package / "mute.py").write_text("raise SystemExit('imported')\n")
    (package / "garbled.py").write_text("def (:\n")
    (package / "group").mkdir()
    (package / "group" / "__init__.py").write_text('"""Do a group of things."""\n')
    names = ("fine", "mute", "garbled", "group", "missing")
    install(tmp_path, "somebody", commands={name: f"somebody.{name}:x" for name in names} | {"lost": "lost.x:x"})
    result = in_process_of_its_own(["--help"], tmp_path)
    lines = {
        line.split()[0]: " ".join(line.split()[1:]) for line in result.stdout.splitlines() if line.startswith("  ")
    }
    assert lines["fine"] == "Do a fine thing"
    assert lines["group"] == "Do a group of things"
    assert lines["mute"] == ""
    assert lines["garbled"].startswith("(cannot be used: ")
    assert lines["missing"] == "(cannot be used: there is no module somebody.missing)"
    assert lines["lost"] == "(cannot be used: there is no package lost)"
    assert "imported" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("support.plugins.raising_import:x", "RuntimeError: the moon is in the wrong phase"),
        ("support.plugins.exiting_import:x", "SystemExit: no licence found"),
        ("support.plugins.not_there:x", "ModuleNotFoundError: No module named 'support.plugins.not_there'"),
        ("support.plugins.good:plugin", "is a Good, not a click command"),
    ],
)
def test_a_broken_command_is_named_when_it_is_called(
    value: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(tmp_path, "somebody-else", commands={"broken": value})
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["broken"]) == 1
    told = capsys.readouterr().err
    assert "The command broken of somebody-else" in told
    assert reason in told
    assert "Traceback" not in told


def test_of_two_commands_with_one_name_the_first_counts(capsys: pytest.CaptureFixture[str]) -> None:
    entries = [EntryPoint("x", f"support.plugins.{module}:x", "eudai.commands") for module in ("good", "unwanted")]
    assert run(LazyGroup(name="eudai", entries=entries), ["--help"]) == 0
    told = capsys.readouterr().out
    assert "A plugin that behaves" in told
    assert "Left out, because their names are taken" in told


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"eudai, version {__version__}\n"


def test_wrong_usage_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no-such-command"]) == 2
    assert "No such command 'no-such-command'" in capsys.readouterr().err
    assert main(["--no-such-option"]) == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 3),
        (InvalidCredentials("x"), 4),
        (BackendUnavailable("x"), 5),
        (StorageUnavailable("x"), 5),
        (TooManyRequests("x"), 6),
        (NotFound("x"), 1),
    ],
)
def test_an_expected_error_is_told_without_a_traceback(
    error: EudaiError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def failing() -> None:
        raise error

    assert exit_code(error) == code
    assert run(failing, []) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == f"{error.title}: x\n"


def test_an_unexpected_error_is_not_hidden() -> None:
    @click.command()
    def failing() -> None:
        raise KeyError("a fault of ours")

    with pytest.raises(KeyError):
        run(failing, [])


def test_ctrl_c_ends_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def interrupted() -> None:
        raise KeyboardInterrupt

    assert run(interrupted, []) == 130
    assert capsys.readouterr().err.strip() == "Interrupted."


def test_a_reader_that_goes_away_ends_the_command_quietly(tmp_path: Path) -> None:
    code = (
        "import click, sys\n"
        "from eudai_core.cli.root import run\n"
        "@click.command()\n"
        "def talk():\n"
        "    for _ in range(100000): click.echo('x' * 100)\n"
        "sys.exit(run(talk, []))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    told = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) == 1
    assert told == b""


def test_json_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    from eudai_core.cli.running import print_json

    print_json({"name": "Zoë"})
    told = capsys.readouterr().out
    assert json.loads(told) == {"name": "Zoë"}
    assert "Zoë" in told
