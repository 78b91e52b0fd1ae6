"""LLM backends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol, runtime_checkable

from eudai_core.model import ChatRequest, Chunk, Health, ModelInfo

__all__ = ["LLMBackend", "StreamFilter"]


@runtime_checkable
class LLMBackend(Protocol):
    """Makes answers. New abilities come as small Protocols of their own, named in ``ModelInfo.capabilities``."""

    async def models(self) -> Sequence[ModelInfo]:
        """Return the models that can be asked now; cheap, since it is called often.

        Raises:
            BackendUnavailable: the backend cannot be reached.
        """
        ...

    def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        """Give the answer in pieces, the last of which, and no other, has ``done``.

        Closing the iterator, or cancelling the task that awaits it, ends the work upstream within 200 ms. Thinking is
        never mixed into text. The backend does not retry once it gave a piece.

        Raises:
            BackendUnavailable: it could not be reached, and no piece was given.
            BackendBusy: it refused for load.
            ModelNotFound: the model is not there (any more).
            ContextTooLong: it counted more tokens than the window holds.
            StreamBroken: the answer broke off after pieces were given.
        """
        ...

    async def health(self) -> Health:
        """Tell within two seconds whether answers can be made."""
        ...

    async def aclose(self) -> None:
        """Let go of every resource."""
        ...


@runtime_checkable
class StreamFilter(Protocol):
    """Changes answers as they pass: wrapped once around the chunks of each answer."""

    def wrap(self, request: ChatRequest, chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
        """Return the filtered chunks."""
        ...
