"""Counting tokens with whatever tokenizer there is for a model."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from eudai_core.contracts import Tokenizer

__all__ = ["ESTIMATE", "TokenCounter"]

ESTIMATE: Final = "estimate"
"""The name of the tokenizer that counts for models without one of their own."""

_log = logging.getLogger(__name__)


class TokenCounter:
    """Counts for one model: by the tokenizer of its name, else by ``estimate``, else by bytes.

    A tokenizer that raises is not asked again by this counter; ``faults`` says what happened.
    """

    def __init__(self, tokenizers: Mapping[str, Tokenizer], model: str) -> None:
        """Choose the tokenizers to ask, best first."""
        self._tokenizers = [(name, tokenizers[name]) for name in (model, ESTIMATE) if name in tokenizers]
        self.faults: list[str] = []

    def count(self, text: str) -> int:
        """Return the tokens of ``text``; an estimate errs upwards."""
        while self._tokenizers:
            name, tokenizer = self._tokenizers[0]
            try:
                return tokenizer.count(text)
            except Exception as error:  # a plugin may raise anything; the next counter takes over
                self.faults.append(f"tokenizer {name} raised {type(error).__name__}")
                _log.warning("The tokenizer %s failed and is not asked again in this turn.", name, exc_info=error)
                del self._tokenizers[0]
        # A byte-pair tokenizer starts from bytes; two to a token is the safe end for every script.
        return len(text.encode("utf-8", "surrogatepass")) // 2 + 1
