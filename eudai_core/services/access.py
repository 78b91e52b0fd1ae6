"""Who may use what: the votes of the policies, turned into answers that tell a stranger nothing."""

from __future__ import annotations

from uuid import UUID

from eudai_core.errors import Forbidden, NotFound
from eudai_core.model import Identity, ResourceRef
from eudai_core.plugins import PluginHost

__all__ = ["Access"]


class Access:
    """Asks ``eudai_authorize``. A fault of a policy denies."""

    def __init__(self, host: PluginHost) -> None:
        self._host = host

    async def check(self, identity: Identity, action: str, resource: ResourceRef) -> None:
        """Return when ``identity`` may do ``action`` (``read``, ``create``, ``write``, ``delete``) with ``resource``.

        Raises:
            NotFound: it is another user's; that it exists is not told.
            Forbidden: it is the caller's own, and a policy of the operator says no.
        """
        allowed = await self._host.hooks.vote("eudai_authorize", identity=identity, action=action, resource=resource)
        if allowed:
            return
        if resource.owner_id is not None and resource.owner_id != identity.user_id:
            raise missing(resource.type, resource.id)
        raise Forbidden(f"A policy of this server does not let you {action} this {resource.type}.")


def missing(kind: str, object_id: UUID | None) -> NotFound:
    """Return the error for an object that is not there, or not the caller's: the two look the same."""
    return NotFound(f"There is no {kind} {object_id}.")
