"""Every check by its name."""

from __future__ import annotations

from types import ModuleType
from typing import Final

from eudai_core.testing._storage import (
    accounts,
    answers,
    contexts,
    conversations,
    credentials,
    deleting_users,
    documents,
    events,
    instructions,
    jobs,
    login_failures,
    messages,
    plugin_states,
    projects,
    queue,
    runs,
    units,
    urls,
    values,
    versions,
)
from eudai_core.testing._storage.rows import Check

__all__ = ["CHECKS"]

_MODULES: Final = (
    units,
    accounts,
    credentials,
    login_failures,
    deleting_users,
    projects,
    documents,
    versions,
    instructions,
    urls,
    conversations,
    messages,
    runs,
    queue,
    events,
    contexts,
    jobs,
    answers,
    plugin_states,
    values,
)
_APART: Final = frozenset({"check_unavailable"})
"""Those that need another storage than a working one."""


def _checks(module: ModuleType) -> dict[str, Check]:
    names = (name for name in module.__all__ if name.startswith("check_") and name not in _APART)
    return {name.removeprefix("check_"): getattr(module, name) for name in names}


CHECKS: Final[dict[str, Check]] = {name: check for module in _MODULES for name, check in _checks(module).items()}
