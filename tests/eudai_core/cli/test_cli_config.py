from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from eudai_core.cli.config import config

Run = Callable[..., tuple[int, str, str]]
HIDDEN = "a-very-secret-key-of-more-than-32-bytes"


def test_explain_tells_value_source_and_meaning(command: Run) -> None:
    code, out, _ = command(config, "explain", "port", EUDAI_PORT="81", EUDAI_PLUGINS="good")
    assert code == 0
    assert out.splitlines() == [
        "EUDAI_PORT = 81",
        "  Port to listen on; 0 takes a free one.",
        "  from: EUDAI_PORT in the environment",
        "  default: 8000",
        "  expected: a whole number from 0 to 65535",
        "  of: eudai",
    ]


def test_explain_as_json(command: Run) -> None:
    _, out, _ = command(config, "explain", "EUDAI_PORT", "--json", EUDAI_PLUGINS="good")
    told = json.loads(out)
    assert (told["key"], told["value"], told["source"]) == ("EUDAI_PORT", "8000", "default")


def test_explain_tells_of_a_wrong_value(command: Run) -> None:
    code, out, err = command(config, "explain", "EUDAI_PORT", EUDAI_PORT="x", EUDAI_PLUGINS="good")
    assert code == 3
    assert "expected: a whole number" in out
    assert "EUDAI_PORT (the environment): expected a whole number from 0 to 65535, got 'x'." in err


def test_an_unknown_key_is_suggested(command: Run) -> None:
    code, _, err = command(config, "explain", "prot", EUDAI_PLUGINS="good")
    assert code == 3
    assert "Did you mean EUDAI_PORT?" in err


@pytest.mark.parametrize("arguments", [("show",), ("show", "--json"), ("explain", "secret_key")])
def test_secrets_are_not_shown(command: Run, arguments: tuple[str, ...]) -> None:
    code, out, err = command(config, *arguments, EUDAI_SECRET_KEY=HIDDEN, EUDAI_PLUGINS="good")
    assert code == 0
    assert "EUDAI_SECRET_KEY" in out
    assert "********" in out
    assert HIDDEN not in out + err


def test_check_accepts_a_server_that_could_start(command: Run, house: Path) -> None:
    assert command(config, "check", EUDAI_PLUGINS="reporting") == (0, "The settings are usable.\n", "")
    assert not house.exists()  # a check makes nothing


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"EUDAI_PRT": "1"}, "EUDAI_PRT (the environment) is no known setting. Did you mean EUDAI_PORT?"),
        ({"EUDAI_STORAGE": "other"}, "There is no storage called other. Registered: sql (reporting)."),
        ({"EUDAI_SECRET_KEY": "short"}, "EUDAI_SECRET_KEY has fewer than 32 bytes"),
    ],
)
def test_check_names_what_is_wrong(command: Run, environ: dict[str, str], told: str) -> None:
    code, _, err = command(config, "check", EUDAI_PLUGINS="reporting", **environ)
    assert code == 3
    assert told in err


def test_check_looks_at_the_secret_keys_file(command: Run, house: Path) -> None:
    house.mkdir()
    (house / "secret-key").write_text("stump")
    (house / "secret-key").chmod(0o600)
    code, _, err = command(config, "check", EUDAI_PLUGINS="reporting")
    assert code == 3
    assert "holds no usable key" in err
