"""Cursors that are well-formed and still none of ours. What projects do is checked by the conformance suite."""

from __future__ import annotations

import base64

import pytest

from eudai_core.errors import InvalidInput
from eudai_sql import keyset


@pytest.mark.parametrize(
    "packed",
    [b"\x7f" + b"\xff" * 23, b"\x80" + b"\x00" * 23, b"\x00" * 23, b"\x00" * 25],
    ids=lambda raw: raw[:1].hex(),
)
def test_cursor_that_is_no_position_is_invalid_input(packed: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        keyset.position(base64.urlsafe_b64encode(packed).decode())
    assert [error.path for error in caught.value.errors] == ["$.cursor"]


@pytest.mark.parametrize("packed", [b"", b"\x00" * 3, b"\x00" * 5, b"\x00" * 24], ids=len)
def test_cursor_that_is_no_number_is_invalid_input(packed: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        keyset.number_position(base64.urlsafe_b64encode(packed).decode())
    assert [error.path for error in caught.value.errors] == ["$.cursor"]
