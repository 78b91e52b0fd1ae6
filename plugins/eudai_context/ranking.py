"""The ranker ``score``: the best score first."""

from __future__ import annotations

from collections.abc import Sequence

from eudai_core.contracts import PluginContext
from eudai_core.model import ContextQuery, Segment

__all__ = ["ScoreRanker", "score_ranker"]


class ScoreRanker:
    """Ranks by the scores that the sources gave; see eudai_core.contracts.ContextRanker.

    Segments without a score come first: their source offers them for what they are, not for how well they match.
    """

    async def rank(self, query: ContextQuery, segments: Sequence[Segment]) -> Sequence[Segment]:
        """Return the segments by falling score; those of equal score stay in their order."""
        return sorted(segments, key=lambda segment: (segment.score is not None, -(segment.score or 0.0)))


def score_ranker(context: PluginContext) -> ScoreRanker:
    """Make the ranker."""
    return ScoreRanker()
