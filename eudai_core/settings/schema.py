"""What a settings section declares: its variables, their types, defaults and meanings."""

from __future__ import annotations

import dataclasses
import os
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from eudai_core.errors import PluginError
from eudai_core.settings.secret import Secret

__all__ = ["FILE_SUFFIX", "PREFIX", "Variable", "setting", "variables_of"]

PREFIX: Final = "EUDAI_"
FILE_SUFFIX: Final = "_FILE"
_META: Final = "eudai_setting"
_SCALARS: Final = (str, int, float, bool, Path)


@dataclasses.dataclass(frozen=True, slots=True)
class _Meta:
    help: str
    aliases: tuple[str, ...]
    minimum: float | None
    maximum: float | None
    derive: Callable[[Mapping[str, str]], Any] | None


def setting(
    default: Any,
    help: str,  # noqa: A002 -- the word that click and argparse use for the same thing
    aliases: tuple[str, ...] = (),
    *,
    minimum: float | None = None,
    maximum: float | None = None,
) -> Any:
    """Declare a field of a settings section.

    Args:
        default: the value when no source gives one; a function is called with the environment to find it.
        help: what the setting means, one sentence for operators.
        aliases: full variable names understood as well; the ``EUDAI_`` name wins over them.
        minimum: the smallest number allowed.
        maximum: the largest number allowed.
    """
    derive = default if callable(default) else None
    meta = {_META: _Meta(help, aliases, minimum, maximum, derive)}
    if derive is not None:
        return dataclasses.field(default_factory=lambda: derive(os.environ), metadata=meta)
    return dataclasses.field(default=default, metadata=meta)


@dataclasses.dataclass(frozen=True, slots=True)
class Variable:
    """One setting: ``name`` is its variable, ``kind`` its type without Optional and Secret.

    ``kind`` is str, int, float, bool, Path, ``tuple`` (of str) or a tuple of allowed words.
    """

    name: str
    section: str
    field: str
    kind: type[Any] | tuple[str, ...]
    help: str
    default: Any
    optional: bool = False
    secret: bool = False
    aliases: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    derive: Callable[[Mapping[str, str]], Any] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Every variable name understood, in the order in which they win."""
        return (self.name, *self.aliases)

    def default_in(self, environ: Mapping[str, str]) -> Any:
        """Return the default, which may depend on the environment."""
        return self.default if self.derive is None else self.derive(environ)


def variables_of(section: str, schema: type[Any]) -> tuple[Variable, ...]:
    """Return the variables of a section; the core's section is the empty name.

    Raises:
        PluginError: ``schema`` is no frozen dataclass, or a field has no default or a type that settings cannot have.
    """
    _check_schema(section, schema)
    hints = get_type_hints(schema)
    found = tuple(_variable(section, field, hints[field.name]) for field in dataclasses.fields(schema) if field.init)
    names = {variable.name for variable in found}
    for variable in found:
        if variable.name + FILE_SUFFIX in names:
            raise PluginError(
                f"settings section {section!r}: field {variable.field}_file hides the file form of {variable.name}; "
                "name it differently"
            )
    return found


def _check_schema(section: str, schema: object) -> None:
    if section and not section.replace("_", "").isalnum():
        raise PluginError(f"settings section {section!r}: a name has letters, digits and underscores only")
    if not (isinstance(schema, type) and dataclasses.is_dataclass(schema)):
        raise PluginError(f"settings section {section!r}: {schema!r} is no dataclass")
    if not schema.__dataclass_params__.frozen:  # type: ignore[attr-defined]  # typeshed leaves this attribute out
        raise PluginError(f"settings section {section!r}: {schema.__name__} must be a frozen dataclass")


def _variable(section: str, field: dataclasses.Field[Any], hint: Any) -> Variable:
    meta = field.metadata.get(_META)
    if not isinstance(meta, _Meta):
        raise PluginError(f"settings section {section!r}: declare field {field.name} with eudai_core.settings.setting")
    inner, optional = _without_none(hint)
    secret = inner is Secret or get_origin(inner) is Secret
    if secret:
        (inner,) = get_args(inner) or (str,)
    infix = f"{section}_" if section else ""
    return Variable(
        name=f"{PREFIX}{infix}{field.name}".upper(),
        section=section,
        field=field.name,
        kind=_kind(inner, f"settings section {section!r}, field {field.name}"),
        help=meta.help,
        default=None if meta.derive else field.default,
        optional=optional,
        secret=secret,
        aliases=meta.aliases,
        minimum=meta.minimum,
        maximum=meta.maximum,
        derive=meta.derive,
    )


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) not in (Union, types.UnionType):
        return hint, False
    rest = [part for part in get_args(hint) if part is not type(None)]
    return (rest[0], True) if len(rest) == 1 else (hint, False)


def _kind(hint: Any, where: str) -> type[Any] | tuple[str, ...]:
    if hint in _SCALARS:
        return hint  # type: ignore[no-any-return]  # one of _SCALARS
    if get_origin(hint) is tuple and get_args(hint) == (str, ...):
        return tuple
    if get_origin(hint) is Literal and all(isinstance(word, str) for word in get_args(hint)):
        return get_args(hint)
    raise PluginError(
        f"{where}: the type {hint!r} cannot be read from a variable; use str, int, float, bool, Path, Secret[str], "
        "tuple[str, ...], a Literal of words, or one of these or None"
    )
