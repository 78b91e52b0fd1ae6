"""Text tools shared by search, context assembly and the extractive backend: terms, queries, sentences.

There is one tokeniser for the whole program, so that what was indexed and what is asked always meet.
"""

from __future__ import annotations

from eudai_core.text.queries import query_terms
from eudai_core.text.sentences import sentences
from eudai_core.text.snippets import snippet
from eudai_core.text.stems import stem
from eudai_core.text.terms import content_terms, tokenise

__all__ = ["content_terms", "query_terms", "sentences", "snippet", "stem", "tokenise"]
