"""The default authentication: bcrypt passwords, JWT access tokens, API keys, and the ownership policy.

Only late names stand here: neither bcrypt nor PyJWT is imported before the host builds what it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eudai_core.hooks import hookimpl

if TYPE_CHECKING:
    from eudai_core.contracts import Authenticator, PasswordHasher, Registrar, SettingsRegistrar, TokenIssuer
    from eudai_core.model import Decision, Identity, ResourceRef

__all__ = ["AuthPlugin", "plugin"]


class AuthPlugin:
    """Registers the hasher ``bcrypt``, the issuer ``jwt``, the authenticators ``jwt`` and ``api_key``; owners may."""

    eudai_api = (0, 1)

    @hookimpl
    def eudai_register_settings(self, register: SettingsRegistrar) -> None:
        """Register the section ``auth``."""
        from eudai_auth.settings import AuthSettings

        register("auth", AuthSettings)

    @hookimpl
    def eudai_register_password_hashers(self, register: Registrar[PasswordHasher]) -> None:
        """Register ``bcrypt``."""
        register("bcrypt", "eudai_auth.passwords:bcrypt_hasher")

    @hookimpl
    def eudai_register_token_issuers(self, register: Registrar[TokenIssuer]) -> None:
        """Register ``jwt``."""
        register("jwt", "eudai_auth.tokens:jwt_issuer")

    @hookimpl
    def eudai_register_authenticators(self, register: Registrar[Authenticator]) -> None:
        """Register ``jwt`` and ``api_key``."""
        register("jwt", "eudai_auth.tokens:jwt_authenticator")
        register("api_key", "eudai_auth.api_keys:api_key_authenticator")

    @hookimpl
    async def eudai_authorize(self, identity: Identity, action: str, resource: ResourceRef) -> Decision | None:
        """Allow owners; abstain on everything else."""
        from eudai_auth.ownership import vote

        return vote(identity, action, resource)


plugin = AuthPlugin()
