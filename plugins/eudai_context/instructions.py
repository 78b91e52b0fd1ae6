"""The source of a project's standing instructions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from eudai_core.contracts import PluginContext, Storage
from eudai_core.model import ContextQuery, Instruction, Origin, Segment, SegmentKind, Stability

__all__ = ["InstructionSource", "instruction_source"]


class InstructionSource:
    """Offers every enabled instruction; see eudai_core.contracts.ContextSource."""

    def __init__(self, storage: Storage) -> None:
        """Read from ``storage``."""
        self._storage = storage

    async def collect(self, query: ContextQuery) -> Sequence[Segment]:
        """Return the enabled instructions in the order of their position, then of creation."""
        async with self._storage.unit_of_work(readonly=True) as work:
            instructions = await work.documents.list_instructions(query.project_id)
        wanted = [one for one in instructions if one.enabled and one.instruction_text.strip()]
        return [_segment(one, place) for place, one in enumerate(wanted)]


def _segment(instruction: Instruction, place: int) -> Segment:
    short = hashlib.sha256(str(instruction.id).encode()).hexdigest()[:7]
    return Segment(
        kind=SegmentKind.INSTRUCTION,
        text=instruction.instruction_text.strip(),
        origin=Origin("instruction", str(instruction.id), version=instruction.version),
        stability=Stability.STATIC,
        id=f"i{short}",
        order=(place,),
        required=True,
        reason="instruction of the project",
    )


def instruction_source(context: PluginContext) -> InstructionSource:
    """Make the source."""
    return InstructionSource(context.storage)
