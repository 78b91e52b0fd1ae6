"""The own account."""

from __future__ import annotations

from quart import Blueprint, Response, request

from eudai_core.errors import Conflict, TooManyRequests
from eudai_quart import credentials
from eudai_quart.context import application, caller
from eudai_quart.openapi.operation import LOG_IN, Answer, operation
from eudai_quart.respond import answer, nothing
from eudai_quart.wire.accounts import AccountChange, AccountDeletion
from eudai_quart.wire.answers import User
from eudai_quart.wire.decode import query, read_json
from eudai_quart.wire.requests import Empty

__all__ = ["blueprint"]

blueprint = Blueprint("users", __name__)


@blueprint.get("/api/users/me")
@operation(Answer(User, headers=("Set-Cookie",)))
async def me() -> Response:
    """Tell the own account.

    A browser that came with the web cookie gets a new one, which is good for as long as the session: this is what a
    page asks first, so that the cookie outlives the keys that cookies are signed with.
    """
    query(Empty)
    response = answer(User.of(await application().accounts.me(caller())))
    secure = request.scheme == "https"
    if credentials.cookie_name(secure=secure) in request.cookies and "Authorization" not in request.headers:
        found = await application().accounts.web_token(caller())
        if found is not None:
            credentials.set_cookie(response, found[0], secure=secure, seconds=found[1])
    return response


@blueprint.patch("/api/users/me")
@operation(Answer(User), body=AccountChange, errors=(Conflict, TooManyRequests), needs=LOG_IN)
async def change() -> Response:
    """Change the own e-mail address or password.

    A new password ends all other sessions at once, with what they have open. API keys stay.
    """
    body = await read_json(AccountChange)
    user = await application().accounts.change(
        caller(),
        current_password=body.current_password,
        email=body.email,
        password=body.password,
        client=request.remote_addr,
    )
    return answer(User.of(user))


@blueprint.delete("/api/users/me")
@operation(
    Answer(status=204, headers=("Set-Cookie",), media=None),
    body=AccountDeletion,
    errors=(TooManyRequests,),
    needs=LOG_IN,
)
async def delete() -> Response:
    """Delete the own account with everything in it."""
    body = await read_json(AccountDeletion)
    await application().accounts.delete(caller(), current_password=body.current_password, client=request.remote_addr)
    response = nothing()
    credentials.clear_cookie(response, secure=request.scheme == "https")
    return response
