"""Passwords, hashed by bcrypt (Provos and Mazières, 1999).

bcrypt reads 72 bytes and no more. A longer password is refused when it is set, because a silent cut would accept
wrong endings; hashing it down first would let stolen hashes of other sites be tried here.
"""

from __future__ import annotations

import re
from typing import Final

import bcrypt

from eudai_auth.settings import AuthSettings
from eudai_core.contracts import PluginContext
from eudai_core.errors import ConfigError, FieldError, InvalidInput

__all__ = ["MAX_PASSWORD_BYTES", "BcryptHasher", "bcrypt_hasher"]

MAX_PASSWORD_BYTES: Final = 72
"""What bcrypt reads, in bytes of UTF-8."""

_COSTS: Final = range(4, 17)
_ENCODED: Final = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}", re.ASCII)
_NOBODYS_REST: Final = "." * 53


class BcryptHasher:
    """The password hasher ``bcrypt``; see eudai_core.contracts.PasswordHasher. Safe to use from many threads."""

    def __init__(self, cost: int = 12) -> None:
        """Hash with 2 to the power of ``cost`` rounds.

        Raises:
            ConfigError: ``cost`` is not 4 to 16.
        """
        if cost not in _COSTS:
            raise ConfigError(
                f"EUDAI_AUTH_BCRYPT_COST is {cost}, but must be {_COSTS[0]} to {_COSTS[-1]}: "
                "12 suits most machines, and each step more doubles the time of a sign-in."
            )
        self._cost = cost
        self._nobodys_hash = f"$2b${cost:02}${_NOBODYS_REST}".encode("ascii")

    def recognises(self, encoded: str) -> bool:
        """Tell whether ``encoded`` looks like a bcrypt hash."""
        return _ENCODED.fullmatch(encoded) is not None

    def hash(self, password: str) -> str:
        """Return a salted hash.

        Raises:
            InvalidInput: the password is longer than 72 bytes of UTF-8, or is not text that can be encoded.
        """
        secret = _bytes_of(password)
        if secret is None:
            raise _refused("holds characters that cannot be stored; type it again")
        if len(secret) > MAX_PASSWORD_BYTES:
            raise _refused(
                f"is longer than {MAX_PASSWORD_BYTES} bytes (fewer characters where they are not plain ASCII)"
            )
        return bcrypt.hashpw(secret, bcrypt.gensalt(self._cost)).decode("ascii")

    def verify(self, password: str, encoded: str) -> bool:
        """Tell whether the password belongs to the hash.

        A password that could never have been set, and a hash that is none, cost the same work and give False.
        """
        secret = _bytes_of(password)
        possible = secret is not None and len(secret) <= MAX_PASSWORD_BYTES
        checked = secret if secret is not None and possible else b""
        return self._check(checked, encoded) and possible

    def needs_rehash(self, encoded: str) -> bool:
        """Tell whether the hash is of another cost than new ones, or none of ours."""
        match = _ENCODED.fullmatch(encoded)
        return match is None or int(match[1]) != self._cost

    def _check(self, secret: bytes, encoded: str) -> bool:
        if self.recognises(encoded):
            try:
                return bcrypt.checkpw(secret, encoded.encode("ascii"))
            except ValueError:  # the right shape, yet a cost or a salt that bcrypt refuses, at once
                pass
        bcrypt.checkpw(secret, self._nobodys_hash)
        return False


def bcrypt_hasher(context: PluginContext) -> BcryptHasher:
    """Make the hasher from the settings."""
    return BcryptHasher(context.settings(AuthSettings).bcrypt_cost)


def _bytes_of(password: str) -> bytes | None:
    try:
        return password.encode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate
        return None


def _refused(reason: str) -> InvalidInput:
    return InvalidInput(f"The password {reason}.", errors=(FieldError("$.password", reason),))
