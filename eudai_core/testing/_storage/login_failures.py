"""Log-ins that failed."""

from __future__ import annotations

import asyncio
from typing import Final

from eudai_core.model import Failures
from eudai_core.testing._storage.keeping import must_equal
from eudai_core.testing._storage.rows import NOW, Rows, at
from eudai_core.testing._storage.values import AWKWARD

__all__ = ["check_failures_at_once", "check_forgetting_failures", "check_login_failures"]

_KEYS: Final = ("address 192.0.2.1", "account ada", "z", "Z", "é")


async def check_login_failures(rows: Rows) -> None:
    """Failures are counted by key, until they are cleared or too old."""
    async with rows.writing() as work:
        must_equal(await work.login_failures.add(["a", "b"], at=at(1), forget_before=NOW), _each("ab", 1, 1), "first")
        counted = await work.login_failures.add(["b", "c", "b"], at=at(2), forget_before=at(1))
        must_equal(counted, _each("b", 2, 2) | _each("c", 1, 2), "each key counts one more failure")
    async with rows.writing() as work:
        found = await work.login_failures.get(["a", "b", "nobody"])
        must_equal(found, _each("a", 1, 1) | _each("b", 2, 2), "keys without failures are missing")
        counted = await work.login_failures.add(["a", "b"], at=at(5), forget_before=at(2))
        must_equal(counted, _each("a", 1, 5) | _each("b", 3, 5), "a count whose last is older begins anew")
        counted = await work.login_failures.add(["a"], at=at(4), forget_before=at(2))
        must_equal(counted, _each("a", 2, 5), "the last failure is the latest, in whatever order they are counted")
        await work.login_failures.clear(["a", "nobody"])
        must_equal(await work.login_failures.get(list("abc")), _each("b", 3, 5) | _each("c", 1, 2), "one is cleared")
        for nothing in (
            await work.login_failures.get([]),
            await work.login_failures.add([], at=NOW, forget_before=NOW),
        ):
            must_equal(nothing, {}, "of no keys nothing is known")
        await work.login_failures.clear([])
        await work.login_failures.add(AWKWARD, at=NOW, forget_before=NOW)
        must_equal(await work.login_failures.get(AWKWARD), _each(AWKWARD, 1, 0), "keys are told apart exactly")


async def check_forgetting_failures(rows: Rows) -> None:
    """Failures that are old enough are forgotten."""
    async with rows.writing() as work:
        for number, key in enumerate("abc"):
            await work.login_failures.add([key], at=at(number), forget_before=NOW)
        must_equal(await work.login_failures.forget(before=at(1)), 1, "those whose last failure is older are counted")
        must_equal(await work.login_failures.get(list("abc")), _each("b", 1, 1) | _each("c", 1, 2), "others are kept")


async def check_failures_at_once(rows: Rows) -> None:
    """No failure is lost when many are counted and cleared at once, in whatever order the keys are given."""

    async def fail(number: int) -> int:
        turned = [*_KEYS[number % 5 :], *_KEYS[: number % 5]]
        async with rows.writing(rows.handle(number)) as work:
            counted = await work.login_failures.add(turned[:: -1 if number % 2 else 1], at=at(1), forget_before=NOW)
            return counted[_KEYS[0]].count

    told = await asyncio.gather(*map(fail, range(12)))
    must_equal(sorted(told), list(range(1, 13)), "every caller is told another count")
    async with rows.reading() as work:
        must_equal(await work.login_failures.get(_KEYS), _each(_KEYS, 12, 1), "no failure is lost")

    async def clear(number: int) -> None:
        async with rows.writing(rows.handle(number)) as work:
            await work.login_failures.clear(_KEYS[:: -1 if number % 2 else 1])

    await asyncio.gather(*map(fail, range(5)), *map(clear, range(5)), *map(fail, range(5)))
    async with rows.writing() as work:
        await work.login_failures.clear(_KEYS)
        must_equal(await work.login_failures.get(_KEYS), {}, "what was cleared is cleared")


def _each(keys: str | tuple[str, ...], count: int, seconds: float) -> dict[str, Failures]:
    return dict.fromkeys(keys, Failures(count, at(seconds)))
