"""The authenticator: a header, an address that may send it, and a user who is there."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from eudai_core.contracts import PluginContext, Storage
from eudai_core.errors import ConfigError, InvalidCredentials
from eudai_core.model import Credentials, Identity
from eudai_proxy_auth.settings import ProxyAuthSettings

__all__ = ["ProxyAuthenticator", "proxy_authenticator"]

_LONGEST = 254


class ProxyAuthenticator:
    """See eudai_core.contracts.Authenticator."""

    def __init__(self, storage: Storage, header: str, trusted: Sequence[str]) -> None:
        """Believe ``header`` when it comes from one of the ``trusted`` networks.

        Raises:
            ConfigError: there are none, so that nobody could ever be let in, or one of them is no network.
        """
        if not trusted:
            raise ConfigError("EUDAI_PROXY_AUTH_TRUSTED is empty: name the addresses of the proxies.")
        self._storage = storage
        self._header = header.lower()
        self._trusted = [_network(text) for text in trusted]

    async def authenticate(self, credentials: Credentials) -> Identity | None:
        """Return the user that the proxy names, or None for a request without the header, or with other credentials.

        Raises:
            InvalidCredentials: the header comes from elsewhere, or names nobody.
        """
        name = credentials.headers.get(self._header)
        if credentials.scheme != "headers" or name is None:
            return None
        if not self._believes(credentials.peer) or not name or len(name) > _LONGEST or not name.isprintable():
            raise _refused()
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            found = await unit.users.by_login(name)
        if found is None:
            raise _refused()
        # The server looks up the rest: whether the user is disabled, or an administrator.
        return Identity(found[0].id, found[0].username)

    def _believes(self, peer: str | None) -> bool:
        try:
            address = ip_address(peer or "")
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._trusted)


def proxy_authenticator(context: PluginContext) -> ProxyAuthenticator:
    """Make the authenticator from the settings."""
    settings = context.settings(ProxyAuthSettings)
    return ProxyAuthenticator(context.storage, settings.header, settings.trusted)


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text.strip())
    except ValueError as error:
        raise ConfigError(f"EUDAI_PROXY_AUTH_TRUSTED: {text!r} is no address or network.") from error


def _refused() -> InvalidCredentials:
    # The same for all reasons: a stranger learns nothing of names.
    return InvalidCredentials("The proxy's word about who is asking is not accepted.")
