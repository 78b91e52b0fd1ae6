"""The ownership policy: what is yours you may use, and anybody may make something new that is nobody's yet."""

from __future__ import annotations

from eudai_core.model import Decision, Identity, ResourceRef

__all__ = ["vote"]


def vote(identity: Identity, action: str, resource: ResourceRef) -> Decision | None:
    """Return ALLOW for the owner, and for the creation of an object without one; else None.

    It never denies, so that other policies can add access (sharing, administrators). Without any ALLOW the answer of
    the hook is no.
    """
    if resource.owner_id is None:
        return Decision.ALLOW if action == "create" else None
    return Decision.ALLOW if resource.owner_id == identity.user_id else None
