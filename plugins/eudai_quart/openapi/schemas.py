"""JSON Schemas (2020-12) of the structs that go over the wire."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

__all__ = ["Schema", "Schemas"]

Schema = dict[str, Any]
_GENERIC: Final = re.compile(r"(\w+)\[(\w+)\]")
_AT: Final = "#/components/schemas/"


class Schemas:
    """The schemas of some types, with the components that they refer to."""

    def __init__(self, types: Iterable[Any]) -> None:
        """Make them all at once, so that each struct has one name."""
        kinds = list(dict.fromkeys(types))
        schemas, components = msgspec.json.schema_components(kinds, ref_template=_AT + "{name}")
        names = {name: _name(name, schema) for name, schema in components.items()}
        self.components: Final[dict[str, Schema]] = {
            names[name]: _tidy(components[name], names) for name in sorted(components, key=names.__getitem__)
        }
        self._schemas: Final[Mapping[Any, Schema]] = {
            kind: _tidy(schema, names) for kind, schema in zip(kinds, schemas, strict=True)
        }

    def of(self, kind: Any) -> Schema:
        """Return the schema of one of the types: a reference, for a struct."""
        return self._schemas[kind]

    def named(self, kind: Any) -> Schema:
        """Return the schema of a struct itself."""
        return self.components[self._schemas[kind]["$ref"].removeprefix(_AT)]


def _name(name: str, schema: Schema) -> str:
    """Return a name that reads well in generated clients: ``Items[Project]`` is a ProjectItems."""
    generic = _GENERIC.fullmatch(schema.get("title", ""))
    return f"{generic[2]}{generic[1]}" if generic else name


def _tidy(schema: Any, names: Mapping[str, str]) -> Any:
    """Return a schema with its final names, and with what msgspec leaves out."""
    if isinstance(schema, list):
        return [_tidy(member, names) for member in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {key: _tidy(value, names) for key, value in schema.items()}
    if isinstance(schema.get("$ref"), str):
        tidy["$ref"] = _AT + names[schema["$ref"].removeprefix(_AT)]
    if isinstance(schema.get("description"), str):
        tidy["description"] = " ".join(schema["description"].replace("``", "`").split())
    if _are_texts(schema.get("enum")):
        tidy.setdefault("type", "string")
    if isinstance(schema.get("properties"), dict) and schema.get("additionalProperties") is not False:
        _always_sent(tidy)
    return tidy


def _are_texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _always_sent(answer: Schema) -> None:
    """An answer has all its members but those that are UNSET: a default says only what the server fills in."""
    with_default = [
        name for name, member in answer["properties"].items() if member.pop("default", answer) is not answer
    ]
    answer["required"] = [name for name in answer["properties"] if name in {*answer["required"], *with_default}]
