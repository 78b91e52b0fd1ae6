"""What a factory sees of the host."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, TypeVar, cast

from eudai_core.contracts import BlobStore, Clock, JobQueue, LLMBackend, SearchIndex, Storage
from eudai_core.plugins.blocking import BlockingPool
from eudai_core.plugins.roles import BLOB_STORES, LLM_BACKENDS, SEARCH_INDEXES, STORAGE, Role
from eudai_core.settings import Settings

__all__ = ["HostContext", "ObjectSource"]

T = TypeVar("T")


class ObjectSource(Protocol):
    """Where chosen objects are found."""

    def one(self, role: Role[T]) -> T:
        """Return the chosen object."""
        ...

    def find(self, role: Role[T]) -> T | None:
        """Return the chosen object, or None."""
        ...

    def all(self, role: Role[T]) -> Mapping[str, T]:
        """Return the objects by name."""
        ...


class _Late:
    """Stands for an object that is built later: every attribute is looked up in the object when it is used."""

    def __init__(self, fetch: Callable[[], Any]) -> None:
        self._fetch = fetch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fetch(), name)


class _Live(Mapping[str, T]):
    """A mapping that always shows the newest state."""

    def __init__(self, fetch: Callable[[], Mapping[str, T]]) -> None:
        self._fetch = fetch

    def __getitem__(self, key: str) -> T:
        return self._fetch()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fetch())

    def __len__(self) -> int:
        return len(self._fetch())


class HostContext:
    """The PluginContext of every plugin (see eudai_core.contracts).

    An object that is built already is given as it is; one that is not yet is given as a stand-in, which works once
    the object is there and raises ConfigError until then.
    """

    def __init__(
        self, objects: ObjectSource, settings: Settings, pool: BlockingPool, jobs: JobQueue, clock: Clock
    ) -> None:
        """Keep what is handed on."""
        self._objects = objects
        self._settings = settings
        self._pool = pool
        self._jobs = jobs
        self._clock = clock

    def settings(self, schema: type[T]) -> T:
        """Return the values of a registered section."""
        return self._settings.section(schema)

    async def run_blocking(self, function: Callable[..., T], *args: Any) -> T:
        """Run a blocking function in the host's bounded thread pool."""
        return await self._pool.run(function, *args)

    @property
    def storage(self) -> Storage:
        """The chosen storage."""
        return self._object(STORAGE)

    @property
    def blobs(self) -> BlobStore:
        """The chosen blob store."""
        return self._object(BLOB_STORES)

    @property
    def search(self) -> SearchIndex:
        """The chosen search index."""
        return self._object(SEARCH_INDEXES)

    @property
    def backends(self) -> Mapping[str, LLMBackend]:
        """Every LLM backend that is there, by name."""
        return _Live(lambda: self._objects.all(LLM_BACKENDS))

    @property
    def jobs(self) -> JobQueue:
        """The background jobs."""
        return self._jobs

    @property
    def clock(self) -> Clock:
        """The time."""
        return self._clock

    def _object(self, role: Role[T]) -> T:
        found = self._objects.find(role)
        return cast("T", _Late(lambda: self._objects.one(role))) if found is None else found
