"""Hosts that are composed without the machine's environment, and closed at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from eudai_core.plugins import PluginHost
from eudai_core.testing.clock import FrozenClock

Compose = Callable[..., PluginHost]


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
async def compose(clock: FrozenClock) -> AsyncIterator[Compose]:
    hosts: list[PluginHost] = []

    def make(*plugins: object, **environ: str) -> PluginHost:
        options: dict[str, Any] = {"plugins": list(plugins)} if plugins else {}
        host = PluginHost.compose(environ=environ, dotenv=None, clock=clock, **options)
        host._guard._timer = lambda: 0.0  # a busy machine must not look like a blocking plugin
        hosts.append(host)
        return host

    yield make
    for host in hosts:
        await host.aclose()
