"""Write the reference pages that come from the code: hooks.md, settings.md and cli.md.

Usage: ``python docs/generate.py`` writes them; with ``--check`` nothing is written and the exit code is 1 when one of
them is out of date. The result depends on the code alone: not on the machine, the environment or the terminal.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
import tomllib
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import click

from eudai_core import contracts, hookspecs
from eudai_core.hooks import HookMode, rule_of
from eudai_core.plugins.roles import ROLES, Role
from eudai_core.settings import CoreSettings, Secret, Variable
from eudai_core.settings.conversion import expectation
from eudai_core.settings.schema import variables_of

__all__ = ["main", "pages"]

ROOT: Final = Path(__file__).resolve().parent.parent
REFERENCE: Final = ROOT / "docs" / "reference"
NOTE: Final = "<!-- Written by docs/generate.py: change the code, then run it again. -->"

MODES: Final = {
    HookMode.SYNC: "called at composition, one plugin after the other, before any resource exists",
    HookMode.FIRST: "coroutines, in order, until one returns something that is not None",
    HookMode.PIPELINE: "coroutines, in order, each given the value that the one before returned",
    HookMode.VOTE: "coroutines, all asked; a DENY or a fault denies, and so does the lack of an ALLOW",
    HookMode.NOTIFY: "coroutines, concurrently, after the fact; a fault never reaches the caller",
    HookMode.LIFESPAN: "async context managers, entered in load order, left in reverse",
}
LABELS: Final = re.compile(r"\b(When and who|When|Who|Returns|Faults|Since): ")


def main(arguments: list[str]) -> int:
    """Write the pages, or check them with ``--check``; return the exit code."""
    stale = [name for name, text in pages().items() if _stored(name) != text]
    if "--check" in arguments:
        sys.stdout.writelines(f"out of date: docs/reference/{name}\n" for name in stale)
        return 1 if stale else 0
    for name in stale:
        (REFERENCE / name).write_text(pages()[name], "utf-8")
        sys.stdout.write(f"written: docs/reference/{name}\n")
    return 0


def pages() -> dict[str, str]:
    """Return every generated page: file name to text."""
    made = {"hooks.md": hooks_page(), "settings.md": settings_page(), "cli.md": cli_page()}
    return {name: text.rstrip("\n") + "\n" for name, text in made.items()}


def _stored(name: str) -> str | None:
    path = REFERENCE / name
    return path.read_text("utf-8") if path.is_file() else None


def entry_points(group: str) -> dict[str, Any]:
    """Load the entry points of a group that the distribution itself declares."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return {name: _load(target) for name, target in project["entry-points"][group].items()}


