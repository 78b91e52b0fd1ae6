"""The command ``eudai`` itself, and what becomes of the errors of its commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Final

import click

from eudai_core import __version__
from eudai_core.cli.exits import FAILED, OK, exit_code
from eudai_core.cli.lazy import LazyGroup
from eudai_core.errors import EudaiError

__all__ = ["main", "root", "run"]

INTERRUPTED: Final = 130
"""What a shell says of a program that Ctrl-C ended (128 + SIGINT)."""


_HELP: Final = """Chat with your own models about your own documents.

Start with `eudai serve`, or see it at work with `eudai demo`.
"""


def root() -> click.Group:
    """Return the root command over the commands that are installed now."""
    group = LazyGroup(name="eudai", help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
    return click.version_option(__version__, prog_name="eudai")(group)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return run(root(), arguments)


def run(command: click.Command, arguments: Sequence[str] | None = None, *, name: str = "eudai") -> int:
    """Run a command and return its exit code; an expected error is told on stderr without a traceback.

    A command ends with another code than 0 by raising an EudaiError or by ``context.exit(code)``.
    """
    try:
        return _guarded(lambda: command.main(arguments, prog_name=name, standalone_mode=False))
    except BrokenPipeError:
        # The reader of our output went away, as `head` does; nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _guarded(call: Callable[[], object]) -> int:
    try:
        result = call()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except EudaiError as error:
        click.echo(f"{error.title}: {error.detail}", err=True)
        return exit_code(error)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    return result if isinstance(result, int) else OK
