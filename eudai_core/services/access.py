"""Who may use what: the votes of the policies, turned into answers that tell a stranger nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from eudai_core.errors import Forbidden, NotFound
from eudai_core.model import Identity, ResourceRef, Scope
from eudai_core.plugins import PluginHost

__all__ = ["Access", "check_admin", "check_log_in", "check_scope", "missing"]

_NEEDED: Final[Mapping[str, Scope]] = {
    "read": Scope.READ,
    "chat": Scope.CHAT,
    "create": Scope.WRITE,
    "write": Scope.WRITE,
    "delete": Scope.WRITE,
}
"""The scope that a key needs for an action."""
_GRANTED_BY: Final[Mapping[Scope, frozenset[str]]] = {
    Scope.READ: frozenset({Scope.READ, Scope.CHAT, Scope.WRITE}),
    Scope.CHAT: frozenset({Scope.CHAT, Scope.WRITE}),
    Scope.WRITE: frozenset({Scope.WRITE}),
    Scope.ADMIN: frozenset({Scope.ADMIN}),
}


class Access:
    """Asks ``eudai_authorize``. A fault of a policy denies."""

    def __init__(self, host: PluginHost) -> None:
        self._host = host

    async def check(self, identity: Identity, action: str, resource: ResourceRef) -> None:
        """Return when ``identity`` may do ``action`` (``read``, ``create``, ``write``, ``delete``) with ``resource``.

        ``chat``, to ask and to stop, is ``write`` to policies; only the scopes of keys tell the two apart.

        Raises:
            NotFound: it is another user's; that it exists is not told.
            Forbidden: it is the caller's own, and a policy of the operator says no; or the key lacks the scope.
        """
        check_scope(identity, _NEEDED.get(action, Scope.WRITE))
        action = "write" if action == "chat" else action
        allowed = await self._host.hooks.vote("eudai_authorize", identity=identity, action=action, resource=resource)
        if allowed:
            return
        if resource.owner_id is not None and resource.owner_id != identity.user_id:
            raise missing(resource.type, resource.id)
        raise Forbidden(f"A policy of this server does not let you {action} this {resource.type}.")


def check_scope(identity: Identity, scope: Scope) -> None:
    """Return when nothing restricts the caller, or a scope of the key allows it.

    Raises:
        Forbidden: the key lacks the scope.
    """
    if identity.scopes is not None and not identity.scopes & _GRANTED_BY[scope]:
        raise Forbidden(f"This API key lacks the scope `{scope}`. Use one that has it.")


def check_log_in(identity: Identity) -> None:
    """Return when the caller is unrestricted: what concerns the account itself is for no key.

    Raises:
        Forbidden: the caller came with a key.
    """
    if identity.scopes is not None or identity.key_id is not None:
        raise Forbidden("An API key cannot do this: log in with the password.")


def check_admin(identity: Identity) -> None:
    """Return when the caller is an administrator.

    Raises:
        Forbidden: the caller is none, or the key lacks the scope.
    """
    check_scope(identity, Scope.ADMIN)
    if not identity.is_admin:
        raise Forbidden("This is for administrators.")


def missing(kind: str, object_id: UUID | None) -> NotFound:
    """Return the error for an object that is not there, or not the caller's: the two look the same."""
    return NotFound(f"There is no {kind} {object_id}.")
