"""A plugin whose import ends the program, if it is let."""

from __future__ import annotations

import sys

sys.exit("no licence found")
