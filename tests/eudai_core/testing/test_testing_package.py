"""The names of the test kit."""

from __future__ import annotations

import subprocess
import sys

import pytest

import eudai_core.testing


def test_every_name_is_there_and_sorted() -> None:
    assert eudai_core.testing.__all__ == sorted(eudai_core.testing.__all__)
    for name in eudai_core.testing.__all__:
        assert getattr(eudai_core.testing, name).__name__ == name
    assert dir(eudai_core.testing) == eudai_core.testing.__all__
    with pytest.raises(AttributeError, match="Nothing"):
        _ = eudai_core.testing.Nothing


def test_doubles_do_not_import_pytest() -> None:
    code = "import sys; from eudai_core.testing import ScriptedOllama, FrozenClock; print('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
