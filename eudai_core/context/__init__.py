"""Context assembly: from segments, history and a question to the exact messages of a prompt, with the reasons.

The heart (``composition``) is pure: the same input gives the same bytes. Around it stand the assembler, which loads
records and asks plugins, the report, which rebuilds what a model saw, and the check of citations.
"""

from eudai_core.context.assembler import ContextAssembler
from eudai_core.context.assembly import Assembly, AssemblyRequest
from eudai_core.context.citations import check_citations
from eudai_core.context.counting import TokenCounter
from eudai_core.context.render import strip_frames
from eudai_core.context.report import context_report
from eudai_core.context.specials import neutralise

__all__ = [
    "Assembly",
    "AssemblyRequest",
    "ContextAssembler",
    "TokenCounter",
    "check_citations",
    "context_report",
    "neutralise",
    "strip_frames",
]
