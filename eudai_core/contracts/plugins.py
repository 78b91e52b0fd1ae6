"""What the host gives a plugin, and what it registers with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

from eudai_core.contracts.blobs import BlobStore
from eudai_core.contracts.clock import Clock
from eudai_core.contracts.jobs import JobHandler, JobQueue
from eudai_core.contracts.llm import LLMBackend
from eudai_core.contracts.search import SearchIndex
from eudai_core.contracts.storage import Storage
from eudai_core.model import MigrationSource

__all__ = [
    "Factory",
    "HealthCheckRegistrar",
    "JobRegistrar",
    "MigrationRegistrar",
    "Plugin",
    "PluginContext",
    "Registrar",
    "SettingsRegistrar",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


class PluginContext(Protocol):
    """All that a factory may see. ``storage`` and its neighbours are proxies, usable once names are resolved."""

    def settings(self, schema: type[T]) -> T:
        """Return the values of a settings section that this or another plugin registered."""
        ...

    async def run_blocking(self, function: Callable[..., T], *args: Any) -> T:
        """Run a blocking function in the host's bounded thread pool."""
        ...

    @property
    def storage(self) -> Storage:
        """The chosen storage."""
        ...

    @property
    def blobs(self) -> BlobStore:
        """The chosen blob store."""
        ...

    @property
    def search(self) -> SearchIndex:
        """The chosen search index."""
        ...

    @property
    def backends(self) -> Mapping[str, LLMBackend]:
        """Every LLM backend, by name."""
        ...

    @property
    def jobs(self) -> JobQueue:
        """The background jobs."""
        ...

    @property
    def clock(self) -> Clock:
        """The time, as everything in the server sees it."""
        ...


Factory = Callable[[PluginContext], T_co | Awaitable[T_co]]
"""Makes the registered object, once, when the names are resolved; may be a coroutine function."""


class Registrar(Protocol[T_contra]):
    """Takes the objects of one role from one plugin. It knows its owner and refuses a taken name, naming both."""

    def __call__(self, name: str, factory: Factory[T_contra] | str) -> None:
        """Register ``factory``, or the late string ``"pkg.mod:attr"`` that names one, under ``name``.

        Raises:
            NameTaken: the name is taken for this role.
        """
        ...


class SettingsRegistrar(Protocol):
    """Takes a plugin's settings: a frozen dataclass a section (see eudai_core.settings.setting)."""

    def __call__(self, section: str, schema: type[Any]) -> None:
        """Register ``schema``; field ``x`` of section ``ollama`` is the variable ``EUDAI_OLLAMA_X``."""
        ...


class MigrationRegistrar(Protocol):
    """Takes a plugin's own tables, as a history of Alembic revisions."""

    def __call__(self, source: MigrationSource) -> None:
        """Register ``source``."""
        ...


class JobRegistrar(Protocol):
    """Takes the handlers of background jobs."""

    def __call__(self, kind: str, factory: Factory[JobHandler] | str) -> None:
        """Register the handler of the jobs of ``kind``."""
        ...


class HealthCheckRegistrar(Protocol):
    """Takes health checks."""

    def __call__(self, name: str, factory: Factory[Any] | str) -> None:
        """Register a health check under ``name``."""
        ...


@runtime_checkable
class Plugin(Protocol):
    """What an entry point of the group ``eudai.plugins`` names: any object with hook implementations."""

    eudai_api: tuple[int, int]
    """The API version that the plugin was written for."""
