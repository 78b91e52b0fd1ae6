"""Where settings come from: options, the environment, ``.env``, a TOML file, in this order of rank."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from eudai_core.errors import ConfigError
from eudai_core.settings.schema import FILE_SUFFIX, PREFIX, Variable

__all__ = ["CONFIG_VARIABLE", "DOTENV", "Found", "SettingSource", "Sources", "load_environment"]

CONFIG_VARIABLE: Final = PREFIX + "CONFIG"
DOTENV: Final = Path(".env")


class SettingSource(StrEnum):
    """Where a value was found, highest rank first."""

    OPTION = "option"
    ENVIRONMENT = "environment"
    DOTENV = ".env"
    FILE = "file"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Found:
    """The text of a variable, the name it had, and its source; ``where`` is for people."""

    text: str
    name: str
    source: SettingSource
    where: str


@dataclass(frozen=True, slots=True)
class _Layer:
    source: SettingSource
    where: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sources:
    """All sources at once, read once. ``environ`` is the environment that derived defaults look at."""

    layers: tuple[_Layer, ...]
    environ: Mapping[str, str]

    def find(self, variable: Variable) -> Found | None:
        """Return the value that wins, or None.

        A value may be given as ``NAME`` or as ``NAME_FILE``, the path of a file that holds it. An empty value counts
        as not given. An alias is looked at only where the ``EUDAI_`` name is given nowhere.

        Raises:
            ConfigError: both forms are given in one source, or the file cannot be read.
        """
        for name in variable.names:
            for layer in self.layers:
                found = _in_layer(layer, name)
                if found is not None:
                    return found
        return None

    def keys(self) -> Iterator[tuple[str, str]]:
        """Give every key that begins with ``EUDAI_``, with where it stands."""
        for layer in self.layers:
            for key in layer.values:
                if key.startswith(PREFIX):
                    yield key, layer.where


def _in_layer(layer: _Layer, name: str) -> Found | None:
    text = layer.values.get(name) or None
    path = layer.values.get(name + FILE_SUFFIX) or None
    if text is not None and path is not None:
        raise ConfigError(f"{name} and {name}{FILE_SUFFIX} are both given ({layer.where}): keep one of them.")
    if path is not None:
        where = f"{layer.where}, from the file named by {name}{FILE_SUFFIX}"
        return Found(_file_value(name, path), name, layer.source, where)
    return None if text is None else Found(text, name, layer.source, layer.where)


def _file_value(name: str, path: str) -> str:
    try:
        return Path(path).expanduser().read_text("utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}{FILE_SUFFIX} names a file that cannot be read: {path} ({_reason(error)}).") from None


def load_environment(
    *,
    environ: Mapping[str, str] | None = None,
    dotenv: Path | None = DOTENV,
    overrides: Mapping[str, str] | None = None,
) -> Sources:
    """Read every source.

    Args:
        environ: the environment; None for the process's own.
        dotenv: the ``.env`` file; None for none. One that is not there is no error. Nothing of it is exported.
        overrides: values of the highest rank, such as command line options, by variable name.

    Raises:
        ConfigError: a file cannot be read or makes no sense.
    """
    real = dict(os.environ if environ is None else environ)
    layers = [
        _Layer(SettingSource.OPTION, "a command line option", dict(overrides or {})),
        _Layer(SettingSource.ENVIRONMENT, "the environment", real),
        _Layer(SettingSource.DOTENV, f"the file {dotenv}", _read_dotenv(dotenv)),
    ]
    path = next((text for layer in layers if (text := layer.values.get(CONFIG_VARIABLE))), None)
    if path is not None:
        layers.append(_Layer(SettingSource.FILE, f"the file {path}", _read_toml(Path(path).expanduser())))
    return Sources(tuple(layers), real)


def _read_dotenv(path: Path | None) -> dict[str, str]:
    if path is None or not path.is_file():
        return {}
    from dotenv import dotenv_values  # imported where there is a file to read: most commands have none

    try:
        with path.open(encoding="utf-8-sig") as stream:
            values = dotenv_values(stream=stream, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({_reason(error)}).") from error
    return {key: value for key, value in values.items() if value is not None}


def _read_toml(path: Path) -> dict[str, str]:
    try:
        with path.open("rb") as stream:
            table = tomllib.load(stream)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{CONFIG_VARIABLE} names {path}, which cannot be read ({_reason(error)}).") from error
    return dict(_flattened(table, PREFIX, path))


def _flattened(table: Mapping[str, Any], prefix: str, path: Path) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        name = key.upper() if key.upper().startswith(PREFIX) else f"{prefix}{key.upper()}"
        if isinstance(value, dict) and prefix == PREFIX:
            yield from _flattened(value, f"{name}_", path)
        else:
            yield name, _as_text(value, name, path)


def _as_text(value: Any, name: str, path: Path) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    raise ConfigError(f"{name} ({path}) must be text, a number, true, false or a list of texts.")


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
