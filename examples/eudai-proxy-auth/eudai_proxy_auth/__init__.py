"""Lets a reverse proxy say who is asking.

Nothing heavy is imported here, because this module is imported at every start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eudai_core.hooks import hookimpl

if TYPE_CHECKING:
    from eudai_core.contracts import Authenticator, Registrar, SettingsRegistrar

__all__ = ["ProxyAuthPlugin", "plugin"]


class ProxyAuthPlugin:
    """Registers the authenticator ``proxy``, which ``EUDAI_AUTHENTICATORS`` puts to use."""

    eudai_api = (0, 1)

    @hookimpl
    def eudai_register_settings(self, register: SettingsRegistrar) -> None:
        """Register the section ``proxy_auth``."""
        from eudai_proxy_auth.settings import ProxyAuthSettings

        register("proxy_auth", ProxyAuthSettings)

    @hookimpl
    def eudai_register_authenticators(self, register: Registrar[Authenticator]) -> None:
        """Register ``proxy``."""
        register("proxy", "eudai_proxy_auth.authenticator:proxy_authenticator")


plugin = ProxyAuthPlugin()
