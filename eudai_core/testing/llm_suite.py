"""The conformance suite of LLM backends, for pytest (with pytest-asyncio).

Subclass it in a test module and override one fixture::

    class TestMyBackend(LLMBackendSuite):
        @pytest.fixture
        async def backend(self):
            backend = MyBackend(...)
            yield backend
            await backend.aclose()

What a backend cannot do is named in ``lacks``, with the reason that the skipped test will show. New tests come with
minor releases only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest
import pytest_asyncio

from eudai_core.contracts import LLMBackend
from eudai_core.model import ChatRequest, ModelInfo
from eudai_core.testing import llm_checks
from eudai_core.testing.llm_checks import Limits, chat_request

__all__ = ["LLMBackendSuite"]

_CAN_LACK = frozenset({"thinking", "cancel", "model_not_found"})


@pytest.mark.asyncio
class LLMBackendSuite:
    """Checks a backend against :class:`eudai_core.contracts.LLMBackend`."""

    lacks: ClassVar[Mapping[str, str]] = {}
    """What the backend cannot do, with reasons: ``thinking``, ``cancel`` (an answer is too short to be stopped),
    ``model_not_found`` (it takes any name)."""

    limits: ClassVar[Limits] = Limits()
    """How long it may take."""

    @pytest.fixture
    def backend(self) -> LLMBackend:
        """Return the backend under test; override this."""
        pytest.fail(f"{type(self).__name__} must override the fixture `backend`")

    @pytest_asyncio.fixture
    async def model(self, backend: LLMBackend) -> ModelInfo:
        """Return the model to ask: the first one, unless overridden."""
        return (await backend.models())[0]

    @pytest.fixture
    def request_of_suite(self, model: ModelInfo) -> ChatRequest:
        """Return the request that is sent; override it for a backend that needs more than a question."""
        return chat_request(model)

    async def test_models(self, backend: LLMBackend) -> None:
        """Models have unique names and sizes that make sense."""
        await llm_checks.check_models(backend)

    async def test_ends_once(self, backend: LLMBackend, request_of_suite: ChatRequest) -> None:
        """The last chunk, and no other, says done."""
        await llm_checks.check_ends_once(backend, request_of_suite, self.limits)

    async def test_thinking_apart(self, backend: LLMBackend, request_of_suite: ChatRequest) -> None:
        """Thinking comes apart from the text."""
        claims = "thinking" in request_of_suite.model.capabilities
        if claims and "thinking" in self.lacks:
            pytest.fail("the model claims `thinking`, which the suite says it lacks")
        self._needs("thinking")
        if not claims:
            pytest.skip("the model does not claim `thinking`")
        await llm_checks.check_thinking_apart(backend, request_of_suite, self.limits)

    async def test_close(self, backend: LLMBackend, request_of_suite: ChatRequest) -> None:
        """Closing the iterator ends it in time."""
        await llm_checks.check_close(backend, request_of_suite, self.limits)

    async def test_cancel(self, backend: LLMBackend, request_of_suite: ChatRequest) -> None:
        """Cancelling the reader ends it in time."""
        self._needs("cancel")
        await llm_checks.check_cancel(backend, request_of_suite, self.limits)

    async def test_loop_free(self, backend: LLMBackend, request_of_suite: ChatRequest) -> None:
        """The event loop is not blocked."""
        await llm_checks.check_loop_free(backend, request_of_suite, self.limits)

    async def test_concurrent(self, backend: LLMBackend, request_of_suite: ChatRequest) -> None:
        """Two answers at the same time each end."""
        await llm_checks.check_concurrent(backend, request_of_suite, self.limits)

    async def test_unknown_model(self, backend: LLMBackend, request_of_suite: ChatRequest) -> None:
        """A model that is not there is ModelNotFound."""
        self._needs("model_not_found")
        await llm_checks.check_unknown_model(backend, request_of_suite, self.limits)

    async def test_health(self, backend: LLMBackend) -> None:
        """Health is told in time."""
        await llm_checks.check_health(backend, self.limits)

    async def test_closes_twice(self, backend: LLMBackend) -> None:
        """The backend can be closed twice."""
        await llm_checks.check_closes_twice(backend)

    def _needs(self, ability: str) -> None:
        unknown = set(self.lacks) - _CAN_LACK
        if unknown:
            pytest.fail(f"`lacks` names {min(unknown)!r}; a backend may lack {', '.join(sorted(_CAN_LACK))}")
        if ability in self.lacks:
            pytest.skip(f"lacks {ability}: {self.lacks[ability]}")
