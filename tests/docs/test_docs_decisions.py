"""Decision records keep their form."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

RECORDS = sorted((Path(__file__).resolve().parents[2] / "docs" / "adr").glob("*.md"))
STATUS = re.compile(r"^Status: (proposed|accepted|rejected|superseded by \d{4}), \d{4}-\d{2}-\d{2}$", re.MULTILINE)


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem[:4])
def test_a_record_has_number_status_and_the_four_headings(record: Path) -> None:
    text = record.read_text("utf-8")
    assert re.match(rf"# {record.stem[:4]}\. \S", text)
    assert len(STATUS.findall(text)) == 1
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["Context", "Decision", "Consequences", "Alternatives"]
    parts = re.split(r"^## .+$", text, flags=re.MULTILINE)
    assert all(len(part.split()) > 20 for part in parts[1:])


def test_records_are_numbered_without_gaps() -> None:
    assert [int(record.stem[:4]) for record in RECORDS] == list(range(1, len(RECORDS) + 1))
