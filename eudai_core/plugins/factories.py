"""From a registered factory to an object that fulfils its contract."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import Callable
from typing import Any, Final

from eudai_core.contracts import PluginContext
from eudai_core.errors import ConfigError, PluginError, PluginNotReady
from eudai_core.plugins.registry import Entry

__all__ = ["FACTORY_SECONDS", "make", "missing_members"]

FACTORY_SECONDS: Final = 30.0
"""How long a factory may take."""


async def make(entry: Entry, context: PluginContext) -> Any:
    """Call an entry's factory and return the object.

    Raises:
        PluginNotReady: the factory's outside world is not there yet.
        ConfigError: a setting of the plugin is unusable, which only its operator can mend.
        PluginError: the factory failed or made something else than the role's contract asks for.
    """
    try:
        async with asyncio.timeout(FACTORY_SECONDS):
            value = _resolved(entry.factory)(context)
            if inspect.isawaitable(value):
                value = await value
    except (PluginNotReady, ConfigError):
        raise
    except TimeoutError as error:
        raise PluginError(f"the {entry.title} was not made within {FACTORY_SECONDS:g} s") from error
    except (Exception, SystemExit) as error:  # a plugin's factory may raise anything
        raise PluginError(f"the factory of the {entry.title} raised {type(error).__name__}: {error}") from error
    if missing := missing_members(value, entry.role.contract):
        raise PluginError(f"the {entry.title} ({type(value).__name__}) lacks {', '.join(missing)}")
    return value


def missing_members(value: object, contract: type[Any]) -> list[str]:
    """Return the members of a Protocol that an object has not."""
    wanted = {
        name
        for base in contract.__mro__
        if getattr(base, "_is_protocol", False)
        for name in (*vars(base), *vars(base).get("__annotations__", ()))
        if not name.startswith("_")
    }
    return sorted(name for name in wanted if not hasattr(value, name))


def _resolved(factory: Callable[..., Any] | str) -> Callable[..., Any]:
    if not isinstance(factory, str):
        return factory
    module, _, attribute = factory.partition(":")
    found: Any = importlib.import_module(module)
    for name in attribute.split("."):
        found = getattr(found, name)
    if not callable(found):
        raise TypeError(f"{factory} is no function")
    return found  # type: ignore[no-any-return]  # whatever a plugin's string names
