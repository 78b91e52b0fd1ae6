"""kill -9 under eight concurrent writers, many rounds on the same data, on SQLite and on PostgreSQL.

Each round, users create, upload, rename, delete, ask, stop and regenerate over HTTP and WebSockets until the server is
killed at a moment drawn by lot. The next process must have every acknowledged write, end every run, answer a command
that is sent again by what became of it, and leave no row that belongs to nothing: else this stops with the seed and the
round. The figures say what the kills cost.

    python benchmarks/endurance/kill_writers.py --rounds 50 --seed 1
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from support.crash_rounds import KEPT_S, RoundFigures, kill_rounds
from support.postgres import migrate, sqlite_file_url
from support.postgres_server import own_server


@contextmanager
def database(dialect: str, directory: Path) -> Iterator[str]:
    """Give a migrated database."""
    if dialect == "sqlite":
        url = sqlite_file_url(directory / "eudai.db")
        asyncio.run(migrate(url))
        yield url
        return
    with contextmanager(own_server)() as server:
        url = server.create_database()
        asyncio.run(migrate(url))
        yield url


def summary(rounds: Sequence[RoundFigures]) -> dict[str, Any]:
    """Return what the rounds came to together."""
    answers: Counter[str] = sum((found.answers for found in rounds), Counter())
    lost = sorted(found.lost_s for found in rounds)
    return {
        "rounds": len(rounds),
        "acknowledged writes": sum(found.acknowledged for found in rounds),
        "answers complete": answers["complete"],
        "answers interrupted": answers["interrupted"],
        "answers stopped": answers["stopped"],
        "most lost of an answer's end, median round (ms)": round(statistics.median(lost) * 1000),
        "most lost of an answer's end, worst round (ms)": round(lost[-1] * 1000),
        f"answers that lost more than {KEPT_S * 1000:.0f} ms": sum(found.late for found in rounds),
        "start, median (s)": round(statistics.median(found.start_s for found in rounds), 2),
        "all runs ended after the start, median (s)": round(statistics.median(f.recovery_s for f in rounds), 2),
        "all runs ended after the start, worst (s)": round(max(found.recovery_s for found in rounds), 2),
        "blobs on the disk that no row names, at the end": rounds[-1].unnamed_blobs,
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--dialect", choices=["sqlite", "postgresql"], action="append")
    parser.add_argument("--most-lost", type=float, default=2.0, help="seconds; more than that lost is a failure")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("support.crash_rounds").setLevel(logging.INFO)
    found = {}
    for dialect in options.dialect or ["sqlite", "postgresql"]:
        with tempfile.TemporaryDirectory() as name, database(dialect, Path(name)) as url:
            rounds = kill_rounds(
                Path(name) / "data",
                url,
                seed=options.seed,
                rounds=options.rounds,
                writers=options.writers,
                most_lost_s=options.most_lost,
            )
            found[dialect] = summary(asyncio.run(rounds))
    if options.json:
        print(json.dumps(found))
        return
    print(f"| {' | '.join(['figure', *found])} |\n|---{'|---:' * len(found)}|")
    for figure in next(iter(found.values())):
        print(f"| {' | '.join([figure, *(str(values[figure]) for values in found.values())])} |")


if __name__ == "__main__":
    main()
