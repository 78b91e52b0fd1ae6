"""The keys that sign access tokens.

A token names its key by ``kid``. Its header is looked up whole among the headers that our own keys write, and is never
parsed before the signature was checked: the algorithm, the key and every other parameter are ours or the token is not.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from eudai_core.errors import ConfigError

__all__ = ["ALGORITHM", "KeyRing", "SigningKey"]

ALGORITHM: Final = "HS256"
"""HMAC with SHA-256 (RFC 7518, section 3.2), the only one."""

_MIN_BYTES: Final = 32
_PURPOSE: Final = b"eudai access token v1"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key and its public name."""

    kid: str
    secret: bytes = field(repr=False)

    @classmethod
    def derive(cls, root: bytes) -> SigningKey:
        """Make the token key of the server's secret key, so that the secret itself signs nothing.

        Raises:
            ConfigError: ``root`` is shorter than 32 bytes.
        """
        if len(root) < _MIN_BYTES:
            raise ConfigError(
                f"The secret key has {len(root)} bytes, but {_MIN_BYTES} are needed: "
                "leave EUDAI_SECRET_KEY unset to have one made, or set a long random one."
            )
        secret = hmac.digest(root, _PURPOSE, "sha256")
        return cls(hashlib.sha256(b"kid" + secret).hexdigest()[:16], secret)

    @property
    def header(self) -> str:
        """The first part of every token that this key signs."""
        header = {"alg": ALGORITHM, "kid": self.kid, "typ": "JWT"}
        encoded = json.dumps(header, separators=(",", ":"), sort_keys=True).encode("ascii")
        return base64.urlsafe_b64encode(encoded).rstrip(b"=").decode("ascii")


class KeyRing:
    """The key that signs, and all keys whose tokens are accepted."""

    def __init__(self, current: SigningKey, others: Sequence[SigningKey] = ()) -> None:
        """Sign with ``current``; accept the ``others`` too."""
        self.current = current
        self._by_header = {key.header: key for key in (*others, current)}

    def key_of(self, token: str) -> SigningKey | None:
        """Return the key that the token says it was signed with, or None when it is none of ours."""
        return self._by_header.get(token.partition(".")[0])
