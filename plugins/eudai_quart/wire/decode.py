"""From bytes to values: strict, bounded, and with the path of what is wrong."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any, Final, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
from quart import request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import UnsupportedMediaType

from eudai_core.errors import FieldError, InvalidInput
from eudai_quart.body import JSON_LIMIT, Body

__all__ = ["decode", "query", "read_json"]

T = TypeVar("T")
_AT: Final = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_NAMED: Final = re.compile(r"(?:unknown|required) field `(?P<name>[^`]*)`")
_BOUNDS: Final = (
    (re.compile(r"Expected `\w+` of length >= 1"), "must not be empty"),
    (re.compile(r"Expected `str` matching regex '\\\\S'"), "must not be empty"),
    (re.compile(r"Expected `str` of length >= (\d+)"), "needs at least {} characters"),
    (re.compile(r"Expected `str` of length <= (\d+)"), "is longer than {} characters"),
    (re.compile(r"Expected `\w+` of length <= (\d+)"), "has more than {} members"),
    (re.compile(r"Expected `(?:int|float)` >= (\S+)"), "must be at least {}"),
    (re.compile(r"Expected `(?:int|float)` <= (\S+)"), "must be at most {}"),
)
"""What msgspec says of a value out of bounds, and the words of our services for the same."""
_NUL: Final = b"\\u0000"
_LONGEST_PATH: Final = 200


async def read_json(kind: type[T], *, optional: bool = False) -> T:
    """Return the request's body as ``kind``; with ``optional`` no body is an empty object.

    Raises:
        InvalidInput: it is no JSON in UTF-8, or not of this kind.
        RequestEntityTooLarge: it is over 1 MB.
        UnsupportedMediaType: it is not declared as JSON.
    """
    body: Body = request.body  # type: ignore[assignment]  # see eudai_quart.body.Request
    body.limit = JSON_LIMIT
    if request.mimetype != "application/json":
        # What declares no JSON may still be no body at all: then its declared type means nothing.
        if not optional or await body:
            raise UnsupportedMediaType
        return decode(b"{}", kind)  # type: ignore[no-any-return]  # of this kind
    raw = await body
    value: T = decode(raw or b"{}" if optional else raw, kind)
    return value


def query(kind: type[T], args: MultiDict[str, str] | None = None) -> T:
    """Return a query, the current request's by default, as ``kind``; of a repeated parameter the first counts.

    Raises:
        InvalidInput: a parameter is unknown or has the wrong form.
    """
    values = (request.args if args is None else args).to_dict()
    if args is None:
        _check_query(request.query_string)
    try:
        result = msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    _check_texts(values)
    return result


def _check_query(raw: bytes) -> None:
    """Refuse what is no UTF-8: werkzeug puts another character in its place."""
    try:
        unquote_to_bytes(raw).decode()
    except UnicodeError:
        problem = "holds a byte that is no UTF-8"
        raise InvalidInput(f"The query {problem}.", errors=(FieldError("$", problem),)) from None


def decode(raw: bytes | str, kind: Any) -> Any:
    """Return JSON as ``kind``; see read_json."""
    try:
        if isinstance(raw, str):
            raw = raw.encode()
        value = _decoder(kind).decode(raw)
        # One colon is one member at most: nothing can be there twice.
        plain = _plain_value(raw) if _NUL in raw or raw.count(b":") > 1 else None
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, ValueError) as error:
        raise InvalidInput(f"This is no JSON in UTF-8: {_plain(error)}.", errors=(_whole(),)) from None
    except RecursionError:
        raise InvalidInput("This JSON is nested too deeply.", errors=(_whole(),)) from None
    _check_texts(plain)
    return value


class _Twice(dict[str, Any]):
    """An object with a member that is there twice: its name."""

    name = ""


def _plain_value(raw: bytes) -> Any:
    """Return what JSON says when it is read once more: of two members with one name, msgspec takes the last."""
    odd = _NUL in raw

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal odd
        members = dict(pairs)
        if len(members) == len(pairs):
            return members
        odd = True
        twice = _Twice(members)
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                twice.name = name
                break
            seen.add(name)
        return twice

    value = json.loads(raw.decode(), object_pairs_hook=collect)
    return value if odd else None


@lru_cache(maxsize=64)
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _plain(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "a byte is no UTF-8"
    return str(error).rstrip(".") if isinstance(error, msgspec.DecodeError) else "a number has too many digits"


def _whole() -> FieldError:
    return FieldError("$", "is not valid JSON")


def _invalid(message: str) -> InvalidInput:
    match = _AT.match(message)
    what, path = (match["what"], match["path"] or "$") if match else (message, "$")
    named = _NAMED.search(what)
    if named:
        path = f"{path}.{named['name']}"
        what = "is not known" if "unknown" in what else "is missing"
    for bound, words in _BOUNDS:
        if found := bound.fullmatch(what):
            what = words.format(*found.groups())
            return InvalidInput(f"{path} {what}.", errors=(FieldError(path, what),))
    return InvalidInput(f"{path}: {what}.", errors=(FieldError(path, what),))


def _check_texts(value: object) -> None:
    """Refuse members that are there twice, and NUL, which PostgreSQL cannot store, wherever a text has it."""
    waiting: list[tuple[str, object]] = [("$", value)]
    while waiting:  # no recursion: JSON may be nested as deeply as its decoder allows
        path, found = waiting.pop()
        if isinstance(found, str) and "\0" in found:
            raise _wrong(path, "holds a NUL character, which cannot be stored")
        if isinstance(found, _Twice):
            raise _wrong(f"{path}.{found.name}", "is there twice")
        if isinstance(found, dict):
            waiting += [(path, name) for name in found]
            waiting += [(f"{path}.{name}", member) for name, member in found.items()]
        elif isinstance(found, list):
            waiting += [(f"{path}[{index}]", member) for index, member in enumerate(found)]


def _wrong(path: str, problem: str) -> InvalidInput:
    path = path.replace("\0", "\\0")[:_LONGEST_PATH]
    return InvalidInput(f"{path} {problem}.", errors=(FieldError(path, problem),))
