"""The models of the scripted Ollama: what is installed, what is loaded, and when a request makes it load again."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from eudai_core.testing._ollama.gojson import prune, timestamp
from eudai_core.testing._ollama.signals import Gates, Signal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from eudai_core.contracts import Clock

__all__ = ["Library", "Load", "Runner", "ScriptedModel"]

_FOREVER = timedelta(days=106751)


@dataclass(frozen=True, slots=True)
class ScriptedModel:
    """An installed model.

    ``context_length`` is the trained one (None: the file does not tell). ``rendered`` says which of Ollama's two chat
    paths it takes. ``num_ctx`` is a Modelfile's ``PARAMETER``. ``remote_host`` makes it a cloud model.
    """

    name: str = "deepseek-r1:latest"
    context_length: int | None = 131072
    capabilities: tuple[str, ...] = ("completion", "thinking")
    family: str = "qwen2"
    parameter_size: str = "7.6B"
    size: int = 4683075440
    rendered: bool = True
    num_ctx: int | None = None
    remote_host: str | None = None
    salt: str = ""
    """Anything that makes the digest differ, as creating the model again does."""

    @property
    def digest(self) -> str:
        """The hash of the model's manifest."""
        return hashlib.sha256(f"{self.name}\n{self.salt}".encode()).hexdigest()

    def details(self, *, facts: bool = False) -> dict[str, Any]:
        """Return the object ``details``, with the context length when ``facts`` (newer servers)."""
        details: dict[str, Any] = {
            "parent_model": "",
            "format": "gguf",
            "family": self.family,
            "families": [self.family],
            "parameter_size": self.parameter_size,
            "quantization_level": "Q4_K_M",
        }
        return details | prune({"context_length": self.context_length, "embedding_length": 3584}) if facts else details


@dataclass(frozen=True, slots=True)
class Load:
    """One loading of a model; a list of them shows a reload storm."""

    model: str
    num_ctx: int
    shift: bool


@dataclass(slots=True, eq=False)
class Runner:
    """A loaded model with its slots."""

    model: ScriptedModel
    load: Load
    slots: asyncio.Semaphore
    expires_at: datetime
    running: int = 0
    prompt: tuple[str, ...] = field(default=())
    """The words that it read last: what the prompt cache holds."""

    def reuse(self, words: tuple[str, ...]) -> int:
        """Remember a prompt and return how many of its leading words the one before had too."""
        same = 0
        for old, new in zip(self.prompt, words, strict=False):
            if old != new:
                break
            same += 1
        self.prompt = words
        return same


