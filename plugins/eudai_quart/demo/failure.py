"""Where a demo failed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from eudai_core.errors import EudaiError

__all__ = ["DemoFailed", "step"]


class DemoFailed(EudaiError):  # noqa: N818 -- named as its kin in eudai_core.errors
    """A step did not work; ``detail`` says which and why."""

    code = "demo_failed"
    title = "The demo failed"


@contextmanager
def step(name: str) -> Iterator[None]:
    """Name what is being done, for the case that it fails.

    Raises:
        DemoFailed: it did.
    """
    try:
        yield
    except DemoFailed as error:
        detail = error.detail if error.detail.startswith("while ") else f"while {name}: {error.detail}"
        raise DemoFailed(detail) from error
    except TimeoutError as error:
        raise DemoFailed(f"while {name}: it took too long.") from error
    except (OSError, ValueError, LookupError, aiohttp.ClientError, asyncio.IncompleteReadError) as error:
        raise DemoFailed(f"while {name}: {type(error).__name__}: {error}") from error
