"""How long eudai takes to start, and what it holds when nobody asks anything.

Measures, as medians: the processor time of ``eudai --help`` (goal: under 150 ms); wall and processor time from
``eudai serve`` on an existing data directory to the first 200 of ``/api/health`` (goals: under 2 s and 1.5 s); and the
resident memory two seconds later (goal: under 100 MB). Linux only: processor time and memory come from /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

EUDAI = [sys.executable, "-m", "eudai_core.cli"]
TICKS = os.sysconf("SC_CLK_TCK")
GOALS = {"help_cpu_s": 0.15, "serve_wall_s": 2.0, "serve_cpu_s": 1.5, "idle_rss_mb": 100.0}


def help_cpu() -> float:
    """Return the processor seconds of ``eudai --help``."""
    process = subprocess.Popen([*EUDAI, "--help"], stdout=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return usage.ru_utime + usage.ru_stime


def serve(directory: str) -> dict[str, float]:
    """Start a server, wait for its health, let it idle, and stop it."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [*EUDAI, "serve", "--port", "0", "--data-dir", directory], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    url = process.stdout.readline().split()[-1]
    while not _healthy(url):
        time.sleep(0.005)
    figures = {"serve_wall_s": time.perf_counter() - begun, "serve_cpu_s": _cpu(process.pid)}
    time.sleep(2)
    figures["idle_rss_mb"] = _rss(process.pid)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    return figures


def measure(runs: int) -> dict[str, float]:
    """Return the median of each figure."""
    figures: dict[str, list[float]] = {"help_cpu_s": [help_cpu() for _ in range(runs + 1)][1:]}
    with tempfile.TemporaryDirectory() as directory:
        serve(directory)  # makes the database and warms the caches
        for _ in range(runs):
            for name, value in serve(directory).items():
                figures.setdefault(name, []).append(value)
    return {name: round(statistics.median(values), 3) for name, values in figures.items()}


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/api/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / TICKS


def _rss(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError("no VmRSS in /proc")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options.runs)
    if options.json:
        print(json.dumps(figures))
        return
    print("| figure | median | goal |\n|---|---:|---:|")
    for name, value in figures.items():
        print(f"| {name} | {value} | {GOALS[name]} |")


if __name__ == "__main__":
    main()
