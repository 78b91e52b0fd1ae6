"""For administrators: accounts, invitations, plugins, models."""

from __future__ import annotations

from uuid import UUID

from quart import Blueprint, Response

from eudai_core.errors import Conflict, TooManyRequests
from eudai_core.model import Scope
from eudai_quart.context import application, caller
from eudai_quart.openapi.operation import LOG_IN, NOTHING, Answer, operation
from eudai_quart.respond import answer, nothing
from eudai_quart.wire.accounts import AdminUser, Invite, NewInvite, OneTimePassword, ShownInvite, UserChange
from eudai_quart.wire.answers import Items, Model, Plugin, page
from eudai_quart.wire.decode import query, read_json
from eudai_quart.wire.requests import Empty, Paging

__all__ = ["blueprint"]

blueprint = Blueprint("admin", __name__)


@blueprint.get("/api/admin/users")
@operation(Answer(Items[AdminUser]), query=Paging, needs=Scope.ADMIN)
async def users() -> Response:
    """List all accounts, newest first."""
    paging = query(Paging)
    found = await application().administration.users(caller(), cursor=paging.cursor, limit=paging.limit)
    return answer(page(found, AdminUser.of))


@blueprint.patch("/api/admin/users/<id:user_id>")
@operation(Answer(AdminUser), body=UserChange, errors=(Conflict,), needs=Scope.ADMIN)
async def change_user(user_id: UUID) -> Response:
    """Disable or enable an account, or make it an administrator's or not.

    Nobody disables themselves, or takes the role from themselves: that is 409.
    """
    body = await read_json(UserChange)
    user = await application().administration.change_user(
        caller(), user_id, is_admin=body.is_admin, disabled=body.disabled
    )
    return answer(AdminUser.of(user))


@blueprint.post("/api/admin/users/<id:user_id>/reset-password")
@operation(Answer(OneTimePassword), errors=(Conflict, TooManyRequests), needs=LOG_IN)
async def reset_password(user_id: UUID) -> Response:
    """Give an account a new password, which is in this answer and nowhere else; all its sessions end."""
    _, password = await application().administration.reset_password(caller(), user_id)
    return answer(OneTimePassword(password))


@blueprint.get("/api/admin/invites")
@operation(Answer(Items[Invite]), query=Paging, needs=Scope.ADMIN)
async def invites() -> Response:
    """List invitations, newest first, used and expired ones too."""
    paging = query(Paging)
    found = await application().administration.invites(caller(), cursor=paging.cursor, limit=paging.limit)
    return answer(page(found, Invite.of))


@blueprint.post("/api/admin/invites")
@operation(Answer(ShownInvite, 201), body=NewInvite, body_needed=False, takes=("Idempotency-Key",), needs=Scope.ADMIN)
async def invite() -> Response:
    """Make an invitation, good for one account. Its code is in this answer and nowhere else."""
    body = await read_json(NewInvite, optional=True)
    made, code = await application().administration.invite(caller(), note=body.note, expires_at=body.expires_at)
    return answer(ShownInvite.of(made, code), 201)


@blueprint.delete("/api/admin/invites/<id:invite_id>")
@operation(NOTHING, needs=Scope.ADMIN)
async def withdraw_invite(invite_id: UUID) -> Response:
    """Withdraw an invitation; an account that was made with it stays."""
    await application().administration.withdraw_invite(caller(), invite_id)
    return nothing()


@blueprint.get("/api/admin/plugins")
@operation(Answer(Items[Plugin]), needs=Scope.ADMIN)
async def plugins() -> Response:
    """List every plugin of the process that answers, and how it is doing."""
    query(Empty)
    return answer(Items([Plugin.of(state) for state in await application().administration.plugins(caller())]))


@blueprint.get("/api/admin/models")
@operation(Answer(Items[Model]), needs=Scope.ADMIN)
async def models() -> Response:
    """List every model of every backend, asked anew."""
    query(Empty)
    return answer(Items([Model.of(model) for model in await application().administration.models(caller())]))
