"""What a piece of an answer costs on its way from Ollama: the backend against a bare aiohttp reader, in CPU time.

A scripted Ollama runs in a process of its own and streams at a steady pace, so that the CPU time of this process is
the client's alone. Both clients read the same answers, alternately; the figures are medians over the rounds.

    python benchmarks/ollama_stream.py --streams 50 --pace 100 --pieces 200 --rounds 5
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp

from eudai_core.clock import SystemClock
from eudai_core.model import ModelInfo
from eudai_core.testing import chat_request
from eudai_ollama.backend import OllamaBackend
from eudai_ollama.settings import OllamaSettings

MODEL = ModelInfo(name="deepseek-r1:latest", backend="ollama", window=8192, capabilities=frozenset({"thinking"}))

Read = Callable[[], Awaitable[int]]


async def script(url: str, arguments: argparse.Namespace) -> None:
    """Queue one round of answers."""
    pieces = [{"thinking": "hm "}, *({"content": f"word{number} "} for number in range(arguments.pieces - 1))]
    order = {"reply": {"steps": pieces, "pace": arguments.pace}}
    async with aiohttp.ClientSession() as http, http.post(f"{url}/_script", json=[order] * arguments.streams) as answer:
        answer.raise_for_status()


async def round_of(read: Read, streams: int) -> float:
    """Return the CPU microseconds a piece of ``streams`` concurrent answers."""
    before = time.process_time()
    pieces = sum(await asyncio.gather(*(read() for _ in range(streams))))
    return (time.process_time() - before) / pieces * 1e6


async def bare(session: aiohttp.ClientSession, url: str, body: bytes) -> int:
    """Read an answer with aiohttp alone: bytes cut into lines, nothing decoded."""
    lines, rest = 0, b""
    async with session.post(f"{url}/api/chat", data=body) as response:
        async for data in response.content.iter_any():
            parts = (rest + data).split(b"\n")
            rest = parts.pop()
            lines += len(parts)
    return lines


async def backend_pieces(backend: OllamaBackend) -> int:
    """Read an answer with the backend."""
    pieces = 0
    async for chunk in backend.stream(chat_request(MODEL)):
        pieces += chunk.phase is None
    return pieces


async def measure(url: str, arguments: argparse.Namespace) -> tuple[list[float], list[float]]:
    """Return the figures of both, round by round."""
    backend = OllamaBackend(OllamaSettings(host=url), SystemClock())
    request = {"model": MODEL.name, "messages": [{"role": "user", "content": "Hi"}]}
    body = json.dumps(request | {"shift": False, "truncate": False, "options": {"num_ctx": MODEL.window}}).encode()
    bares, backends = [], []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        for _ in range(arguments.rounds):
            await script(url, arguments)
            bares.append(await round_of(lambda: bare(session, url, body), arguments.streams))
            await script(url, arguments)
            backends.append(await round_of(lambda: backend_pieces(backend), arguments.streams))
    await backend.aclose()
    return bares, backends


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--pace", type=float, default=100.0, help="pieces a second of one answer; 0: no pace")
    parser.add_argument("--pieces", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    arguments.pace = arguments.pace or None
    command = [sys.executable, "-m", "eudai_core.testing.scripted_ollama", "--slots", str(arguments.streams)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            url = (server.stdout.readline() if server.stdout else "").strip()
            if arguments.uvloop:
                import uvloop

                bares, backends = uvloop.run(measure(url, arguments))
            else:
                bares, backends = asyncio.run(measure(url, arguments))
        finally:
            server.terminate()
    report(bares, backends, as_json=arguments.json)


def report(bares: list[float], backends: list[float], *, as_json: bool) -> None:
    """Print the figures."""
    one, other = statistics.median(bares), statistics.median(backends)
    if as_json:
        print(json.dumps({"bare_us": one, "backend_us": other, "above_us": other - one}))
        return
    print("| CPU us a piece | median | least | most |\n|---|---|---|---|")
    for name, figures in (("bare aiohttp", bares), ("backend", backends)):
        print(f"| {name} | {statistics.median(figures):.1f} | {min(figures):.1f} | {max(figures):.1f} |")
    print(f"\nThe backend costs {other - one:.1f} us a piece above a bare reader.")


if __name__ == "__main__":
    main()
