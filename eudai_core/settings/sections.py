"""The values of all settings sections, and where each came from."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from eudai_core.errors import ConfigError, NameTaken, PluginError
from eudai_core.settings.conversion import convert, expectation, shown
from eudai_core.settings.core import CoreSettings
from eudai_core.settings.schema import FILE_SUFFIX, PREFIX, Variable, variables_of
from eudai_core.settings.sources import DOTENV, Found, SettingSource, Sources, load_environment

__all__ = ["CORE", "Explanation", "Settings"]

T = TypeVar("T")
CORE: Final = "eudai"
"""The owner of the core's own settings."""
_IGNORED: Final = (PREFIX + "TEST_", PREFIX + "REQUIRE_")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A setting for people: ``value`` and ``default`` are texts and never hold a secret; ``where`` says the source.

    ``problem`` says what is wrong with the value; ``value`` is empty then.
    """

    key: str
    value: str
    source: SettingSource
    where: str
    help: str
    default: str
    expected: str
    owner: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Section:
    owner: str
    schema: type[Any]
    variables: tuple[Variable, ...]


class Settings:
    """Sections of settings over one set of sources. The core's section is there from the start."""

    def __init__(self, sources: Sources) -> None:
        """Read nothing yet: values are converted when a section is asked for."""
        self.sources = sources
        self._sections: dict[str, _Section] = {}
        self._values: dict[type[Any], Any] = {}
        self._withdrawn: set[str] = set()
        self.register(CORE, "", CoreSettings)

    @classmethod
    def load(
        cls,
        *,
        environ: Mapping[str, str] | None = None,
        dotenv: Path | None = DOTENV,
        overrides: Mapping[str, str] | None = None,
    ) -> Self:
        """Read all sources (see load_environment) and return their settings."""
        return cls(load_environment(environ=environ, dotenv=dotenv, overrides=overrides))

    def register(self, owner: str, section: str, schema: type[Any]) -> None:
        """Add a section.

        Raises:
            NameTaken: the section, or one of its variables, is another's.
            PluginError: the schema cannot be one of settings.
        """
        variables = variables_of(section, schema)
        if section in self._sections:
            raise NameTaken(
                f"settings section {section!r} of {owner} is taken by {self._sections[section].owner}: rename one"
            )
        owners = {variable.name: known.owner for known in self._sections.values() for variable in known.variables}
        for variable in variables:
            if variable.name in owners:
                raise NameTaken(f"{variable.name} of {owner} is a setting of {owners[variable.name]} already")
        self._sections[section] = _Section(owner, schema, variables)

    def withdraw(self, owner: str) -> None:
        """Remove the sections of an owner; their keys are no longer used and still no mistakes."""
        for name, section in list(self._sections.items()):
            if section.owner == owner:
                del self._sections[name]
                self._values.pop(section.schema, None)
                self._withdrawn.update(_spellings(section.variables))

    def section(self, schema: type[T]) -> T:
        """Return the values of a registered section.

        Raises:
            ConfigError: values are wrong; all of the section's are named, each with its source.
            PluginError: no such section is registered.
        """
        if schema not in self._values:
            self._values[schema] = self._build(schema)
        values: T = self._values[schema]
        return values

    def explain(self, key: str) -> Explanation:
        """Tell a setting's value, source and meaning; ``key`` may leave out ``EUDAI_``, and case does not matter.

        Raises:
            ConfigError: no such setting is known.
        """
        wanted = key.upper()
        for section in self._sections.values():
            for variable in section.variables:
                if wanted in variable.names or PREFIX + wanted == variable.name:
                    return self._explain(section, variable)
        raise ConfigError(f"No setting is called {key}.{_suggestion(wanted, self._names())}")

    def all(self) -> Sequence[Explanation]:
        """Explain every setting, the core's first."""
        return [
            self._explain(section, variable) for section in self._sections.values() for variable in section.variables
        ]

    def check(self, *, strangers: bool = False) -> None:
        """Convert every section and look for unknown keys.

        Args:
            strangers: some plugins are not loaded, and their sections are not known: then only keys that look like
                a misspelt known one are mistakes, and the others are logged.

        Raises:
            ConfigError: everything that is wrong, at once.
        """
        problems: list[str] = []
        for section in self._sections.values():
            try:
                self.section(section.schema)
            except ConfigError as error:
                problems.append(error.detail)
        problems.extend(self._unknown(strangers))
        if problems:
            raise ConfigError("\n".join(problems))

    def _build(self, schema: type[T]) -> T:
        section = next((known for known in self._sections.values() if known.schema is schema), None)
        if section is None:
            raise PluginError(
                f"no settings section has the schema {schema.__name__}: register it in eudai_register_settings"
            )
        values: dict[str, Any] = {}
        problems: list[str] = []
        for variable in section.variables:
            try:
                values[variable.field] = self._value(variable)
            except ConfigError as error:
                problems.append(error.detail)
        if problems:
            raise ConfigError("\n".join(problems))
        try:
            return schema(**values)
        except ValueError as error:
            # A section's __post_init__ may refuse values that do not fit together.
            raise ConfigError(f"The settings of {section.owner} do not fit together: {error}") from error

    def _value(self, variable: Variable) -> Any:
        found = self.sources.find(variable)
        if found is None:
            return variable.default_in(self.sources.environ)
        try:
            return convert(variable, found.text)
        except ValueError:
            got = "" if variable.secret else f", got {found.text!r}"
            raise ConfigError(f"{found.name} ({found.where}): expected {expectation(variable)}{got}.") from None

    def _explain(self, section: _Section, variable: Variable) -> Explanation:
        found: Found | None = None
        text = problem = ""
        try:
            found = self.sources.find(variable)
            text = shown(variable, self._value(variable))
        except ConfigError as error:
            problem = error.detail
        return Explanation(
            key=variable.name,
            value=text,
            source=SettingSource.DEFAULT if found is None else found.source,
            where="the default" if found is None else f"{found.name} in {found.where}",
            help=variable.help,
            default=shown(variable, variable.default_in(self.sources.environ)),
            expected=expectation(variable),
            owner=section.owner,
            problem=problem,
        )

    def _names(self) -> list[str]:
        return [variable.name for section in self._sections.values() for variable in section.variables]

    def _unknown(self, strangers: bool) -> list[str]:
        known = self._withdrawn | {
            name for section in self._sections.values() for name in _spellings(section.variables)
        }
        problems = []
        for key, where in self.sources.keys():  # noqa: SIM118 -- Sources is no mapping: it gives pairs
            if key in known or key.startswith(_IGNORED):
                continue
            hint = _suggestion(key, sorted(known))
            if strangers and not hint:
                _log.warning("%s (%s) is no known setting; it may belong to a plugin that is not loaded.", key, where)
            else:
                problems.append(f"{key} ({where}) is no known setting.{hint or ' Remove it, or check its name.'}")
        return problems


def _spellings(variables: Iterable[Variable]) -> set[str]:
    names = {name for variable in variables for name in variable.names}
    return names | {name + FILE_SUFFIX for name in names}


def _suggestion(key: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.8)
    if not close and not key.startswith(PREFIX):
        close = difflib.get_close_matches(PREFIX + key, names, n=1, cutoff=0.8)
    return f" Did you mean {close[0]}?" if close else ""
