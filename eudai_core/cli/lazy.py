"""A group of commands that are imported when they are called, and described without being imported."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Final

import click

__all__ = ["GROUP", "BrokenCommand", "LazyGroup", "installed_commands", "summary_of"]

GROUP: Final = "eudai.commands"
_OWN: Final = "eudai"
"""The distribution whose commands win over others of the same name."""


class BrokenCommand(click.ClickException):
    """A command that is installed and cannot be imported."""

    exit_code = 1


def installed_commands() -> Sequence[EntryPoint]:
    """Return the entry points of all commands, the server's own first."""
    found = importlib.metadata.entry_points(group=GROUP)
    return sorted(found, key=lambda entry: (_distribution(entry) != _OWN, _distribution(entry), entry.name))


def summary_of(module: str) -> str:
    """Return the first line of a module's docstring, read from its source file; nothing is imported.

    Raises:
        LookupError: there is no source file for the module.
        SyntaxError: it is no Python.
    """
    tree = ast.parse(_source_of(module).read_bytes())
    docstring = ast.get_docstring(tree) or ""
    return docstring.partition("\n")[0].removesuffix(".")


def _source_of(module: str) -> Path:
    top, *rest = module.split(".")
    # find_spec imports the parents of a dotted name, so that only the first name is asked for.
    try:
        spec = importlib.util.find_spec(top)
    except ValueError as error:
        raise LookupError(f"there is no module {module}") from error
    if spec is None:
        raise LookupError(f"there is no package {top}")
    if not rest:
        roots = [Path(spec.origin)] if spec.origin else []
    else:
        inside = [Path(root).joinpath(*rest) for root in spec.submodule_search_locations or ()]
        roots = [path for one in inside for path in (one.with_name(one.name + ".py"), one / "__init__.py")]
    for path in roots:
        if path.is_file():
            return path
    raise LookupError(f"there is no module {module}")


class LazyGroup(click.Group):
    """Commands from entry points. A broken one is listed with a note, and named when it is called."""

    def __init__(self, *, entries: Sequence[EntryPoint] | None = None, **options: object) -> None:
        """Take ``entries``, or what is installed; of two with one name the first counts."""
        super().__init__(**options)  # type: ignore[arg-type]  # click's own options, passed on
        self._entries: dict[str, EntryPoint] = {}
        self._doubles: list[EntryPoint] = []
        for entry in installed_commands() if entries is None else entries:
            if self._entries.setdefault(entry.name, entry) is not entry:
                self._doubles.append(entry)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*super().list_commands(ctx), *self._entries})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command.

        Raises:
            BrokenCommand: it cannot be imported; says whose it is and why.
        """
        entry = self._entries.get(cmd_name)
        return super().get_command(ctx, cmd_name) if entry is None else _load(entry)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from what their source files say."""
        names = self.list_commands(ctx)
        width = formatter.width - 6 - max(map(len, names), default=0)
        rows = [(name, self._short_help(ctx, name, width)) for name in names]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)
        if self._doubles:
            with formatter.section("Left out, because their names are taken"):
                formatter.write_dl([(entry.name, f"of {_distribution(entry)}") for entry in self._doubles])

    def _short_help(self, ctx: click.Context, name: str, width: int) -> str:
        entry = self._entries.get(name)
        if entry is None:
            command = super().get_command(ctx, name)
            return "" if command is None else command.get_short_help_str(width)
        try:
            return summary_of(entry.value.partition(":")[0])
        except (LookupError, OSError, SyntaxError, ValueError) as error:
            return f"(cannot be used: {error})"


def _load(entry: EntryPoint) -> click.Command:
    try:
        command = entry.load()
    except (Exception, SystemExit) as error:  # any code may stand in a module
        raise BrokenCommand(
            f"The command {entry.name} of {_distribution(entry)} cannot be loaded: {type(error).__name__}: {error}."
        ) from error
    if not isinstance(command, click.Command):
        raise BrokenCommand(
            f"The command {entry.name} of {_distribution(entry)} is a {type(command).__name__}, not a click command."
        )
    return command


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "an unknown distribution"
