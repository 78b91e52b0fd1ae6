"""How the server is, and telling it to other processes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from eudai_core.contracts import Clock, Storage
from eudai_core.errors import EudaiError
from eudai_core.model import Health, HealthStatus, PluginState
from eudai_core.plugins import PluginHost
from eudai_core.plugins.roles import HEALTH_CHECKS
from eudai_core.services.models import Models, best

__all__ = ["HealthReport", "HealthWatch"]

CHECK_S: Final = 2.0
REPORT_S: Final = 1.0
REPORT_AT_LEAST_S: Final = 60.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HealthReport:
    """``status`` is ``ok``, ``degraded``, ``down`` or ``draining``; ``serving`` tells whether to send requests here."""

    status: str
    serving: bool
    checks: Mapping[str, Health] = field(default_factory=dict)
    plugins: Sequence[PluginState] = ()


class HealthWatch:
    """Asks every part how it is, and writes the states of the plugins where the CLI finds them."""

    def __init__(
        self, host: PluginHost, storage: Storage, models: Models, clock: Clock, draining: asyncio.Event, instance: str
    ) -> None:
        self._host = host
        self._storage = storage
        self._models = models
        self._clock = clock
        self._draining = draining
        self._instance: Final = instance

    async def report(self) -> HealthReport:
        """Return the whole state; takes two seconds at most."""
        asked: dict[str, Callable[[], Awaitable[Health]]] = {"storage": self._storage.health, "llm": self._llm}
        critical = {"storage"}
        for name, check in self._host.all(HEALTH_CHECKS).items():
            asked[name] = check.check
            if check.critical:
                critical.add(name)
        answers = await asyncio.gather(*(self._ask(name, call) for name, call in asked.items()))
        checks = dict(zip(asked, answers, strict=True))
        down = any(checks[name].status is HealthStatus.DOWN for name in critical)
        good = all(check.status is HealthStatus.OK for check in checks.values())
        status = "down" if down else "ok" if good else "degraded"
        if self._draining.is_set():
            status = "draining"
        return HealthReport(status, status in {"ok", "degraded"}, checks, self._host.states())

    async def run(self) -> None:
        """Write the states of the plugins when they change, and once a minute, until cancelled."""
        written: Sequence[PluginState] = ()
        at = float("-inf")
        failing = False
        while True:
            states = self._host.states()
            if states != written or self._clock.monotonic() - at > REPORT_AT_LEAST_S:
                try:
                    await self.write(states)
                    written, at, failing = states, self._clock.monotonic(), False
                except EudaiError as error:
                    _log.debug("the states of the plugins cannot be written now: %s", error.detail)
                except Exception:  # whatever it is, the next report may work, and nothing else depends on it
                    if not failing:
                        _log.exception("the states of the plugins cannot be written, and are tried again")
                    failing = True
            await self._clock.sleep(REPORT_S)

    async def write(self, states: Sequence[PluginState]) -> None:
        """Write the states of the plugins of this process to storage."""
        async with self._storage.unit_of_work() as unit:
            await unit.plugin_states.save(self._instance, states, at=self._clock.now())
            await unit.commit()

    async def _ask(self, name: str, call: Callable[[], Awaitable[Health]]) -> Health:
        try:
            async with asyncio.timeout(CHECK_S):
                return await call()
        except TimeoutError:
            return Health(HealthStatus.DOWN, "no answer within two seconds")
        except EudaiError as error:
            return Health(HealthStatus.DOWN, error.detail)
        except Exception as error:  # a plugin's check may raise anything, and health must answer all the same
            _log.exception("health check %s failed", name)
            return Health(HealthStatus.DOWN, f"the check itself failed ({type(error).__name__})")

    async def _llm(self) -> Health:
        models = await self._models.available()
        if not models:
            return Health(HealthStatus.DEGRADED, "no model can be asked now")
        model = best(models)
        if not model.is_language_model:
            return Health(HealthStatus.DEGRADED, f"no language model: {model.name} answers by quoting")
        return Health(HealthStatus.OK, model.name)
