"""The examples, importable as their own tests import them."""

from __future__ import annotations

import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

sys.path[:0] = [str(path.parent) for path in sorted(EXAMPLES.glob("*/pyproject.toml"))]
