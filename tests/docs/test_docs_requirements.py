"""Requirements are numbered, written in EARS, and belong to a milestone of the plan."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

Rows = Callable[[str], list[list[str]]]

AREAS = re.findall(r"\w+", "USR AUT PRJ FIL URL INS CNV STR LLM CTX PLG ERR OPS DEP CLI TUI WEB SEC PER")
SYSTEM = r"the (server|CLI|client|TUI|web app|host|library|deployment|images|pipeline|test kit|test suite) shall "
EARS = re.compile(
    rf"(?:T{SYSTEM[1:]}|(?:When|While|Where) .+, {SYSTEM}|If .+, then {SYSTEM}|The default install shall ).+\.",
    re.DOTALL,
)


@pytest.fixture(name="requirements", scope="module")
def _requirements(rows: Rows) -> list[list[str]]:
    found = [row for row in rows("requirements.md") if re.fullmatch(r"[A-Z]{3}-\d+", row[0])]
    assert found
    return found


def test_ids_are_unique_and_without_gaps(requirements: list[list[str]]) -> None:
    seen: dict[str, int] = {}
    for identifier, *_ in requirements:
        area, _, number = identifier.partition("-")
        assert int(number) == seen.get(area, 0) + 1, identifier
        seen[area] = int(number)
    assert list(seen) == AREAS


def test_each_is_one_sentence_in_ears(requirements: list[list[str]]) -> None:
    assert [row[0] for row in requirements if not EARS.fullmatch(row[1])] == []


@pytest.mark.parametrize(
    "text",
    [
        "The server can stream.",
        "If it fails, the server shall stop.",
        "When it starts, it listens.",
        "The server shall",
    ],
)
def test_other_sentences_are_no_requirements(text: str) -> None:
    assert not EARS.fullmatch(text)


def test_each_has_a_milestone_of_the_plan_and_a_status(
    requirements: list[list[str]], page: Callable[[str], str]
) -> None:
    milestones = set(_milestones(page("tasks.md")))
    assert {row[2] for row in requirements} <= milestones
    assert {row[3] for row in requirements} <= {"planned", "in progress", "done"}
    assert {len(row) for row in requirements} == {4}


def test_the_plan_has_every_milestone_with_deliverables(page: Callable[[str], str]) -> None:
    text = page("tasks.md")
    assert list(_milestones(text)) == [str(number) for number in range(2, 14)]
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        lines = [line for line in part.splitlines()[1:] if line.strip()]
        assert lines
        assert all(re.match(r"- \[[ x]\] \S|  \S", line) for line in lines)


def _milestones(text: str) -> Iterator[str]:
    return (match[1] for match in re.finditer(r"^## Milestone (\d+): \S", text, re.MULTILINE))
