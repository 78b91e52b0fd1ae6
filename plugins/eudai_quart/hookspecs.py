"""The hooks of the surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eudai_core.hooks import HookMode, hookspec

if TYPE_CHECKING:
    from eudai_quart.blueprints import BlueprintRegistrar

__all__ = ["eudai_register_blueprints"]


@hookspec(HookMode.SYNC)
def eudai_register_blueprints(register: BlueprintRegistrar) -> None:
    """Register routes.

    When and who: called once, when a server makes its web application, for every plugin with routes of its own.
    Returns: nothing. Faults: the plugin's routes are left out, and the log says why. Since: 0.1.
    """
