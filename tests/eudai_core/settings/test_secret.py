from __future__ import annotations

import copy
import dataclasses
import json
import pickle

import pytest

from eudai_core.settings import Secret

HIDDEN = "correct horse battery staple"


def test_reveal_alone_gives_the_value_out() -> None:
    assert Secret(HIDDEN).reveal() == HIDDEN


def test_no_text_shows_it() -> None:
    secret = Secret(HIDDEN)
    holder = dataclasses.make_dataclass("Holder", ["secret"])(secret)
    for text in (repr(secret), str(secret), f"{secret}", f"{secret:>40}", f"{secret!r}", "%s" % secret, repr(holder)):  # noqa: UP031 -- the old way is meant
        assert HIDDEN not in text
        assert "horse" not in text
    assert "horse" not in repr([secret])


def test_it_is_not_serialised() -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(Secret(HIDDEN))
    with pytest.raises(TypeError):
        json.dumps(Secret(HIDDEN))
    with pytest.raises(TypeError):
        vars(Secret(HIDDEN))


def test_a_copy_is_the_same_secret() -> None:
    secret = Secret(HIDDEN)
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_equality_is_that_of_the_values() -> None:
    assert Secret(HIDDEN) == Secret(HIDDEN)
    assert Secret(HIDDEN) != Secret("other")
    assert Secret(1) == Secret(1)
    assert Secret(HIDDEN) != HIDDEN
    assert len({Secret(HIDDEN), Secret(HIDDEN)}) == 1


def test_an_empty_secret_is_false() -> None:
    assert not Secret("")
    assert Secret("x")
