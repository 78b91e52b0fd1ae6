"""The child process that reads one file: limits itself, calls the extractor, writes what it finds to stdout.

Run as a script, ``child.py TARGET PATH SECONDS MEMORY``, so that nothing of the server is imported. Each line of the
output is a JSON object: a block, or ``{"error": …}``, or at the very end ``{"end": true}``. The file may be hostile,
and so may the output be after it was parsed: the parent trusts none of it.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import BinaryIO

from eudai_core.errors import BadFile
from eudai_core.model.content import Block

__all__ = ["limit", "main", "report"]


def main(target: str, path: str, seconds: str, memory: str) -> None:
    """Read the file at ``path`` by the function named ``target`` and write the lines."""
    with os.fdopen(_private_stdout(), "wb") as out:
        limit(float(seconds), int(memory))
        report(target, path, out)


def report(target: str, path: str, out: BinaryIO) -> None:
    """Write a line for each block, then the end or the error."""
    try:
        for block in _load(target)(path):
            fields = {"text": block.text, "page": block.page, "heading": block.heading, "line": block.line}
            _write(out, {name: value for name, value in fields.items() if value is not None})
        _write(out, {"end": True})
    except BrokenPipeError:
        raise  # the parent is gone or has had enough; there is nobody to tell
    except BadFile as error:
        _write(out, {"error": error.detail})
    except MemoryError:
        _write(out, {"error": "Reading this file takes more memory than is allowed."})
    except Exception as error:  # parsers raise anything when a file is broken
        reason = f"The file cannot be read: it may be damaged ({type(error).__name__})."
        _write(out, {"error": reason, "trace": traceback.format_exc()[-4000:]})


def limit(seconds: float, memory: int) -> None:
    """Bound this process: ``memory`` bytes of address space, and an end by alarm a little after ``seconds``.

    The parent kills it earlier; the alarm is for a parent that was killed itself. Where the system knows no such
    limits, the parent's are the only ones.
    """
    with suppress(AttributeError, OSError):
        os.nice(10)  # answers that stream meanwhile come first
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds + 2)
    with suppress(ImportError):
        import resource

        for what, size in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, memory), (resource.RLIMIT_CORE, 0)):
            _, hard = resource.getrlimit(what)
            allowed = size if hard == resource.RLIM_INFINITY else min(size, hard)
            with suppress(ValueError, OSError):  # macOS refuses some
                resource.setrlimit(what, (allowed, allowed))


def _private_stdout() -> int:
    """Keep stdout for the lines; what a parser prints goes where its errors go."""
    private = os.dup(1)
    os.dup2(2, 1)
    return private


def _load(target: str) -> Callable[[str], Iterator[Block]]:
    module, _, name = target.partition(":")
    function: Callable[[str], Iterator[Block]] = getattr(importlib.import_module(module), name)
    return function


def _write(out: BinaryIO, line: dict[str, object]) -> None:
    out.write(json.dumps(line, separators=(",", ":")).encode("ascii") + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
