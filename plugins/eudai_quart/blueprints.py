"""Routes of other plugins: where they are mounted, and which of them are open to all."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from quart import Blueprint

from eudai_core.errors import ConfigError, PluginError
from eudai_quart.context import Surface

__all__ = ["BlueprintRegistrar", "Mount", "grants_of", "mount_all"]

HOOK = "eudai_register_blueprints"


class BlueprintRegistrar(Protocol):
    """Takes the routes of one plugin."""

    def __call__(self, blueprint: Blueprint | str, *, prefix: str | None = None, public: Collection[str] = ()) -> None:
        """Mount a blueprint, or the late string ``"pkg.mod:attr"`` that names one.

        Its routes stand under ``/api/x/<plugin>/``, or under ``prefix`` where the operator granted that. All are
        behind the guard but those whose function names are in ``public``.

        Raises:
            PluginError: the prefix is not granted, the string names no blueprint, or the server runs already.
        """
        ...


class Mount:
    """The registrar of one plugin."""

    def __init__(self, app: Surface, owner: str, granted: str | None) -> None:
        self._app = app
        self._owner = owner
        self._granted = granted
        self.closed = False

    def __call__(self, blueprint: Blueprint | str, *, prefix: str | None = None, public: Collection[str] = ()) -> None:
        """See BlueprintRegistrar."""
        if self.closed:
            raise PluginError(f"{self._owner}: routes are registered while the server starts, not later")
        if prefix is not None and prefix != self._granted:
            raise PluginError(
                f"{self._owner} may not use the path {prefix}: grant it with EUDAI_QUART_GRANTS={self._owner}={prefix}"
            )
        found = _resolve(blueprint)
        base = f"/api/x/{self._owner}" if prefix is None else prefix
        name = f"{self._owner}:{found.name}"
        self._app.register_blueprint(found, name=name, url_prefix=base.rstrip("/") + (found.url_prefix or "") or "/")
        self._app.public |= {f"{name}.{function}" for function in public}


def mount_all(app: Surface, grants: Sequence[str]) -> None:
    """Let every plugin register its routes; those of a plugin that fails are missing, and its state says why."""
    granted = grants_of(grants)
    mounts = app.application.host.collect(HOOK, lambda owner: Mount(app, owner, granted.get(owner)))
    for mount in mounts.values():
        mount.closed = True


def grants_of(texts: Sequence[str]) -> Mapping[str, str]:
    """Return the prefix granted to each plugin.

    Raises:
        ConfigError: a text is not of the form PLUGIN=PREFIX.
    """
    grants = {}
    for text in texts:
        plugin, equals, prefix = text.partition("=")
        if not (plugin and equals and prefix.startswith("/")):
            raise ConfigError(f"EUDAI_QUART_GRANTS: {text!r} is not of the form PLUGIN=/PREFIX.")
        grants[plugin] = prefix
    return grants


def _resolve(blueprint: Blueprint | str) -> Blueprint:
    if isinstance(blueprint, str):
        module, _, attribute = blueprint.partition(":")
        found: object = getattr(importlib.import_module(module), attribute)
    else:
        found = blueprint
    if not isinstance(found, Blueprint):
        raise PluginError(f"{blueprint!r} is no Quart blueprint")
    return found
