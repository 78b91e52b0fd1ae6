"""Which models Ollama offers, with their windows and abilities."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from eudai_core.contracts import Clock
from eudai_core.errors import BackendError, BackendUnavailable
from eudai_core.model import ModelInfo
from eudai_ollama.client import OllamaClient
from eudai_ollama.settings import OllamaSettings
from eudai_ollama.wire import Shown, Tag

__all__ = ["Catalogue", "same_model"]

_FRESH = 5.0
_TIMEOUT = 5.0
_SHOWS_AT_ONCE = 4
_DEFAULT_WINDOW = 8192
_ANSWER, _THINKING_ANSWER = 2048, 4096
_ABILITIES = {"thinking": "thinking", "tools": "tools", "vision": "vision", "embedding": "embed"}


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the file of a model tells: its abilities (None: not told) and the window that it was trained for."""

    capabilities: frozenset[str] | None = None
    trained: int | None = None


class Catalogue:
    """The list of chat models, asked for at most every five seconds; ``/api/show`` is asked once for each digest.

    A model's window is chosen once and kept while the server runs: another ``num_ctx`` makes Ollama load the model
    again. It depends on settings and model alone, so that all processes choose the same.
    """

    def __init__(self, client: OllamaClient, settings: OllamaSettings, clock: Clock) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._lock = asyncio.Lock()
        self._models: Sequence[ModelInfo] = ()
        self._failure: str | None = None
        self._asked_at: float | None = None
        self._facts: dict[str, _Facts] = {}
        self._windows: dict[str, int] = {}

    async def models(self) -> Sequence[ModelInfo]:
        """Return the models that can chat; a failure is remembered as long as a list is.

        Raises:
            BackendUnavailable: Ollama cannot be reached or refuses.
        """
        async with self._lock:
            if self._asked_at is None or self._clock.monotonic() - self._asked_at >= _FRESH:
                await self._ask()
            if self._failure is not None:
                raise BackendUnavailable(self._failure)
            return self._models

    def forget(self) -> None:
        """Ask again at the next call, because the list turned out to be old."""
        self._asked_at = None

    async def _ask(self) -> None:
        try:
            tags = (await self._client.tags(_TIMEOUT)).models or []
            self._models, self._failure = await self._infos(tags), None
        except BackendError as error:
            self._failure = error.detail
        self._asked_at = self._clock.monotonic()

    async def _infos(self, tags: Sequence[Tag]) -> Sequence[ModelInfo]:
        limit = asyncio.Semaphore(_SHOWS_AT_ONCE)

        async def facts(tag: Tag) -> _Facts:
            async with limit:
                return await self._facts_of(tag)

        known = await asyncio.gather(*(facts(tag) for tag in tags))
        chats = [(tag, fact) for tag, fact in zip(tags, known, strict=True) if _chats(fact)]
        self._facts = {tag.digest: fact for tag, fact in zip(tags, known, strict=True) if fact.capabilities is not None}
        return tuple([await self._info(tag, fact) for tag, fact in chats])

    async def _facts_of(self, tag: Tag) -> _Facts:
        trained = tag.details.context_length if tag.details else None
        if tag.capabilities is not None and (trained or tag.remote_host):
            return _Facts(frozenset(tag.capabilities), trained)
        if tag.digest in self._facts:
            return self._facts[tag.digest]
        try:
            shown = await self._client.show(tag.name, _TIMEOUT)
        except BackendError:
            # One unreadable model must not hide the others; it is asked again next time.
            return _Facts(frozenset(tag.capabilities) if tag.capabilities is not None else None, trained)
        told = tag.capabilities if tag.capabilities is not None else shown.capabilities
        return _Facts(frozenset(told) if told is not None else None, trained or _trained(shown))

    async def _info(self, tag: Tag, facts: _Facts) -> ModelInfo:
        abilities = frozenset(_ABILITIES[name] for name in facts.capabilities or () if name in _ABILITIES)
        window = await self._window(tag, facts)
        answer = self._settings.max_answer_tokens or (_THINKING_ANSWER if "thinking" in abilities else _ANSWER)
        return ModelInfo(
            name=tag.name,
            backend="ollama",
            window=window,
            max_answer_tokens=min(answer, window // 2),
            capabilities=abilities,
            capacity=self._settings.capacity,
            size=tag.size,
            family=tag.details.family if tag.details else None,
            description=_description(tag),
        )

    async def _window(self, tag: Tag, facts: _Facts) -> int:
        key = tag.digest or tag.name
        if key not in self._windows:
            wanted = self._settings.window or _DEFAULT_WINDOW
            limit = facts.trained or await self._allocated(tag.name)
            if facts.capabilities is None and limit is None:
                return wanted  # nothing is known yet: decide when it is
            self._windows[key] = min(wanted, limit) if limit else wanted
        return self._windows[key]

    async def _allocated(self, name: str) -> int | None:
        """Return the window that a loaded model really has: the only hint when the file tells no limit."""
        try:
            processes = (await self._client.processes(_TIMEOUT)).models or []
        except BackendError:
            return None
        return next((process.context_length for process in processes if same_model(process.name, name)), None)


def same_model(one: str, other: str) -> bool:
    """Tell whether two names are the same to Ollama: case does not matter and ``:latest`` is implied."""
    return one.lower().removesuffix(":latest") == other.lower().removesuffix(":latest")


def _chats(facts: _Facts) -> bool:
    return facts.capabilities is None or "completion" in facts.capabilities


def _trained(shown: Shown) -> int | None:
    info = shown.model_info or {}
    length = info.get(f"{info.get('general.architecture')}.context_length")
    return length if isinstance(length, int) and not isinstance(length, bool) and length > 0 else None


def _description(tag: Tag) -> str:
    if tag.remote_host:
        return "Runs in Ollama's cloud: what is asked leaves this machine."
    details = tag.details
    told = (details.family, details.parameter_size, details.quantization_level) if details else ()
    return " ".join(part for part in told if part)
