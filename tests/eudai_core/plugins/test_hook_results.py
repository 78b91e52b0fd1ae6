from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from eudai_core.hooks import hookimpl
from eudai_core.model import ContextQuery, Identity, ModelInfo, Origin, Segment, SegmentKind, Stability
from eudai_core.plugins import PluginHost

Compose = Callable[..., PluginHost]
USER = UUID(int=1)
SMALL, LARGE = ModelInfo("small", "echo", 4096), ModelInfo("large", "echo", 8192)
QUERY = ContextQuery(USER, USER, USER, "why?", {}, (), "small", 100)
GIVEN = (Segment(SegmentKind.RULES, "Be kind.", Origin("rule", "1"), Stability.STATIC),)
NOTE = Segment(SegmentKind.TOOL, "It is Monday.", Origin("date", "1"), Stability.TURN)


class Chooser:
    eudai_api = (0, 1)

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    @hookimpl
    async def eudai_select_model(self, available: tuple[ModelInfo, ...]) -> Any:
        return self.answer

    @hookimpl
    async def eudai_transform_context(self, context: tuple[Segment, ...]) -> Any:
        return self.answer(context) if callable(self.answer) else self.answer


def faults(host: PluginHost) -> dict[str, int]:
    return dict(host.states()[0].faults)


@pytest.mark.parametrize(
    ("answer", "chosen"), [(LARGE, LARGE), (None, None), ("large", None), (ModelInfo("other", "echo", 1), None)]
)
async def test_only_an_available_model_can_be_chosen(compose: Compose, answer: Any, chosen: ModelInfo | None) -> None:
    host = compose(Chooser(answer))
    result = await host.hooks.first(
        "eudai_select_model", identity=Identity(USER, "ann"), requested=None, available=(SMALL, LARGE)
    )
    assert result == chosen
    assert faults(host) == ({} if answer is chosen else {"eudai_select_model": 1})


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (lambda context: (*context, NOTE), (*GIVEN, NOTE)),
        (lambda context: context, GIVEN),
        (lambda context: None, GIVEN),
    ],
)
async def test_a_context_may_be_appended_to(compose: Compose, transform: Any, expected: Any) -> None:
    host = compose(Chooser(transform))
    result = await host.hooks.pipeline("eudai_transform_context", "context", context=GIVEN, query=QUERY)
    assert result == expected
    assert faults(host) == {}


@pytest.mark.parametrize(
    "transform",
    [
        lambda context: (NOTE, *context),
        lambda context: (),
        lambda context: [*context, NOTE],
        lambda context: (*context, "It is Monday."),
        lambda context: (*context, *GIVEN),
    ],
)
async def test_anything_else_is_a_fault_and_changes_nothing(compose: Compose, transform: Any) -> None:
    host = compose(Chooser(transform))
    result = await host.hooks.pipeline("eudai_transform_context", "context", context=GIVEN, query=QUERY)
    assert result is GIVEN
    assert faults(host) == {"eudai_transform_context": 1}
