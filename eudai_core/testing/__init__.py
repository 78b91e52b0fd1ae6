"""The test kit for plugin authors: conformance suites, and doubles that behave like the real thing.

Names are loaded when they are used, so that a double costs nothing to those who need another one; the suites import
pytest, the rest does not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from eudai_core.testing.bus_suite import EventBusSuite
    from eudai_core.testing.clock import FrozenClock
    from eudai_core.testing.llm_checks import chat_request
    from eudai_core.testing.llm_suite import LLMBackendSuite
    from eudai_core.testing.memory_storage import MemoryStorage
    from eudai_core.testing.scripted_ollama import Reply, ScriptedModel, ScriptedOllama
    from eudai_core.testing.storage_suite import StorageSuite

__all__ = [
    "EventBusSuite",
    "FrozenClock",
    "LLMBackendSuite",
    "MemoryStorage",
    "Reply",
    "ScriptedModel",
    "ScriptedOllama",
    "StorageSuite",
    "chat_request",
]

_HOMES: Final = {
    "EventBusSuite": "eudai_core.testing.bus_suite",
    "FrozenClock": "eudai_core.testing.clock",
    "LLMBackendSuite": "eudai_core.testing.llm_suite",
    "MemoryStorage": "eudai_core.testing.memory_storage",
    "Reply": "eudai_core.testing.scripted_ollama",
    "ScriptedModel": "eudai_core.testing.scripted_ollama",
    "ScriptedOllama": "eudai_core.testing.scripted_ollama",
    "StorageSuite": "eudai_core.testing.storage_suite",
    "chat_request": "eudai_core.testing.llm_checks",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
