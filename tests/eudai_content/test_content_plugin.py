"""The plugin object: what it registers, and what it costs to import."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any

from eudai_content import plugin
from eudai_core.contracts import TextExtractor
from support.contexts import SimpleContext


def registered(hook: str) -> dict[str, Any]:
    late: dict[str, Any] = {}
    getattr(plugin, f"eudai_register_{hook}")(late.__setitem__)
    return late


def test_every_late_name_is_there() -> None:
    late = registered("blob_stores") | registered("text_extractors")
    assert set(late) == {"local", "text", "markdown"}
    assert all(callable(_named(name)) for name in late.values())


def test_extractors_name_functions_that_are_there() -> None:
    for late in registered("text_extractors").values():
        extractor = _named(late)(SimpleContext())
        assert isinstance(extractor, TextExtractor)
        assert callable(_named(extractor.target))
        assert extractor.media_types


def test_importing_the_plugin_is_light() -> None:
    code = "import sys, eudai_content; print([m for m in ('asyncio', 'eudai_core.contracts') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def _named(late: str) -> Any:
    module, _, name = late.partition(":")
    return getattr(importlib.import_module(module), name)
