"""Passwords: what is accepted, what is refused, and that nothing of it can be told by time."""

from __future__ import annotations

import time

import pytest

from eudai_auth.passwords import MAX_PASSWORD_BYTES, BcryptHasher, bcrypt_hasher
from eudai_auth.settings import AuthSettings
from eudai_core.contracts import PasswordHasher
from eudai_core.errors import ConfigError, InvalidInput
from support.contexts import SimpleContext


@pytest.fixture(scope="module")
def hasher() -> BcryptHasher:
    return BcryptHasher(4)


def test_it_keeps_the_contract(hasher: BcryptHasher) -> None:
    assert isinstance(hasher, PasswordHasher)


@pytest.mark.parametrize(
    "password", ["correct horse battery staple", "päßwörd 🐎", "", "with \0 inside", "x" * 72, "é" * 36]
)
def test_a_password_belongs_to_its_hash_and_to_no_other(hasher: BcryptHasher, password: str) -> None:
    encoded = hasher.hash(password)
    assert hasher.recognises(encoded)
    assert hasher.verify(password, encoded)
    assert not hasher.verify(password + "!", encoded)
    assert not hasher.verify(password[:-1] or "something", encoded)


def test_hashes_are_salted(hasher: BcryptHasher) -> None:
    assert hasher.hash("same") != hasher.hash("same")


@pytest.mark.parametrize("password", ["x" * 73, "é" * 37, "🐎" * 19])
def test_more_bytes_than_bcrypt_reads_are_refused_when_set_and_wrong_when_tried(
    hasher: BcryptHasher, password: str
) -> None:
    with pytest.raises(InvalidInput, match=str(MAX_PASSWORD_BYTES)) as caught:
        hasher.hash(password)
    assert [error.path for error in caught.value.errors] == ["$.password"]
    assert password not in caught.value.detail
    cut = password.encode()[:MAX_PASSWORD_BYTES].decode("utf-8", "ignore")
    assert not hasher.verify(password, hasher.hash(cut))


def test_a_lone_surrogate_is_refused_and_never_right(hasher: BcryptHasher) -> None:
    with pytest.raises(InvalidInput):
        hasher.hash("\ud800")
    assert not hasher.verify("\ud800", hasher.hash(""))


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "plain",
        "$2b$12$short",
        "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA",
        "$2b$99$" + "." * 53,
        "$2b$04$" + "." * 53,
        "$2b$04$" + "." * 52 + "\n",
        "$2b$0४$" + "." * 53,
    ],
)
def test_a_malformed_hash_is_false_and_no_error(hasher: BcryptHasher, encoded: str) -> None:
    assert not hasher.verify("", encoded)
    assert not hasher.verify("anything", encoded)


@pytest.mark.parametrize(
    ("password", "encoded"),
    [("x" * 100, None), ("\ud800", None), ("right", "nonsense"), ("right", "$2b$99$" + "." * 53)],
)
def test_what_cannot_be_right_costs_the_same_work(password: str, encoded: str | None) -> None:
    hasher = BcryptHasher(8)
    real = hasher.hash("right")

    def fastest(tried: str, against: str) -> float:
        times = []
        for _ in range(5):
            started = time.thread_time()
            hasher.verify(tried, against)
            times.append(time.thread_time() - started)
        return min(times)

    wrong = fastest("wrong", real)
    assert fastest(password, encoded or real) == pytest.approx(wrong, rel=0.5)


def test_hashes_of_another_cost_need_a_new_one() -> None:
    weak, strong = BcryptHasher(4), BcryptHasher(5)
    assert strong.needs_rehash(weak.hash("a"))
    assert weak.needs_rehash(strong.hash("a"))
    assert not weak.needs_rehash(weak.hash("a"))
    assert weak.needs_rehash("$argon2id$of-another-hasher")


def test_hashes_of_older_implementations_are_verified(hasher: BcryptHasher) -> None:
    encoded = hasher.hash("old")
    assert hasher.verify("old", encoded.replace("$2b$", "$2a$", 1))
    assert hasher.verify("old", encoded.replace("$2b$", "$2y$", 1))


@pytest.mark.parametrize("cost", [3, 17, 0, -1])
def test_a_cost_out_of_range_says_what_to_set(cost: int) -> None:
    with pytest.raises(ConfigError, match="EUDAI_AUTH_BCRYPT_COST"):
        BcryptHasher(cost)


def test_the_cost_comes_from_the_settings() -> None:
    assert bcrypt_hasher(SimpleContext(AuthSettings(bcrypt_cost=5))).hash("a").startswith("$2b$05$")
    assert AuthSettings().bcrypt_cost == 12
