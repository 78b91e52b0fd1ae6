"""Write the versions of the current environment into pyproject.toml as constraints, without naming any host.

Run it as ``uv run --group test python scripts/update_pins.py`` after an upgrade. A test fails while it is due.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import distributions
from pathlib import Path

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
BLOCK = re.compile(r"(?ms)^constraint-dependencies = \[\n.*?^\]\n")
OURS = re.compile(r"eudai(-.*)?")
TOOLS = {"pip", "setuptools", "wheel", "uv"}


def pins() -> dict[str, str]:
    """Return the installed versions by normalised name, without our own distributions and the installers."""
    found = {}
    for distribution in distributions():
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
        if name not in TOOLS and not OURS.fullmatch(name):
            found[name] = distribution.version
    return found


def block(versions: dict[str, str]) -> str:
    """Return the lines of pyproject.toml."""
    lines = "".join(f'    "{name}=={version}",\n' for name, version in sorted(versions.items()))
    return f"constraint-dependencies = [\n{lines}]\n"


if __name__ == "__main__":
    old = PYPROJECT.read_text(encoding="utf-8")
    new = BLOCK.sub(lambda match: block(pins()), old)
    PYPROJECT.write_text(new, encoding="utf-8")
    sys.stdout.write("pins are up to date\n" if old == new else "pins were written\n")
