"""The settings of the section ``auth``."""

from __future__ import annotations

from dataclasses import dataclass

from eudai_core.settings import setting

__all__ = ["AuthSettings"]


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """How passwords are kept."""

    bcrypt_cost: int = setting(
        12, "Work factor of new password hashes; each step more doubles the time of a sign-in.", minimum=4, maximum=16
    )
