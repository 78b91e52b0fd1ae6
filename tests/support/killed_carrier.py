"""A process that restores or moves until it is killed.

Called as ``restore FILE URL BLOBS STAGE STEP`` or ``move FROM URL - STAGE STEP`` it says ``here`` on stdout when the
stage has come to its step, and waits there to be killed.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from pathlib import Path

from eudai_content.blobs import LocalBlobStore
from eudai_core.backup.moving import move_database
from eudai_core.backup.restoring import restore_backup
from eudai_sql.storage import open_storage

__all__ = ["Stopping", "kill_in_the_middle"]


async def kill_in_the_middle(*arguments: str) -> None:
    """Run such a process, and kill it when it is there."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    if await process.stdout.readline() != b"here\n":
        raise AssertionError((await process.communicate())[1].decode())
    process.send_signal(signal.SIGKILL)
    await process.communicate()


class Stopping:
    """A Progress that stops at a step of a stage."""

    def __init__(self, stage: str, step: int) -> None:
        self._wanted = (stage, step)
        self._stage = ""
        self._step = 0

    def begin(self, stage: str, total: int) -> None:
        self._stage, self._step = stage, 0
        self._stop_here()

    def advance(self, steps: int) -> None:
        self._step += 1
        self._stop_here()

    def _stop_here(self) -> None:
        if (self._stage, self._step) == self._wanted:
            sys.stdout.write("here\n")
            sys.stdout.flush()
            threading.Event().wait()


async def main(what: str, source: str, url: str, blobs: str, stage: str, step: str) -> None:
    """Do it."""
    progress = Stopping(stage, int(step))
    target = open_storage(url)
    if what == "restore":
        await restore_backup(Path(source), target, LocalBlobStore(Path(blobs)), (), progress=progress)
    else:
        await move_database(open_storage(source), target, (), progress=progress)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
