"""Untrusted text, made harmless for a chat template and for our own framing.

A model's template joins messages with special tokens, and servers do not escape them: ``<|user|>`` inside a file would
begin a turn of its own. So a zero-width space (U+200B) is put behind the bracket of everything that looks like a
special token of a known family, and of the tags that frame segments (render.py). A reader sees no difference, the
tokenizer no longer finds the token. Done once; doing it again changes nothing.

Known families: ``<|…|>`` and ``<｜…｜>`` (ChatML, Llama 3, DeepSeek), ``<think>``, ``<s>`` and ``[INST]`` (Llama 2,
Mistral), ``<start_of_turn>`` (Gemma), the tool tags of Hermes and Qwen, fill-in-the-middle and image tokens.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["FRAMES", "neutralise"]

FRAMES: Final = ("source", "instruction", "outline", "summary", "note")
"""The tags that render.py puts around segments."""

_NAMES: Final = "|".join(
    (
        *FRAMES,
        r"think(?:ing)?|reasoning|answer",
        r"tools?|tool_\w+|function_\w+",
        r"(?:start|end)_of_\w+|(?:begin|end)▁of▁\w+",
        r"image(?:_\w+)?|audio|video|fim_\w+|repo_name|file_sep|unused_?\d+|reserved_\w+",
    )
)
_BRACKETED: Final = r"INST|SYS|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_\w+|IMG\w*|MODEL_SETTINGS|THINK|ARGS|CALL_ID"
_SPECIAL: Final = re.compile(
    r"<(?=\s*/?\s*[|｜])"
    rf"|<(?=\s*/?\s*(?:{_NAMES})\b)"
    r"|<(?=/?(?:s|bos|eos|pad|unk|mask|cls|sep)>)"
    r"|<(?=</?SYS>>)"
    rf"|\[(?=/?(?:{_BRACKETED})\])",
    re.IGNORECASE,
)


_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
"""What PostgreSQL or UTF-8 cannot hold: a prompt must be stored to be rebuilt."""


def neutralise(text: str) -> str:
    """Return ``text`` with U+200B behind the bracket of all that a template or a frame could take for its own.

    NUL and lone surrogates become U+FFFD.
    """
    return _SPECIAL.sub("\\g<0>\u200b", _UNSTORABLE.sub("\ufffd", text))
