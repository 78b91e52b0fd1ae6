"""Which tokenizer counts, and what happens when it fails."""

from __future__ import annotations

from eudai_core.context import TokenCounter


class _Fixed:
    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def count(self, text: str) -> int:
        return self.tokens


class _Broken:
    def count(self, text: str) -> int:
        raise RuntimeError("no vocabulary")


def test_a_model_s_own_tokenizer_is_asked_first() -> None:
    tokenizers = {"estimate": _Fixed(2), "own": _Fixed(3)}
    assert TokenCounter(tokenizers, "own").count("text") == 3
    assert TokenCounter(tokenizers, "other").count("text") == 2


def test_a_tokenizer_that_fails_is_replaced_and_named() -> None:
    counter = TokenCounter({"estimate": _Fixed(2), "own": _Broken()}, "own")
    assert [counter.count("a"), counter.count("b")] == [2, 2]
    assert counter.faults == ["tokenizer own raised RuntimeError"]


def test_without_any_tokenizer_bytes_are_counted_at_the_safe_end() -> None:
    assert TokenCounter({}, "m").count("世界") == 4
