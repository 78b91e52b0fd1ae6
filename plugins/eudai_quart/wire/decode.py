"""From bytes to values: strict, bounded, and with the path of what is wrong."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, TypeVar

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
_NUL: Final = b"\\u0000"


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
    try:
        result = msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    _check_texts(values)
    return result


def decode(raw: bytes | str, kind: Any) -> Any:
    """Return JSON as ``kind``; see read_json."""
    try:
        if isinstance(raw, str):
            raw = raw.encode()
        value = _decoder(kind).decode(raw)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise InvalidInput(f"This is no JSON in UTF-8: {_plain(error)}.", errors=(_whole(),)) from None
    except RecursionError:
        raise InvalidInput("This JSON is nested too deeply.", errors=(_whole(),)) from None
    if _NUL in raw:
        _check_texts(msgspec.to_builtins(value))
    return value


@lru_cache(maxsize=64)
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _plain(error: Exception) -> str:
    return "a byte is no UTF-8" if isinstance(error, UnicodeError) else str(error).rstrip(".")


def _whole() -> FieldError:
    return FieldError("$", "is not valid JSON")


def _invalid(message: str) -> InvalidInput:
    match = _AT.match(message)
    what, path = (match["what"], match["path"] or "$") if match else (message, "$")
    named = _NAMED.search(what)
    if named:
        path = f"{path}.{named['name']}"
        what = "is not known" if "unknown" in what else "is missing"
    return InvalidInput(f"{path}: {what}.", errors=(FieldError(path, what),))


def _check_texts(value: object, path: str = "$") -> None:
    """Refuse NUL, which PostgreSQL cannot store, wherever a text has it."""
    if isinstance(value, str):
        if "\0" in value:
            problem = "holds a NUL character, which cannot be stored"
            raise InvalidInput(f"{path} {problem}.", errors=(FieldError(path, problem),))
    elif isinstance(value, dict):
        for name, member in value.items():
            _check_texts(name, path)
            _check_texts(member, f"{path}.{name}")
    elif isinstance(value, list):
        for index, member in enumerate(value):
            _check_texts(member, f"{path}[{index}]")
