"""Databases to carry from and to."""

from __future__ import annotations

from support.portable import new_url, odd, opened

__all__ = ["new_url", "odd", "opened"]
