"""The lines of an answer, turned into chunks."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from eudai_core.model import Chunk, Done, Phase
from eudai_ollama.faults import broken, line_error
from eudai_ollama.thinking import Separator
from eudai_ollama.wire import ChatLine

__all__ = ["AnswerReader"]

_LINE = msgspec.json.Decoder(ChatLine)


class AnswerReader:
    """Reads the lines of one answer in order, until ``ended``."""

    def __init__(self, separator: Separator) -> None:
        """Separate what is left of thinking in the content by ``separator``."""
        self._separator = separator
        self._phase: Phase | None = None
        self._given = False
        self.ended = False
        """Whether the line with ``done`` came; nothing after it is read."""

    def read(self, line: bytes) -> Sequence[Chunk]:
        """Return the chunks that a line holds: a new phase before its first piece, thinking before text, the end last.

        Raises:
            ContextTooLong: the line is that error, before any piece.
            StreamBroken: the line is another error, or none of Ollama's.
        """
        try:
            parsed = _LINE.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise broken("Ollama sent something that is no part of an answer") from error
        if parsed.error is not None:
            raise line_error(parsed.error, given=self._given)
        chunks: list[Chunk] = []
        message = parsed.message
        if message is not None:
            if message.thinking:
                self._separator.separated()
                self._add(chunks, message.thinking, "")
            if message.content:
                if self._separator.passing:
                    self._add(chunks, "", message.content)
                else:
                    self._add(chunks, *self._separator.feed(message.content))
        if parsed.done:
            self._add(chunks, *self._separator.end(cut=parsed.done_reason == "length"))
            self.ended = True
            chunks.append(Chunk(done=_done(parsed)))
        return chunks

    def _add(self, chunks: list[Chunk], thinking: str, text: str) -> None:
        if thinking:
            self._enter(chunks, Phase.THINKING)
            chunks.append(Chunk(thinking=thinking))
        if text:
            self._enter(chunks, Phase.ANSWERING)
            chunks.append(Chunk(text=text))

    def _enter(self, chunks: list[Chunk], phase: Phase) -> None:
        if phase is not self._phase:
            self._phase = phase
            self._given = True
            chunks.append(Chunk(phase=phase))


def _done(line: ChatLine) -> Done:
    return Done(
        reason="length" if line.done_reason == "length" else "stop",
        prompt_tokens=line.prompt_eval_count or None,
        completion_tokens=line.eval_count or None,
        reused_prefix_tokens=line.prompt_eval_cached_count or None,
    )
