"""Signing up, logging in and out."""

from __future__ import annotations

from quart import Blueprint, Response, request

from eudai_core.errors import Conflict, Forbidden, InvalidCredentials, StorageUnavailable, TooManyRequests
from eudai_core.model import Identity, TokenPair
from eudai_quart import credentials
from eudai_quart.context import application, caller
from eudai_quart.openapi.operation import LOG_IN, Answer, operation
from eudai_quart.respond import answer, nothing
from eudai_quart.wire.answers import Tokens, User
from eudai_quart.wire.decode import read_json
from eudai_quart.wire.requests import Login, Refresh, Signup

__all__ = ["blueprint"]

blueprint = Blueprint("auth", __name__)


@blueprint.post("/api/auth/signup")
@operation(Answer(User, 201), body=Signup, errors=(Forbidden, Conflict, TooManyRequests, StorageUnavailable))
async def signup() -> Response:
    """Create an account."""
    body = await read_json(Signup)
    user = await application().accounts.sign_up(
        username=body.username,
        email=body.email,
        password=body.password,
        invite=body.invite,
        client=request.remote_addr,
    )
    return answer(User.of(user), 201)


@blueprint.post("/api/auth/login")
@operation(
    Answer(Tokens, headers=("Set-Cookie",)),
    body=Login,
    errors=(InvalidCredentials, TooManyRequests, StorageUnavailable),
)
async def login() -> Response:
    """Open a session."""
    body = await read_json(Login)
    pair = await application().accounts.log_in(login=body.username, password=body.password, client=request.remote_addr)
    return await _tokens(pair, with_cookie=body.cookie)


@blueprint.post("/api/auth/refresh")
@operation(Answer(Tokens, headers=("Set-Cookie",)), body=Refresh, errors=(InvalidCredentials, StorageUnavailable))
async def refresh() -> Response:
    """Spend a refresh token for new ones; a browser that has the web cookie gets a new one too."""
    body = await read_json(Refresh)
    pair = await application().accounts.refresh(body.refresh_token)
    return await _tokens(pair, with_cookie=credentials.cookie_name(secure=_secure()) in request.cookies)


@blueprint.post("/api/auth/logout")
@operation(Answer(status=204, headers=("Set-Cookie",), media=None), needs=LOG_IN)
async def logout() -> Response:
    """End the session."""
    await application().accounts.log_out(caller())
    response = nothing()
    credentials.clear_cookie(response, secure=_secure())
    return response


async def _tokens(pair: TokenPair, *, with_cookie: bool) -> Response:
    response = answer(Tokens.of(pair))
    if with_cookie:
        opened = Identity(pair.user.id, pair.user.username, session_id=pair.session.id)
        found = await application().accounts.web_token(opened)
        if found is not None:
            credentials.set_cookie(response, found[0], secure=_secure(), seconds=found[1])
    return response


def _secure() -> bool:
    return request.scheme == "https"
