"""The default parts of context assembly: two sources, a chunker, a ranker, a budgeter and a token estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eudai_core.hooks import hookimpl

if TYPE_CHECKING:
    from eudai_core.contracts import Chunker, ContextBudgeter, ContextRanker, ContextSource, Registrar, Tokenizer

__all__ = ["ContextPlugin", "plugin"]


class ContextPlugin:
    """Registers the sources ``instructions`` and ``files``, and the defaults for cutting, ranking and counting."""

    eudai_api = (0, 1)

    @hookimpl
    def eudai_register_context_sources(self, register: Registrar[ContextSource]) -> None:
        """Register ``instructions`` and ``files``."""
        register("instructions", "eudai_context.instructions:instruction_source")
        register("files", "eudai_context.files:file_source")

    @hookimpl
    def eudai_register_chunkers(self, register: Registrar[Chunker]) -> None:
        """Register ``paragraphs``."""
        register("paragraphs", "eudai_context.paragraphs:paragraph_chunker")

    @hookimpl
    def eudai_register_context_rankers(self, register: Registrar[ContextRanker]) -> None:
        """Register ``score``."""
        register("score", "eudai_context.ranking:score_ranker")

    @hookimpl
    def eudai_register_context_budgeters(self, register: Registrar[ContextBudgeter]) -> None:
        """Register ``shares``."""
        register("shares", "eudai_context.shares:share_budgeter")

    @hookimpl
    def eudai_register_tokenizers(self, register: Registrar[Tokenizer]) -> None:
        """Register ``estimate``."""
        register("estimate", "eudai_context.estimate:estimate_tokenizer")


plugin = ContextPlugin()
