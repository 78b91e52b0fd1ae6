"""Access tokens: who they say one is, and everything that is not one."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from typing import Any

import jwt
import pytest

from eudai_auth.keys import KeyRing, SigningKey
from eudai_auth.tokens import LEEWAY_SECONDS, JwtAuthenticator, JwtIssuer
from eudai_core.contracts import Authenticator, Storage, TokenIssuer
from eudai_core.errors import ConfigError, InvalidCredentials
from eudai_core.ids import new_id
from eudai_core.model import Credentials, Session, User
from eudai_core.services.signing_keys import SigningKeyNames
from eudai_core.testing.clock import FrozenClock
from eudai_core.testing.memory_storage import MemoryStorage

ROOT = b"k" * 32
KEY = SigningKey.derive(ROOT, "first-59f437b6")
"""The first key of this root."""
OTHER = SigningKey.derive(b"o" * 32, "other")
CLOCK_START = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
USER = User(new_id(), 'Zoë "quoted"', "zoe@example.org", CLOCK_START, is_admin=True)
SESSION = Session(new_id(), USER.id, CLOCK_START, CLOCK_START + timedelta(days=30))


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(CLOCK_START)


@pytest.fixture
def ring(clock: FrozenClock) -> KeyRing:
    return ring_of(MemoryStorage(), clock)


@pytest.fixture
def issuer(ring: KeyRing, clock: FrozenClock) -> JwtIssuer:
    return JwtIssuer(ring, clock)


@pytest.fixture
def authenticator(ring: KeyRing, clock: FrozenClock) -> JwtAuthenticator:
    return JwtAuthenticator(ring, clock)


def ring_of(storage: Storage, clock: FrozenClock, root: bytes = ROOT) -> KeyRing:
    return KeyRing(SigningKeyNames(storage, clock, root), root, clock)


def bearer(token: str) -> Credentials:
    return Credentials("bearer", token)


def signed(key: SigningKey = KEY, *, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """Return a token of ours with some claims changed, or left out where the change is None."""
    now = int(CLOCK_START.timestamp())
    claims: dict[str, Any] = {
        "iss": "eudai",
        "aud": "eudai",
        "typ": "access",
        "iat": now,
        "exp": now + 900,
        "jti": "x",
        "sub": str(USER.id),
        "sid": str(SESSION.id),
        "name": USER.username,
    }
    claims = {name: value for name, value in (claims | changes).items() if value is not None}
    text = json.dumps(claims).encode()
    return jwt.PyJWS().encode(text, key.secret, "HS256", headers=header or {"kid": key.kid}, sort_headers=True)


def test_they_keep_the_contracts(issuer: JwtIssuer, authenticator: JwtAuthenticator) -> None:
    assert isinstance(issuer, TokenIssuer)
    assert isinstance(authenticator, Authenticator)


@pytest.mark.parametrize("scheme", ["bearer", "cookie"])
async def test_a_token_tells_who_it_was_issued_to(
    issuer: JwtIssuer, authenticator: JwtAuthenticator, scheme: str
) -> None:
    token = await issuer.issue(USER, SESSION, ttl_seconds=900)
    identity = await authenticator.authenticate(Credentials(scheme, token))
    assert identity is not None
    # Whether the user is an administrator is looked up: a token would tell of yesterday.
    assert (identity.user_id, identity.username, identity.is_admin) == (USER.id, USER.username, False)
    assert identity.session_id == SESSION.id
    assert identity.scopes is None


async def test_tokens_differ(issuer: JwtIssuer) -> None:
    first = await issuer.issue(USER, SESSION, ttl_seconds=900)
    assert first != await issuer.issue(USER, SESSION, ttl_seconds=900)


@pytest.mark.parametrize(
    ("scheme", "value"),
    [
        ("basic", "a.b.c"),
        ("bearer", ""),
        ("bearer", "eud_0198_secret"),
        ("bearer", "one.dot"),
        ("bearer", "a.b.c.d"),
        ("cookie", "opaque"),
    ],
)
async def test_what_is_no_jwt_is_left_to_others(authenticator: JwtAuthenticator, scheme: str, value: str) -> None:
    assert await authenticator.authenticate(Credentials(scheme, value)) is None


async def test_it_expires_by_our_clock(issuer: JwtIssuer, authenticator: JwtAuthenticator, clock: FrozenClock) -> None:
    token = await issuer.issue(USER, SESSION, ttl_seconds=60)
    clock.advance(60 + LEEWAY_SECONDS - 1)
    assert await authenticator.authenticate(bearer(token)) is not None
    clock.advance(1)
    with pytest.raises(InvalidCredentials, match="expired"):
        await authenticator.authenticate(bearer(token))


async def test_a_token_of_the_future_is_refused(authenticator: JwtAuthenticator) -> None:
    now = int(CLOCK_START.timestamp())
    assert await authenticator.authenticate(bearer(signed(iat=now + LEEWAY_SECONDS)))
    with pytest.raises(InvalidCredentials):
        await authenticator.authenticate(bearer(signed(iat=now + LEEWAY_SECONDS + 1)))


@pytest.mark.parametrize(
    "changes",
    [
        *({name: None} for name in ("exp", "iat", "sub", "jti", "aud", "iss", "sid", "typ", "name")),
        {"aud": "other"},
        {"iss": "other"},
        {"typ": "refresh"},
        {"sub": "nobody"},
        {"sub": 7},
        {"sid": "none"},
        {"sid": 7},
        {"exp": "tomorrow"},
        {"iat": "today"},
        {"exp": [1]},
    ],
    ids=str,
)
async def test_every_claim_has_to_be_right(authenticator: JwtAuthenticator, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidCredentials):
        await authenticator.authenticate(bearer(signed(**changes)))


def _segment(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _forgeries() -> dict[str, str]:
    good = signed()
    head, body, signature = good.split(".")
    altered = _segment({**json.loads(base64.urlsafe_b64decode(body + "==")), "sub": str(SESSION.id)})
    nested = base64.urlsafe_b64encode(b"[" * 9000).rstrip(b"=").decode()
    return {
        "of another key": signed(OTHER),
        "of another key under our name": signed(SigningKey(KEY.kid, OTHER.secret)),
        "altered claims": f"{head}.{altered}.{signature}",
        "no signature": f"{head}.{body}.",
        "cut signature": good[:-4],
        "alg none": f"{_segment({'alg': 'none', 'kid': KEY.kid, 'typ': 'JWT'})}.{body}.",
        "alg none, signed": f"{_segment({'alg': 'none', 'kid': KEY.kid, 'typ': 'JWT'})}.{body}.{signature}",
        "no kid": signed(header={"kid": ""}),
        "path as kid": signed(header={"kid": "../../etc/passwd"}),
        "own key in the header": signed(OTHER, header={"kid": KEY.kid, "jwk": {"kty": "oct", "k": "b28"}}),
        "unknown critical parameter": signed(header={"kid": KEY.kid, "crit": ["x"], "x": 1}),
        "deep header": f"{nested}.{body}.{signature}",
        "deep claims": f"{head}.{nested}.{signature}",
        "empty parts": "..",
        "not base64": "é.ü.ö",
        "lone surrogate": f"{head}.\ud800.{signature}",
        "long": "a" * 100_000 + ".b.c",
    }


@pytest.mark.parametrize("token", [pytest.param(token, id=name) for name, token in _forgeries().items()])
async def test_forgeries_are_refused(authenticator: JwtAuthenticator, token: str) -> None:
    with pytest.raises(InvalidCredentials) as caught:
        await authenticator.authenticate(bearer(token))
    assert token[:20] not in caught.value.detail or len(token) < 20


async def test_another_algorithm_of_the_same_key_is_refused(authenticator: JwtAuthenticator) -> None:
    token = jwt.encode({"sub": str(USER.id)}, KEY.secret * 2, "HS512", headers={"kid": KEY.kid}, sort_headers=True)
    with pytest.raises(InvalidCredentials):
        await authenticator.authenticate(bearer(token))


async def test_keys_hide_their_secret_and_do_not_sign_with_the_root(ring: KeyRing) -> None:
    key = await ring.current()
    assert repr(key.secret) not in repr(key)
    assert key.secret != ROOT
    assert key == KEY
    assert SigningKey.derive(b"o" * 32, key.kid).secret != key.secret


def test_a_short_root_key_is_refused(clock: FrozenClock) -> None:
    with pytest.raises(ConfigError, match="32"):
        ring_of(MemoryStorage(), clock, b"short")
