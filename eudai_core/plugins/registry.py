"""What plugins registered, and the registrars that take it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from eudai_core.errors import NameTaken, PluginError
from eudai_core.model import MigrationSource
from eudai_core.plugins.roles import Role
from eudai_core.settings import Settings

__all__ = ["Entry", "MigrationTaker", "ObjectTaker", "Registry", "SettingsTaker"]

_LATE: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
"""``pkg.mod:attr``."""
_BRANCH: Final = re.compile(r"[a-z][a-z0-9]{0,23}")
"""Without an underscore, so that no plugin's ``p_<branch>_`` begins another's; short, for names of constraints."""


@dataclass(slots=True, eq=False)
class Entry:
    """One registered object: its factory and, once it was built, ``value``."""

    role: Role[Any]
    name: str
    owner: str
    factory: Callable[..., Any] | str
    value: Any = None
    ready: bool = False

    @property
    def title(self) -> str:
        """What the object is, for people."""
        return f"{self.role.name} {self.name}"


class Registry:
    """Everything registered, by role and name, in the order of registration."""

    def __init__(self) -> None:
        """Begin empty."""
        self._entries: dict[tuple[str, str], Entry] = {}
        self._migrations: dict[str, tuple[str, MigrationSource]] = {}

    def add(self, entry: Entry) -> None:
        """Keep an entry. Raises NameTaken when its role has one of this name."""
        other = self._entries.setdefault((entry.role.hook, entry.name), entry)
        if other is not entry:
            raise NameTaken(f"the {entry.title} of {entry.owner} is taken: {other.owner} registered that name before")

    def add_migration(self, owner: str, source: MigrationSource) -> None:
        """Keep a migration source. Raises NameTaken when its branch is there already."""
        if source.branch in self._migrations:
            other = self._migrations[source.branch][0]
            raise NameTaken(f"the migration branch {source.branch} of {owner} is taken by {other}")
        self._migrations[source.branch] = (owner, source)

    def find(self, role: Role[Any], name: str) -> Entry | None:
        """Return an entry by name, or None."""
        return self._entries.get((role.hook, name))

    def of(self, role: Role[Any]) -> list[Entry]:
        """Return a role's entries."""
        return [entry for entry in self._entries.values() if entry.role.hook == role.hook]

    def owner_of_migration(self, branch: str) -> str | None:
        """Return the plugin that registered a branch, or None."""
        return self._migrations[branch][0] if branch in self._migrations else None

    def migrations(self) -> Sequence[MigrationSource]:
        """Return the migration sources."""
        return [source for _, source in self._migrations.values()]

    def withdraw(self, owner: str) -> list[Entry]:
        """Remove all of an owner's, and return its entries."""
        gone = [entry for entry in self._entries.values() if entry.owner == owner]
        self._entries = {key: entry for key, entry in self._entries.items() if entry.owner != owner}
        self._migrations = {key: pair for key, pair in self._migrations.items() if pair[0] != owner}
        return gone


class _Taker:
    """A registrar: good for one plugin and for as long as its hook runs."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self._open = True

    def close(self) -> None:
        """Take nothing any more."""
        self._open = False

    def _check_open(self) -> None:
        if not self._open:
            raise PluginError(f"{self.owner} registers too late: registrars work only while their hook is called")


class ObjectTaker(_Taker):
    """The Registrar of one role (see eudai_core.contracts)."""

    def __init__(self, owner: str, role: Role[Any], registry: Registry) -> None:
        """Take objects of ``role`` for ``registry``."""
        super().__init__(owner)
        self._role = role
        self._registry = registry

    def __call__(self, name: str, factory: Callable[..., Any] | str) -> None:
        """Keep a factory under a name."""
        self._check_open()
        if not name.strip():
            raise PluginError(f"a {self._role.name} needs a name, not {name!r}")
        if isinstance(factory, str) and not _LATE.fullmatch(factory):
            raise PluginError(f"the {self._role.name} {name} names its factory {factory!r}; write 'pkg.mod:attr'")
        if not isinstance(factory, str) and not callable(factory):
            raise PluginError(f"the {self._role.name} {name} needs a factory, not {type(factory).__name__}")
        self._registry.add(Entry(self._role, name, self.owner, factory))


class SettingsTaker(_Taker):
    """The SettingsRegistrar."""

    def __init__(self, owner: str, settings: Settings) -> None:
        """Take sections for ``settings``."""
        super().__init__(owner)
        self._settings = settings

    def __call__(self, section: str, schema: type[Any]) -> None:
        """Register a section."""
        self._check_open()
        if not section:
            raise PluginError("a settings section needs a name")
        self._settings.register(self.owner, section, schema)


class MigrationTaker(_Taker):
    """The MigrationRegistrar."""

    def __init__(self, owner: str, registry: Registry) -> None:
        """Take migration sources for ``registry``."""
        super().__init__(owner)
        self._registry = registry

    def __call__(self, source: MigrationSource) -> None:
        """Keep a source."""
        self._check_open()
        if not isinstance(source, MigrationSource):
            raise PluginError(f"a migration source is a MigrationSource, not {type(source).__name__}")
        if not _BRANCH.fullmatch(source.branch) or source.branch == "core":
            raise PluginError(
                f"the migration branch {source.branch!r} cannot name tables: use up to 24 small letters and digits, "
                "such as tally for p_tally_answers"
            )
        self._registry.add_migration(self.owner, source)
