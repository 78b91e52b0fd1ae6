"""Processes that are stopped where they are, as those of a machine that hangs."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["frozen"]


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a server's processes where they are, as a machine that hangs does."""
    os.kill(pid, signal.SIGSTOP)
    pids = [pid, *_children(pid)]
    for one in pids:
        os.kill(one, signal.SIGSTOP)
    try:
        yield
    finally:
        for one in pids[::-1]:
            os.kill(one, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(status.parent.name))
    return found
