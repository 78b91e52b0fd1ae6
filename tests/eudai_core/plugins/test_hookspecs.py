from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable
from typing import Any

import pytest

from eudai_core import hookspecs
from eudai_core.errors import PluginError
from eudai_core.hooks import HookMode, hookspec, rule_of
from eudai_core.plugins import ROLES
from eudai_core.plugins.signatures import check_spec, specs_in

SPECS = specs_in(hookspecs)
COROUTINES = {HookMode.FIRST, HookMode.PIPELINE, HookMode.VOTE, HookMode.NOTIFY}


def test_every_spec_is_exported() -> None:
    assert sorted(SPECS) == sorted(hookspecs.__all__)
    assert hookspecs.__all__ == sorted(hookspecs.__all__)


@pytest.mark.parametrize("name", SPECS)
def test_parameters_are_plain(name: str) -> None:
    for parameter in inspect.signature(SPECS[name]).parameters.values():
        assert parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        assert parameter.default is parameter.empty


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_is_a_coroutine_exactly_when_its_mode_says_so(name: str) -> None:
    rule = rule_of(SPECS[name])
    assert inspect.iscoroutinefunction(SPECS[name]) is (rule.mode in COROUTINES)
    assert (rule.timeout is not None) is (rule.mode in COROUTINES)


@pytest.mark.parametrize("name", SPECS)
def test_the_docstring_tells_what_an_author_must_know(name: str) -> None:
    text = inspect.getdoc(SPECS[name]) or ""
    for part in (r"When\b", r"\b[Ww]ho\b", r"Returns:", r"Faults:", r"Since: \d+\.\d+\."):
        assert re.search(part, text), f"{name} does not say {part}"


@pytest.mark.parametrize("name", SPECS)
def test_the_prefix(name: str) -> None:
    assert name.startswith("eudai_")


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_role_is_registered_by_a_spec(role: Any) -> None:
    assert rule_of(SPECS[role.hook]).mode is HookMode.SYNC


def test_the_hosts_own_check_accepts_every_spec() -> None:
    for name, spec in SPECS.items():
        check_spec(name, spec)


def broken_specs() -> list[tuple[str, Callable[..., Any]]]:
    @hookspec(HookMode.SYNC)
    def with_default(value: int = 1) -> None: ...

    @hookspec(HookMode.SYNC)
    def keyword_only(*, value: int) -> None: ...

    @hookspec(HookMode.FIRST)
    def no_coroutine(value: int) -> None: ...

    @hookspec(HookMode.SYNC)
    async def needless_coroutine(value: int) -> None: ...

    def unmarked(value: int) -> None: ...

    return [
        ("must be plain, without a default", with_default),
        ("must be plain, without a default", keyword_only),
        ("must be a coroutine function", no_coroutine),
        ("must not be a coroutine function", needless_coroutine),
        ("mark it with eudai_core.hooks.hookspec", unmarked),
    ]


@pytest.mark.parametrize(("message", "spec"), broken_specs())
def test_a_broken_spec_is_refused(message: str, spec: Callable[..., Any]) -> None:
    with pytest.raises(PluginError, match=re.escape(message)):
        check_spec("eudai_x", spec)


def test_only_marked_functions_are_specs() -> None:
    namespace = types.ModuleType("specs")
    namespace.eudai_version = "1"  # type: ignore[attr-defined]
    namespace.eudai_helper = lambda: None  # type: ignore[attr-defined]
    assert specs_in(namespace) == {}
