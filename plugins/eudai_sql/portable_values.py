"""Values between the two databases' forms and the neutral one of eudai_core.contracts.storage.portable."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final, NoReturn, TypeAlias

import sqlalchemy as sa

__all__ = ["Kind", "copy_lines", "kind_of", "neutral_rows", "sqlite_rows"]

Convert: TypeAlias = Callable[[Any], Any]

_TIME_DIGITS: Final = 26
"""Characters of a time with microseconds and without a zone."""
_EXACT_FLOAT: Final = 1e16
"""From here on Python writes a float with an exponent, and PostgreSQL the same JSON number without."""


class Kind(Enum):
    """What a column holds, as far as carrying it is concerned."""

    TEXT = "text"
    ID = "id"
    TIME = "time"
    BYTES = "bytes"
    TRUTH = "truth"
    INTEGER = "integer"
    FLOAT = "float"
    DECIMAL = "decimal"
    JSON = "json"
    OTHER = "other"
    """Read and written as the text that the database gives."""


# The order counts: an enumeration is a string to SQLAlchemy, and so on.
_KINDS: Final[tuple[tuple[type[sa.types.TypeEngine[Any]] | tuple[Any, ...], Kind], ...]] = (
    (sa.Enum, Kind.OTHER),
    (sa.Uuid, Kind.ID),
    (sa.Boolean, Kind.TRUTH),
    (sa.DateTime, Kind.TIME),
    (sa.JSON, Kind.JSON),
    ((sa.LargeBinary, sa.BINARY, sa.VARBINARY), Kind.BYTES),
    (sa.Float, Kind.FLOAT),
    (sa.Numeric, Kind.DECIMAL),
    (sa.Integer, Kind.INTEGER),
    (sa.String, Kind.TEXT),
)


def kind_of(column_type: sa.types.TypeEngine[Any]) -> Kind:
    """Return the kind of a column from its type in the database."""
    return next((kind for types, kind in _KINDS if isinstance(column_type, types)), Kind.OTHER)


def _id(value: Any) -> str:
    return value if isinstance(value, str) else str(value.hex)


def _time(value: Any) -> str:
    if isinstance(value, str):
        if len(value) == _TIME_DIGITS and value[10] == " ":  # as SQLAlchemy writes it
            return f"{value[:10]}T{value[11:]}Z"
        value = datetime.fromisoformat(value)
    # A time without a zone is in UTC everywhere in eudai.
    aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return f"{aware.isoformat(timespec='microseconds')[:_TIME_DIGITS]}Z"


def _bytes(value: Any) -> str:
    return b64encode(value).decode("ascii")


def _float(value: Any) -> float | str:
    number = float(value) + 0.0  # SQLite keeps no negative zero
    if number - number == 0.0:
        return number
    return "NaN" if number != number else "Infinity" if number > 0 else "-Infinity"


def _decimal(value: Any) -> str:
    number = Decimal(repr(value) if isinstance(value, float) else value).normalize()
    return format(number, "f") if number else "0"


def _json(value: Any) -> list[Any]:
    found = value
    if isinstance(value, str):
        found = _decode(value)
    # SQLite takes a text that is one number for a number, and does not tell 1.0 from 1 then.
    return [int(found) if isinstance(found, float) and found.is_integer() else found]


def _json_number(digits: str) -> float | int:
    """Read a number so that it comes out the same from both databases: PostgreSQL keeps digits, not floats."""
    number = float(digits) + 0.0
    return int(number) if abs(number) >= _EXACT_FLOAT else number


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


_NEUTRAL: Final[Mapping[Kind, Convert]] = {
    Kind.ID: _id,
    Kind.TIME: _time,
    Kind.BYTES: _bytes,
    Kind.TRUTH: bool,
    Kind.FLOAT: _float,
    Kind.DECIMAL: _decimal,
    Kind.JSON: _json,
}


_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_decode: Final = json.JSONDecoder(parse_float=_json_number, parse_constant=_no_number).decode


def _dump(value: Any) -> str:
    return _encode(value[0])


def _sqlite_time(value: str) -> str:
    if not isinstance(value, str):
        raise TypeError("not a time")
    return f"{value[:10]} {value[11:_TIME_DIGITS]}"


_TO_SQLITE: Final[Mapping[Kind, Convert]] = {
    Kind.TIME: _sqlite_time,
    Kind.BYTES: b64decode,
    Kind.FLOAT: float,
    Kind.JSON: _dump,
}

_ESCAPES: Final = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def _escaped(value: Any) -> str:
    if not isinstance(value, str | int | float):
        raise TypeError("no text and no number")
    text = value if isinstance(value, str) else str(value)
    if "\\" in text or "\n" in text or "\t" in text or "\r" in text:
        return text.translate(_ESCAPES)
    return text


def _copied_float(value: Any) -> str:
    return _escaped(value) if isinstance(value, str) else repr(value)


def _copied_bytes(value: str) -> str:
    return rf"\\x{b64decode(value).hex()}"


def _copied_json(value: Any) -> str:
    return _escaped(_dump(value))


def _copied_truth(value: Any) -> str:
    return "t" if value else "f"


_TO_COPY: Final[Mapping[Kind, Callable[[Any], str]]] = {
    Kind.BYTES: _copied_bytes,
    Kind.TRUTH: _copied_truth,
    Kind.FLOAT: _copied_float,
    Kind.JSON: _copied_json,
}


def neutral_rows(kinds: Sequence[Kind], rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """Return rows of either driver in the neutral form. Raises ValueError, TypeError and ArithmeticError."""
    return _converted(kinds, _NEUTRAL, rows)


def sqlite_rows(kinds: Sequence[Kind], rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """Return rows as parameters of SQLite's driver, in the forms that SQLAlchemy reads. Raises as above."""
    return _converted(kinds, _TO_SQLITE, rows)


def copy_lines(kinds: Sequence[Kind], rows: Iterable[Sequence[Any]]) -> bytes:
    """Return rows in the text format of COPY, from which every type is read (PostgreSQL manual, "Text Format")."""
    converters = [_TO_COPY.get(kind, _escaped) for kind in kinds]
    lines = [
        "\t".join([r"\N" if value is None else convert(value) for convert, value in zip(converters, row, strict=True)])
        for row in rows
    ]
    return "".join([f"{line}\n" for line in lines]).encode()


def _converted(
    kinds: Sequence[Kind], converters: Mapping[Kind, Convert], rows: Iterable[Sequence[Any]]
) -> list[list[Any]]:
    # Most columns stay as they are, and there are many rows.
    changed = [(index, converters[kind]) for index, kind in enumerate(kinds) if kind in converters]
    result = [list(row) for row in rows]
    for index, convert in changed:
        for values in result:
            if (value := values[index]) is not None:
                values[index] = convert(value)
    return result
