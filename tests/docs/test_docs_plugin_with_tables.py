"""What the page on plugins with tables shows stands in the example, whose tests run it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from eudai_core.contracts import OffersSql, Sql

PAGE = "how-to/plugin-with-tables.md"
BLOCK = re.compile(r"^```python\n# (\S+\.py)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_every_piece_of_code_stands_in_the_example(page: Callable[[str], str], repository: Path) -> None:
    example = repository / "examples" / "eudai-tally"
    blocks = BLOCK.findall(page(PAGE))
    assert len(blocks) == page(PAGE).count("```python")
    assert {name for name, _ in blocks} >= {"eudai_tally/__init__.py", "eudai_tally/tally.py", "eudai_tally/routes.py"}
    strange = [(name, text) for name, text in blocks if text not in (example / name).read_text("utf-8")]
    assert strange == []


def test_the_names_of_the_capability_exist(page: Callable[[str], str]) -> None:
    assert "sql" in vars(OffersSql)
    named = set(re.findall(r"`(?:sql\.)?(dialect|rows|run|run_many)`", page(PAGE)))
    assert named == {"dialect", "run", "run_many"}
    assert named | {"rows"} <= set(vars(Sql))


def test_the_links_of_the_example_lead_somewhere(repository: Path) -> None:
    readme = repository / "examples" / "eudai-tally" / "README.md"
    links = re.findall(r"\]\(([^)]+)\)", readme.read_text("utf-8"))
    assert links
    assert [link for link in links if not (readme.parent / link).exists()] == []
