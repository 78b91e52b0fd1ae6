"""What a run has come to: its live answer, its phase, its times, and the limit of its length."""

from __future__ import annotations

from typing import Any, Final

from eudai_core.chat import frames
from eudai_core.chat.answer import LiveAnswer, LiveText
from eudai_core.chat.channel import Channel
from eudai_core.chat.channels import Channels
from eudai_core.chat.endings import Ending
from eudai_core.chat.keeping import Keeping
from eudai_core.context import Assembly
from eudai_core.contracts import Clock
from eudai_core.errors import EudaiError, StreamBroken
from eudai_core.model import Chunk, Done, MessageStatus, Phase, Run, Usage
from eudai_core.services.fields import storable

__all__ = ["ANSWER_LENGTH", "Progress"]

ANSWER_LENGTH: Final = 1_000_000
"""Code points that an answer, or its thinking, may have: a model that never ends must not fill memory and disk."""
MOST_TOKENS: Final = 2**53
"""Counts from here on are none: not every reader of JSON keeps them."""


class Progress:
    """Takes the chunks of one answer, and tells the phases as they change."""

    def __init__(self, channels: Channels, channel: Channel, run: Run, live: LiveAnswer, clock: Clock) -> None:
        self._channels = channels
        self._channel = channel
        self._run = run
        self._live = live
        self._clock = clock
        self._phase: Phase | None = None
        self._done: Done | None = None
        self._assembly: Assembly | None = None
        self._begun: Final = clock.monotonic()
        self._first: float | None = None
        self._lengths: Final = {part.kind: len(part.text) for part in live.texts}
        self.keeping: Keeping | None = None
        self.closed = False
        """Whether nothing is taken any more: the answer has ended, and its backend was left behind."""

    def assembled(self, assembly: Assembly) -> None:
        """Know what the prompt was made of."""
        self._assembly = assembly

    def tell_context(self) -> None:
        """Tell what the prompt was made of."""
        if self._assembly is not None and not self.closed:
            ids = {"run_id": str(self._run.id), "message_id": str(self._run.answer_id)}
            self._channel.emit("context", {**ids, **self._assembly.summary}, self._run.id)

    def take(self, chunk: Chunk) -> None:
        """Take a chunk.

        Raises:
            StreamBroken: the answer is longer than any is kept; what fits was taken.
        """
        if isinstance(chunk.phase, Phase):
            self._tell(chunk.phase)
        if chunk.thinking:
            self._feed(Phase.THINKING, self._live.thinking, chunk.thinking)
        if chunk.text:
            self._feed(Phase.ANSWERING, self._live.text, chunk.text)
        if chunk.done is not None:
            self._done = chunk.done

    def ending(self, status: MessageStatus, error: EudaiError | None = None) -> Ending:
        """Return the end of the run as it is now."""
        segments = self._assembly.segments if self._assembly else ()
        return Ending(status, self._usage(), segments, None if error is None else frames.error_payload(error))

    def _feed(self, phase: Phase, part: LiveText, piece: str) -> None:
        if self._first is None:
            self._first = self._clock.monotonic()
        self._tell(phase)
        room = ANSWER_LENGTH - self._lengths[part.kind]
        self._lengths[part.kind] += len(piece)
        self._channels.feed(self._channel, part, storable(piece[: max(room, 0)]))
        if len(piece) > room:
            raise StreamBroken(f"The answer was ended at {ANSWER_LENGTH} characters, the most that is kept of one.")

    def _tell(self, phase: Phase) -> None:
        if phase is self._phase:
            return
        if not self._channel.may_number:
            return  # what numbers are left are for the end; more are on their way
        self._channel.flush()
        self._phase = phase
        payload: dict[str, Any] = {"run_id": str(self._run.id), "phase": str(phase)}
        if phase is Phase.READING and self._assembly is not None:
            payload["tokens"] = self._assembly.record.report.get("estimated_prompt_tokens")
        self._channel.emit("status", payload, self._run.id)

    def _usage(self) -> Usage:
        done = self._done or Done()
        now = self._clock.monotonic()
        return Usage(
            prompt_tokens=_count(done.prompt_tokens),
            completion_tokens=_count(done.completion_tokens),
            reused_prefix_tokens=_count(done.reused_prefix_tokens),
            duration_ms=round((now - self._begun) * 1000),
            first_token_ms=None if self._first is None else round((self._first - self._begun) * 1000),
        )


def _count(value: object) -> int | None:
    """Return a count as a backend of a plugin tells it; None where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_TOKENS else None
