"""The LLM backend ``extractive``."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Final

from eudai_core.context import strip_frames
from eudai_core.contracts import PluginContext
from eudai_core.model import ChatRequest, Chunk, Done, Health, HealthStatus, ModelInfo, Phase
from eudai_extractive.passages import Quotation, best_quotations

__all__ = ["NOTICE", "ExtractiveBackend", "extractive_backend"]

NAME: Final = "extractive"

NOTICE: Final = "No language model is running, so this is not a written answer but quotations from your material."
"""The first line of every answer."""

NOTHING: Final = (
    "Nothing in this project's files and instructions matches the question. Ask with words that stand in them, or add "
    "a file. For written answers install Ollama (https://ollama.com), run `ollama pull deepseek-r1`, and choose that "
    "model."
)

_WORD: Final = re.compile(r"\s*\S+\s*|\s+")
_TOKEN: Final = re.compile(r"\w+|[^\w\s]")


class ExtractiveBackend:
    """Answers by quoting the sentences of ``request.segments`` that match; see eudai_core.contracts.LLMBackend."""

    def __init__(self, run_blocking: Callable[..., Any]) -> None:
        """Search in threads that ``run_blocking(function, *arguments)`` provides."""
        self._run_blocking = run_blocking

    async def models(self) -> Sequence[ModelInfo]:
        """Return the one model, which is none."""
        return (
            ModelInfo(
                name=NAME,
                backend=NAME,
                window=32_768,
                capacity=8,
                description="No language model: quotes the passages that match the question.",
                is_language_model=False,
            ),
        )

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk]:
        """Give the answer word by word; closing the iterator ends it at once."""
        yield Chunk(phase=Phase.READING)
        answer, prompt_tokens = await self._run_blocking(_answer, request)
        yield Chunk(phase=Phase.ANSWERING)
        count = 0
        reason = "stop"
        for match in _WORD.finditer(answer):
            tokens = _count(match.group())
            if count + tokens > request.max_answer_tokens:
                reason = "length"
                break
            count += tokens
            yield Chunk(text=match.group())
            await asyncio.sleep(0)  # other answers get their turn between two words
        yield Chunk(done=Done(reason=reason, prompt_tokens=prompt_tokens, completion_tokens=count))

    async def health(self) -> Health:
        """Tell that all is well: there is nothing that could fail."""
        return Health(HealthStatus.OK, "quotes; no language model")

    async def aclose(self) -> None:
        """Do nothing: no resource is held."""


def _count(text: str) -> int:
    """Count tokens as this backend understands them: words and marks."""
    return len(_TOKEN.findall(text))


def _answer(request: ChatRequest) -> tuple[str, int]:
    """Return what is still to be said, and the size of the prompt in tokens."""
    quotations = best_quotations(request.segments, request.question, _earlier_questions(request))
    answer = "\n\n".join([NOTICE, *map(_quoted, quotations)] if quotations else [NOTICE, NOTHING])
    return _rest(answer, _begun(request)), sum(_count(message.content) for message in request.messages)


def _begun(request: ChatRequest) -> str:
    """Return the beginning of the answer when one is continued."""
    last = request.messages[-1] if request.messages else None
    return last.content.replace("\u200b", "") if last is not None and last.role == "assistant" else ""


def _rest(answer: str, begun: str) -> str:
    """Return what follows on ``begun``; when the material changed since, the new quotations follow as they are."""
    if answer.startswith(begun):
        return answer[len(begun) :]
    return "\n\n" + answer.removeprefix(NOTICE).lstrip()


def _earlier_questions(request: ChatRequest) -> list[str]:
    """Return what the user asked before, oldest first.

    The last answer is left out: it was made of quotations, whose words stand in the material already.
    """
    asked = [strip_frames(message.content) for message in request.messages if message.role == "user"]
    return asked[:-1]


def _quoted(quotation: Quotation) -> str:
    flat = " ".join(quotation.text.replace("\u200b", "").split())
    mark = f" [{quotation.id}]" if quotation.id else ""
    source = f"{quotation.name}: " if quotation.name else ""
    return f"{source}“{flat}”{mark}"


def extractive_backend(context: PluginContext) -> ExtractiveBackend:
    """Make the backend."""
    return ExtractiveBackend(context.run_blocking)
