"""What commands share: running coroutines, a host that is open for a moment, and printing."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from eudai_core.contracts import Storage
    from eudai_core.plugins import PluginHost, Role

__all__ = ["NoJobs", "opened_host", "opened_storage", "print_json", "print_table", "quiet", "run_async"]

T = TypeVar("T")


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine to its end; Ctrl-C cancels it and lets it clean up."""
    return asyncio.run(coroutine)


def quiet() -> None:
    """Let only errors through to stderr: what a command has to tell of plugins it tells itself."""
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")


class NoJobs:
    """The JobQueue of a command that does no background work."""

    async def enqueue(self, kind: str, key: str, payload: Mapping[str, Any], *, delay: float = 0.0) -> None:
        """Drop the job: the server finds the same work by itself."""


@asynccontextmanager
async def opened_host(host: PluginHost, *roles: Role[Any]) -> AsyncGenerator[PluginHost]:
    """Build the objects of some roles of a composed host, and nothing else, and close them at the end.

    Raises:
        ConfigError: a required one is not there, or its plugin failed.
    """
    try:
        await host.build(jobs=NoJobs(), roles=roles)
        yield host
    finally:
        await host.aclose()


@asynccontextmanager
async def opened_storage(host: PluginHost) -> AsyncGenerator[Storage]:
    """Build the storage of a composed host, and nothing else, and close it at the end.

    Raises:
        ConfigError: there is no storage, or its plugin failed.
    """
    from eudai_core.plugins import STORAGE

    async with opened_host(host, STORAGE):
        yield host.one(STORAGE)


def print_json(value: object) -> None:
    """Print a value for machines."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a head, in columns as wide as they need to be; the last one is not filled up."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths[:-1], strict=True)]
        click.echo("  ".join((*cells, row[-1])).rstrip())
