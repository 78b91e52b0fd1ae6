"""The settings of the section ``ollama``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from eudai_core.settings import Secret, setting

__all__ = ["OllamaSettings"]


@dataclass(frozen=True, slots=True)
class OllamaSettings:
    """Where Ollama is and how it is used. Times are in seconds, sizes in tokens."""

    host: str = setting(
        "127.0.0.1:11434",
        "Address of Ollama: HOST, HOST:PORT or a URL; 0.0.0.0 stands for this machine.",
        aliases=("OLLAMA_HOST", "OLLAMA_BASE_URL"),
    )
    api_key: Secret[str] | None = setting(None, "Key sent as a bearer token, for Ollama behind a proxy or its cloud.")
    window: int | None = setting(
        None,
        "Window of every model (num_ctx), capped at what the model was trained for; by default 8192.",
        minimum=256,
    )
    max_answer_tokens: int | None = setting(
        None,
        "Most tokens of an answer, thinking included; by default 4096 for models that think, else 2048.",
        minimum=16,
    )
    capacity: int = setting(
        2,
        "Answers asked of Ollama at once; one more than its OLLAMA_NUM_PARALLEL keeps it busy.",
        minimum=1,
        maximum=256,
    )
    keep_alive: str = setting(
        "30m", "How long an idle model stays loaded: a duration such as 30m, seconds, or -1 for ever."
    )
    connect_timeout: float = setting(2.5, "Longest wait for a connection.", minimum=0.1)
    first_byte_timeout: float = setting(
        300.0, "Longest wait for the first piece: queue, loading and reading the prompt together.", minimum=1
    )
    idle_timeout: float = setting(90.0, "Longest wait between two pieces.", minimum=1)
    wedge_timeout: float = setting(
        150.0,
        "Wait for the first piece after which a loaded model with nothing else to do is unloaded once; 0 is never.",
        minimum=0,
    )
    think: Literal["auto", "on", "off", "low", "medium", "high", "max"] = setting(
        "auto", "Whether models that can think do, when a request does not say: auto leaves it to the model."
    )