def _load(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Return a Markdown table; a bar inside a cell is escaped."""
    lines = [list(head)]
    lines += [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines.insert(1, ["---"] * len(lines[0]))
    return ["| " + " | ".join(line) + " |" for line in lines] + [""]


# hooks.md


def hooks_page() -> str:
    """Return the page of every hook, the core's and those that default plugins add."""
    lines = [
        "# Hooks",
        "",
        NOTE,
        "",
        _prose("""
            A plugin is an object with methods marked `@hookimpl` (`eudai_core.hooks`). Each method implements one
            hook of this page, under its name and with any of its parameters. [Write a
            plugin](../how-to/write-a-plugin.md) shows one.
        """),
        "",
        "## Modes",
        "",
        *_table(("mode", "how implementations run"), ((f"`{mode.value}`", said) for mode, said in MODES.items())),
    ]
    for owner, module in [("the core", hookspecs), *_added_specs()]:
        lines += [f"## Hooks of {owner}", ""]
        for name, spec in _specs(module):
            lines += _hook(name, spec)
    return "\n".join(lines)


def _added_specs() -> Iterator[tuple[str, ModuleType | type]]:
    for name, plugin in entry_points("eudai.plugins").items():
        add = getattr(plugin, "eudai_add_hookspecs", None)
        added = add() if add else None
        if added is not None:
            yield f"`{name}`", added


def _specs(module: ModuleType | type) -> list[tuple[str, Any]]:
    return sorted((name, spec) for name, spec in vars(module).items() if name.startswith("eudai_") and callable(spec))


def _hook(name: str, spec: Any) -> list[str]:
    rule = rule_of(spec)
    limit = "no time limit" if rule.timeout is None else f"time limit {rule.timeout:g} s"
    summary, _, rest = inspect.cleandoc(spec.__doc__).partition("\n")
    facts = [("mode", f"`{rule.mode.value}`, {limit}"), *_facts(rest)]
    if contract := _contract(spec):
        facts.insert(1, ("contract", contract))
    facts += [("chosen", _chosen(role)) for role in ROLES if role.hook == name]
    return [
        f"### {name}",
        "",
        summary,
        "",
        "```python",
        _signature(name, spec),
        "```",
        "",
        *_table(("", ""), facts),
    ]


def _signature(name: str, spec: Any) -> str:
    notes = spec.__annotations__
    parameters = ", ".join(f"{each}: {notes[each]}" for each in notes if each != "return")
    word = "async def" if inspect.iscoroutinefunction(spec) else "def"
    return f"{word} {name}({parameters}) -> {notes['return']}: ..."


def _facts(text: str) -> Iterator[tuple[str, str]]:
    _, *parts = LABELS.split(" ".join(text.split()))
    for label, said in zip(parts[::2], parts[1::2], strict=True):
        yield label.lower(), _code(said.strip().rstrip("."))


def _contract(spec: Any) -> str:
    found = re.search(r"Registrar\[(\w+)\]", str(spec.__annotations__.get("register", "")))
    contract = getattr(contracts, found[1], None) if found else None
    if contract is None:
        return ""
    summary = contract.__doc__.partition(".")[0].strip()
    path = contract.__module__.replace(".", "/")
    return f"[`{contract.__name__}`](../../{path}.py): {_code(summary)}"


def _chosen(role: Role[Any]) -> str:
    said = {
        "one": f"the one that `{role.variable}` names",
        "list": f"those that `{role.variable}` names, in that order",
        "keyed": "all, each looked up by its name",
        "all": "all, asked together",
    }[role.choice]
    return said + ("; the server does not start without one" if role.required else "")


def _code(text: str) -> str:
    """Turn the double backticks of a docstring into Markdown's."""
    return text.replace("``", "`")


# settings.md


def settings_page() -> str:
    """Return the page of every setting, the core's and those of default plugins."""
    lines = [
        "# Settings",
        "",
        NOTE,
        "",
        _prose("""
            Every setting is an environment variable with the prefix `EUDAI_`. A command line option wins over the
            environment, then come a `.env` file in the working directory, the TOML file that `EUDAI_CONFIG` names
            (one table for each section), and the default. `NAME_FILE` instead of `NAME` reads the value from the
            file of that path, as container secrets need it. An empty value counts as not given. An unknown variable
            with the prefix is an error that suggests the name that was meant. `eudai config explain KEY` tells
            value, source and meaning.
        """),
        "",
    ]
    for owner, section, variables in _sections():
        lines += [f"## {section} ({owner})" if section else "## The core", ""]
        lines += _table(("variable", "expects", "default", "meaning"), map(_setting, variables))
    return "\n".join(lines)


def _sections() -> Iterator[tuple[str, str, tuple[Variable, ...]]]:
    yield "eudai", "", variables_of("", CoreSettings)
    for name, plugin in entry_points("eudai.plugins").items():
        found: list[tuple[str, type[Any]]] = []
        register = getattr(plugin, "eudai_register_settings", None)
        if register is not None:
            register(lambda section, schema, found=found: found.append((section, schema)))
        for section, schema in found:
            yield name, section, variables_of(section, schema)


def _setting(variable: Variable) -> tuple[str, ...]:
    names = f"`{variable.name}`" + "".join(f", also `{alias}`" for alias in variable.aliases)
    expected = expectation(variable) + (", secret" if variable.secret else "")
    return names, expected, _default(variable), variable.help


def _default(variable: Variable) -> str:
    value = variable.default_in({})
    if value is None or isinstance(value, Secret) or value in ("", ()):
        return "not set"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    home = str(Path.home()).rstrip("/") + "/"
    text = str(value)
    return f"`~/{text.removeprefix(home)}`" if text.startswith(home) else f"`{text}`"


# cli.md


def cli_page() -> str:
    """Return the page of every command."""
    lines = [
        "# Commands",
        "",
        NOTE,
        "",
        _prose("""
            Results go to stdout, progress and logs to stderr. Every option of `eudai serve` has a
            [setting](settings.md) as well. Plugins add commands through the entry-point group `eudai.commands`;
            this page has those of the distribution itself.
        """),
        "",
        "## Exit codes",
        "",
        *_table(("code", "meaning"), ((str(code), said) for code, said in enumerate(EXIT_CODES))),
    ]
    for name, command in sorted(entry_points("eudai.commands").items()):
        for path, each in _walk(f"eudai {name}", command):
            lines += _command(path, each)
    return "\n".join(lines)


EXIT_CODES: Final = (
    "done",
    "failed",
    "wrong usage",
    "not configured",
    "authentication failed",
    "server unreachable",
    "rate-limited",
    "timed out",
    "server error",
)


def _walk(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, each in sorted(command.commands.items()):
            yield from _walk(f"{path} {name}", each)


def _command(path: str, command: click.Command) -> list[str]:
    context = click.Context(command, info_name=path)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    lines = [f"{'##' if path.count(' ') == 1 else '###'} {path}", "", _prose(command.help or ""), ""]
    lines += ["```", usage, "```", ""]
    if options:
        lines += _table(("option", "meaning"), (_option(each, context) for each in options))
    return lines


def _option(option: click.Option, context: click.Context) -> tuple[str, str]:
    value = "" if option.is_flag or option.count else f" {option.make_metavar(context)}"
    names = ", ".join(f"`{name}{value}`" for name in (*option.opts, *option.secondary_opts))
    return names, _code(option.help or "")


def _prose(text: str) -> str:
    """Return the paragraphs of a docstring, each on one line; click's mark for verbatim text is dropped."""
    plain = textwrap.dedent(inspect.cleandoc(text)).replace("\b\n", "")
    return "\n\n".join(_code(" ".join(part.split())) for part in plain.split("\n\n"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
