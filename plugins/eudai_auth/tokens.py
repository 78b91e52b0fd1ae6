"""Access tokens: JSON Web Tokens (RFC 7519) that say who somebody is and by which session.

The same token is accepted as a bearer token and as the web cookie's value. Whether the session is still good, and what
the user may do, is the host's to look up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import jwt

from eudai_auth.keys import ALGORITHM, KeyRing
from eudai_core.contracts import Clock, PluginContext
from eudai_core.errors import InvalidCredentials
from eudai_core.ids import new_id
from eudai_core.model import Credentials, Identity, Session, User
from eudai_core.services.signing_keys import SigningKeyNames
from eudai_core.settings import CoreSettings, secret_key

__all__ = ["LEEWAY_SECONDS", "JwtAuthenticator", "JwtIssuer", "jwt_authenticator", "jwt_issuer"]

LEEWAY_SECONDS: Final = 10
"""How far the clocks of two servers may differ."""

_PARTY: Final = "eudai"
_KIND: Final = "access"
_SCHEMES: Final = frozenset({"bearer", "cookie"})
_REQUIRED: Final = ["exp", "iat", "sub", "jti", "aud", "iss", "sid", "typ"]
_DECODER: Final = jwt.PyJWT(
    # Times are checked here, by the server's own clock.
    options={"require": _REQUIRED, "verify_exp": False, "verify_iat": False, "verify_nbf": False}
)


class JwtIssuer:
    """The token issuer ``jwt``; see eudai_core.contracts.TokenIssuer."""

    def __init__(self, keys: KeyRing, clock: Clock) -> None:
        """Sign with the ring's current key."""
        self._keys = keys
        self._clock = clock

    async def issue(self, user: User, session: Session, *, ttl_seconds: int) -> str:
        """Return a signed token that is valid for ``ttl_seconds`` from now."""
        now = int(self._clock.now().timestamp())
        claims = {
            "iss": _PARTY,
            "aud": _PARTY,
            "typ": _KIND,
            "iat": now,
            "exp": now + ttl_seconds,
            "jti": new_id().hex,
            "sub": str(user.id),
            "sid": str(session.id),
            "name": user.username,
        }
        key = await self._keys.current()
        return jwt.encode(claims, key.secret, ALGORITHM, headers={"kid": key.kid}, sort_headers=True)


class JwtAuthenticator:
    """The authenticator ``jwt``; see eudai_core.contracts.Authenticator."""

    def __init__(self, keys: KeyRing, clock: Clock) -> None:
        """Accept tokens of every key in the ring."""
        self._keys = keys
        self._clock = clock

    async def authenticate(self, credentials: Credentials) -> Identity | None:
        """Return who the token was issued to, or None for what is no JWT at all.

        Raises:
            InvalidCredentials: it is a JWT, and not ours, altered, expired, or of another kind.
        """
        token = credentials.value
        if credentials.scheme not in _SCHEMES or token.count(".") != 2:
            return None
        return self._identity(await self._claims(token))

    async def _claims(self, token: str) -> Mapping[str, Any]:
        key = await self._keys.key_of(token)
        if key is None:
            raise _invalid()
        try:
            return _DECODER.decode(token, key.secret, algorithms=[ALGORITHM], audience=_PARTY, issuer=_PARTY)
        except (jwt.InvalidTokenError, UnicodeEncodeError) as error:
            raise _invalid() from error

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        try:
            if claims["typ"] != _KIND:
                raise _invalid()
            self._check_times(claims["iat"], claims["exp"])
            return Identity(UUID(claims["sub"]), str(claims["name"]), session_id=UUID(claims["sid"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:  # signed by us, yet not of this shape
            raise _invalid() from error

    def _check_times(self, issued: float, expires: float) -> None:
        now = self._clock.now().timestamp()
        if issued > now + LEEWAY_SECONDS:
            raise _invalid()
        if expires <= now - LEEWAY_SECONDS:
            raise InvalidCredentials("The access token has expired. Refresh it, or sign in again.")


def jwt_issuer(context: PluginContext) -> JwtIssuer:
    """Make the issuer over the server's secret key and the names of the signing keys."""
    return JwtIssuer(_ring(context), context.clock)


def jwt_authenticator(context: PluginContext) -> JwtAuthenticator:
    """Make the authenticator over the server's secret key and the names of the signing keys."""
    return JwtAuthenticator(_ring(context), context.clock)


def _ring(context: PluginContext) -> KeyRing:
    root = secret_key(context.settings(CoreSettings))
    return KeyRing(SigningKeyNames(context.storage, context.clock, root), root, context.clock)


def _invalid() -> InvalidCredentials:
    return InvalidCredentials("The access token is not valid. Sign in again.")
