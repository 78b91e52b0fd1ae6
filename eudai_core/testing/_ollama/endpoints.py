"""The endpoints of the scripted Ollama beside chat."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from eudai_core.testing._ollama.gojson import dumps
from eudai_core.testing._ollama.http import Connection
from eudai_core.testing._ollama.library import Library, ScriptedModel, canonical
from eudai_core.testing._ollama.request import RefusalError
from eudai_core.testing._ollama.signals import Gates

__all__ = ["embed", "pull", "show"]

_NDJSON = "application/x-ndjson"
_DIMENSIONS = 16
_STEPS = 4


def show(library: Library, body: Mapping[str, Any]) -> dict[str, Any]:
    """Answer ``POST /api/show``.

    Raises:
        RefusalError: the model is not named or not there.
    """
    return library.show(_named(library, body, "model '{}' not found"))


def embed(library: Library, body: Mapping[str, Any]) -> dict[str, Any]:
    """Answer ``POST /api/embed`` with vectors of length one that depend on the words alone.

    Raises:
        RefusalError: the model is not there, does not embed, or the input is too long and must not be cut.
    """
    model = _named(library, body, 'model "{}" not found, try pulling it first')
    if "embedding" not in model.capabilities:
        raise RefusalError(501, "this model does not support embeddings")
    given = body.get("input", "")
    texts: Sequence[str] = [given] if isinstance(given, str) else given
    limit = model.context_length or 2048
    words = [text.split() for text in texts]
    if body.get("truncate") is False and any(len(text) > limit for text in words):
        raise RefusalError(400, "the input length exceeds the context length")
    dimensions = int(body.get("dimensions") or _DIMENSIONS)
    cut = [text[:limit] for text in words]
    answer = {
        "model": model.name,
        "embeddings": [_vector(text, dimensions) for text in cut],
        "total_duration": 14143917,
        "load_duration": 1019500,
    }
    count = sum(len(text) for text in cut)
    return answer | ({"prompt_eval_count": count} if count else {})


async def pull(
    library: Library,
    gates: Gates,
    pullable: Mapping[str, ScriptedModel],
    body: Mapping[str, Any],
    connection: Connection,
) -> None:
    """Answer ``POST /api/pull``: a model of ``pullable`` is installed in steps, another fails under status 200.

    The gate ``pull`` stands in the middle of the download.
    """
    name = canonical(str(body.get("model") or body.get("name") or ""))
    model = pullable.get(name)
    lines = [{"status": "pulling manifest"}, *(_layers(model) if model else ())]
    await connection.begin(_NDJSON)
    for index, line in enumerate(lines):
        if index == _STEPS // 2:
            await gates.passing("pull")
        await connection.chunk(dumps(line) + b"\n")
    if model is None:
        await connection.chunk(dumps({"error": "pull model manifest: file does not exist"}) + b"\n")
    else:
        library.installed[name] = model
    await connection.end()


def _layers(model: ScriptedModel) -> list[dict[str, Any]]:
    digest = f"sha256:{model.digest}"
    lines: list[dict[str, Any]] = [{"status": f"pulling {model.digest[:12]}", "digest": digest, "total": model.size}]
    lines += [lines[0] | {"completed": model.size * step // _STEPS} for step in range(1, _STEPS + 1)]
    ends = ("verifying sha256 digest", "writing manifest", "removing unused layers", "success")
    return [*lines, *({"status": status} for status in ends)]


def _named(library: Library, body: Mapping[str, Any], missing: str) -> ScriptedModel:
    name = body.get("model") or body.get("name")
    if not isinstance(name, str) or not name:
        raise RefusalError(400, "model is required")
    model = library.find(name)
    if model is None:
        raise RefusalError(404, missing.format(canonical(name) if missing.startswith("model '") else name))
    return model


def _vector(words: Sequence[str], dimensions: int) -> list[float]:
    sums = [0.0] * dimensions
    for word in words or [""]:
        digest = hashlib.sha256(word.lower().encode()).digest()
        for axis in range(dimensions):
            sums[axis] += digest[axis % len(digest)] / 255 - 0.5
    length = math.sqrt(sum(value * value for value in sums)) or 1.0
    return [value / length for value in sums]
