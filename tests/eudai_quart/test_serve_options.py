"""What the options of `eudai serve` set."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from click.testing import CliRunner

from eudai_quart.cli.serve import serve


def given(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Mapping[str, str]:
    told: list[Mapping[str, str]] = []
    monkeypatch.setattr("eudai_quart.process.run", lambda overrides, _: told.append(overrides))
    result = CliRunner().invoke(serve, arguments)
    assert (result.exit_code, result.output) == (0, "")
    return told[0]


def test_the_database_is_reached_by_no_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a direct URL from the environment would send migrations to another database."""
    url = "postgresql://somebody@here/chats"
    assert given(monkeypatch, "--database-url", url) == {
        "EUDAI_DATABASE_URL": url,
        "EUDAI_DATABASE_DIRECT_URL": url,
        "EUDAI_DATABASE_POOLER": "false",
    }


def test_what_is_not_given_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given(monkeypatch, "--port", "0", "--data-dir", "data") == {"EUDAI_PORT": "0", "EUDAI_DATA_DIR": "data"}
