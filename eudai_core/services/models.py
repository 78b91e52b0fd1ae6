"""Which models there are, and which one answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from eudai_core.contracts import Clock
from eudai_core.errors import BackendUnavailable, EudaiError, ModelNotFound
from eudai_core.model import Conversation, Identity, ModelInfo, Project
from eudai_core.plugins import PluginHost
from eudai_core.plugins.roles import LLM_BACKENDS
from eudai_core.settings import CoreSettings

__all__ = ["Models"]

PREFERRED_FAMILY: Final = "deepseek"
LIST_S: Final = 6.0
"""How long a backend may take to list its models."""
REMEMBERED_S: Final = 5.0
PATIENCE_S: Final = 0.25
"""How long a caller waits for a new list while there is an old one."""
_log = logging.getLogger(__name__)


class Models:
    """The models of every LLM backend, and the choice among them."""

    def __init__(self, host: PluginHost, clock: Clock, core: CoreSettings) -> None:
        self._host = host
        self._clock = clock
        self._core = core
        self._models: dict[str, Sequence[ModelInfo]] = {}
        self._unreachable: dict[str, str] = {}
        self._looked = float("-inf")
        self._known = False
        self._look: asyncio.Task[None] | None = None

    async def aclose(self) -> None:
        """End a look that is under way."""
        if self._look is not None:
            self._look.cancel()
            await asyncio.gather(self._look, return_exceptions=True)

    async def available(self, *, fresh: bool = False) -> tuple[ModelInfo, ...]:
        """Return the models that can be asked, language models first; remembered for a few seconds.

        While a backend takes long to list them, those of its last answer are returned; ``fresh`` waits for the new
        ones, and so does the first call of all. A backend that cannot be reached keeps the models it had: a turn for
        one of them then fails with the backend's own error, instead of being answered by another model behind the
        user's back.
        """
        now = self._clock.monotonic()
        if (fresh or now - self._looked > REMEMBERED_S) and (self._look is None or self._look.done()):
            self._looked = now
            self._look = asyncio.create_task(self._look_around(), name="models of the backends")
        look = self._look
        if look is not None and not look.done():
            # Waited for, not awaited: a caller that leaves takes it from nobody else.
            patience = None if fresh or not self._known else max(PATIENCE_S - (now - self._looked), 0)
            await asyncio.wait({look}, timeout=patience)
        models = [model for models in self._models.values() for model in models]
        return tuple(sorted(models, key=lambda model: not model.is_language_model))

    async def of_backend(self, backend: str, name: str) -> ModelInfo:
        """Return a model of one backend.

        Raises:
            BackendUnavailable: the backend cannot be reached and never told of this model.
            ModelNotFound: the backend does not have it.
        """
        return self._found(await self.available(), f"{backend}/{name}", backend)

    async def choose(
        self,
        identity: Identity,
        *,
        requested: str | None = None,
        conversation: Conversation | None = None,
        project: Project | None = None,
    ) -> ModelInfo:
        """Return the model of a turn: asked for, else the conversation's, the project's, the server's, the best.

        Raises:
            ModelNotFound: the one that was asked for or set is not there; tells what is.
        """
        available = await self.available()
        chosen: ModelInfo | None = await self._host.hooks.first(
            "eudai_select_model", identity=identity, requested=requested, available=available
        )
        if chosen is not None and chosen in available:
            return chosen
        name = requested or (conversation.model if conversation else None)
        name = name or (project.settings.get("model") if project else None) or self._core.default_model
        if not name:
            return best(available)
        return self._found(available, name)

    def _found(self, available: Sequence[ModelInfo], name: str, backend: str | None = None) -> ModelInfo:
        try:
            return find(available, name)
        except ModelNotFound as error:
            unreachable = [why for key, why in self._unreachable.items() if backend in {None, key}]
            if unreachable:
                raise BackendUnavailable(" ".join(unreachable)) from error
            raise

    async def _look_around(self) -> None:
        await asyncio.gather(*(self._ask(name) for name in self._host.all(LLM_BACKENDS)))
        self._known = True

    async def _ask(self, backend: str) -> None:
        owner = self._host.owner(LLM_BACKENDS, backend)
        offered = self._host.all(LLM_BACKENDS)[backend].models
        try:
            self._models[backend] = await self._host.guard(owner, "models", offered, timeout=LIST_S)
        except EudaiError as error:
            if backend not in self._unreachable:
                _log.info("backend %s offers no models now: %s", backend, error.detail)
            self._unreachable[backend] = error.detail
        else:
            if self._unreachable.pop(backend, None) is not None:
                _log.info("backend %s offers its models again", backend)


def find(available: Sequence[ModelInfo], name: str) -> ModelInfo:
    """Return the model called ``name``, or ``backend/name``, or ``name`` without its tag ``:latest``.

    Raises:
        ModelNotFound: there is none; the detail tells what there is.
    """
    for model in available:
        if name in {model.name, f"{model.backend}/{model.name}"} or f"{name}:latest" == model.name:
            return model
    there = ", ".join(model.name for model in available[:10]) or "none"
    raise ModelNotFound(f"The model {name!r} is not installed. Installed: {there}. Try `ollama pull {name}`.")


def best(available: Sequence[ModelInfo]) -> ModelInfo:
    """Return DeepSeek when it is installed, else the first language model, else the first stand-in."""
    for model in available:
        if model.is_language_model and PREFERRED_FAMILY in model.name.lower():
            return model
    if not available:
        raise ModelNotFound("No model can be asked now. Start Ollama and run `ollama pull deepseek-r1`.")
    return available[0]