class Library:
    """Installed and loaded models."""

    def __init__(self, clock: Clock, gates: Gates, *, slots: int, default_window: int) -> None:
        self._clock = clock
        self._gates = gates
        self._slots = slots
        self._default_window = default_window
        self._loading: dict[str, asyncio.Lock] = {}
        self._idle = Signal()
        self.installed: dict[str, ScriptedModel] = {}
        self.loaded: dict[str, Runner] = {}
        self.loads: list[Load] = []

    def find(self, name: str) -> ScriptedModel | None:
        """Return the installed model of this name: case does not matter, ``:latest`` is implied."""
        return self.installed.get(canonical(name))

    def window(self, model: ScriptedModel, asked: int | None) -> int:
        """Return the window that a load gives: asked, else the Modelfile's, else the server's; capped as trained."""
        chosen = asked or model.num_ctx or self._default_window
        return max(4, min(chosen, model.context_length or chosen))

    @asynccontextmanager
    async def running(self, model: ScriptedModel, asked: int | None, shift: bool) -> AsyncIterator[Runner]:
        """Load the model if need be, wait for a slot without a byte, and hold it while the request runs."""
        while True:
            runner = await self.ensure(model, asked, shift)
            async with runner.slots:
                if self.loaded.get(model.name) is not runner:
                    continue  # unloaded while this request waited
                runner.running += 1
                try:
                    yield runner
                finally:
                    runner.running -= 1
                    self._idle.notify()
                return

    async def ensure(self, model: ScriptedModel, asked: int | None, shift: bool) -> Runner:
        """Return the loaded model; another window or shift than the loaded one's makes it load again, when idle."""
        wanted = Load(model.name, self.window(model, asked), shift)
        async with self._loading.setdefault(model.name, asyncio.Lock()):
            runner = self._fresh(model.name)
            if runner is not None and runner.load == wanted and runner.model == model:
                return runner
            if runner is not None:
                await self._idle.until(lambda: runner.running == 0)
                self.loaded.pop(model.name, None)
            await self._gates.passing("load")
            loaded = Runner(model, wanted, asyncio.Semaphore(self._slots), self._clock.now() + timedelta(minutes=5))
            self.loaded[model.name] = loaded
            self.loads.append(wanted)
            return loaded

    async def unload(self, name: str) -> None:
        """Drop a loaded model when its running requests have ended; the next one gets fresh slots."""
        runner = self.loaded.get(name)
        if runner is not None:
            await self._idle.until(lambda: runner.running == 0)
            self.loaded.pop(name, None)
            for _ in range(self._slots):
                runner.slots.release()  # whoever waits looks again

    def wedge(self, name: str) -> None:
        """Take all slots of a loaded model for good, as the leak of ollama issue 17131 does.

        Raises:
            LookupError: the model is not loaded.
        """
        runner = self.loaded.get(canonical(name))
        if runner is None:
            raise LookupError(f"{name} is not loaded: ask it something first")
        runner.slots = asyncio.Semaphore(0)

    def keep(self, runner: Runner, seconds: float | None) -> None:
        """Move the time at which an idle model is unloaded; negative seconds mean never."""
        if seconds is not None:
            idle = _FOREVER if seconds < 0 else timedelta(seconds=seconds)
            runner.expires_at = self._clock.now() + idle

    def _fresh(self, name: str) -> Runner | None:
        runner = self.loaded.get(name)
        if runner is not None and not runner.running and runner.expires_at <= self._clock.now():
            del self.loaded[name]
            return None
        return runner

    def tags(self, *, facts: bool) -> dict[str, Any]:
        """Return the answer of ``/api/tags``; ``facts`` False leaves out what older servers do not tell."""
        return {"models": [self._tag(model, facts) for model in self.installed.values()]}

    def _tag(self, model: ScriptedModel, facts: bool) -> dict[str, Any]:
        tag: dict[str, Any] = {"name": model.name, "model": model.name}
        if model.remote_host:
            tag |= {"remote_model": model.name.removesuffix("-cloud"), "remote_host": model.remote_host}
        tag |= {
            "modified_at": timestamp(datetime(2026, 11, 1, 12, 30, 5, 123456, tzinfo=UTC), 789),
            "size": model.size,
            "digest": model.digest,
            "details": model.details(facts=facts),
        }
        return tag | {"capabilities": list(model.capabilities)} if facts else tag

    def ps(self) -> dict[str, Any]:
        """Return the answer of ``/api/ps``."""
        runners = [runner for name in list(self.loaded) if (runner := self._fresh(name)) is not None]
        return {"models": [_process(runner) for runner in runners]}

    def show(self, model: ScriptedModel) -> dict[str, Any]:
        """Return the answer of ``/api/show``, with the server's paths in it as the real one has."""
        info: Mapping[str, Any] = {
            "general.architecture": model.family,
            "general.parameter_count": 7615616512,
            **prune({f"{model.family}.context_length": model.context_length}),
            f"{model.family}.embedding_length": 3584,
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.tokens": None,
        }
        shown: dict[str, Any] = {
            "license": "MIT License",
            "modelfile": f'# Modelfile generated by "ollama show"\nFROM /var/lib/ollama/blobs/sha256-{model.digest}\n',
            "parameters": f"num_ctx                        {model.num_ctx}" if model.num_ctx else "",
            "template": "{{- if .System }}{{ .System }}{{ end }}" if model.rendered else "",
            "details": model.details(),
            "model_info": info,
            "tensors": [{"name": "blk.0.attn_k.weight", "type": "Q4_K", "shape": [3584, 512]}],
            "capabilities": list(model.capabilities),
            "modified_at": timestamp(datetime(2026, 11, 1, 12, 30, 5, 123456, tzinfo=UTC), 789),
        }
        return {key: value for key, value in shown.items() if value != ""}


def canonical(name: str) -> str:
    """Return the name under which a model is installed."""
    folded = name.strip().lower()
    return folded if ":" in folded.rpartition("/")[2] else f"{folded}:latest"


def _process(runner: Runner) -> dict[str, Any]:
    model = runner.model
    return {
        "name": model.name,
        "model": model.name,
        "size": model.size,
        "digest": model.digest,
        "details": model.details(),
        "expires_at": timestamp(runner.expires_at, 789),
        "size_vram": model.size,
        "context_length": runner.load.num_ctx,
    }
