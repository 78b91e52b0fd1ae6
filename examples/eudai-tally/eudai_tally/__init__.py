"""Counts the answers and tokens of each user and day.

Nothing heavy is imported here, because this module is imported at every start.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from eudai_core.hooks import hookimpl

if TYPE_CHECKING:
    from eudai_core.app import Application
    from eudai_core.contracts import MigrationRegistrar
    from eudai_core.model import Event
    from eudai_tally.tally import Tally

__all__ = ["TallyPlugin", "plugin"]


class TallyPlugin:
    """Brings a table, hears of every answer, and shows the counts."""

    eudai_api = (0, 1)

    def __init__(self) -> None:
        """Count for no application yet."""
        self._tallies: list[Tally] = []

    @hookimpl
    def eudai_register_migrations(self, register: MigrationRegistrar) -> None:
        """Register the table ``p_tally_answers``."""
        from eudai_core.model import MigrationSource

        register(MigrationSource(branch="tally", package="eudai_tally.migrations"))

    @hookimpl
    def eudai_register_blueprints(self, register: Any) -> None:
        """Register the routes below ``/api/x/eudai-tally/``."""
        register("eudai_tally.routes:blueprint")

    @hookimpl
    def eudai_lifespan(self, app: Application) -> AbstractAsyncContextManager[None]:
        """Count while the application runs; without a storage that offers SQL, the plugin fails with the reason."""
        return self._counting(app)

    @hookimpl
    async def eudai_on_event(self, event: Event) -> None:
        """Count an answer that ended."""
        # An application knows its own runs only, so each run is counted by one of them.
        for tally in list(self._tallies):
            await tally.hear(event)

    @asynccontextmanager
    async def _counting(self, app: Application) -> AsyncGenerator[None]:
        from eudai_tally.tally import Tally

        tally = Tally(app.storage)
        await tally.check()
        self._tallies.append(tally)
        try:
            yield
        finally:
            self._tallies.remove(tally)


plugin = TallyPlugin()
