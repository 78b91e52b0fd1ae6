"""Distributions that look installed: what entry points are read from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["install"]


def install(
    site: Path,
    distribution: str,
    *,
    plugins: Mapping[str, str] | None = None,
    commands: Mapping[str, str] | None = None,
    version: str = "1.0",
) -> None:
    """Write the metadata of a distribution with entry points into ``site``, which must be on ``sys.path``."""
    folder = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    lines: list[str] = []
    for group, entries in (("eudai.plugins", plugins), ("eudai.commands", commands)):
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in (entries or {}).items())]
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")
