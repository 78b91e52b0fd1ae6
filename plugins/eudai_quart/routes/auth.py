"""Signing up, logging in and out, and the own account."""

from __future__ import annotations

from quart import Blueprint, Response, request

from eudai_core.model import TokenPair
from eudai_quart import credentials
from eudai_quart.context import application, caller
from eudai_quart.respond import answer, nothing
from eudai_quart.wire.answers import Tokens, User
from eudai_quart.wire.decode import read_json
from eudai_quart.wire.requests import Login, Refresh, Signup

__all__ = ["blueprint"]

blueprint = Blueprint("auth", __name__)


@blueprint.post("/api/auth/signup")
async def signup() -> Response:
    """Create an account."""
    body = await read_json(Signup)
    user = await application().accounts.sign_up(username=body.username, email=body.email, password=body.password)
    return answer(User.of(user), 201)


@blueprint.post("/api/auth/login")
async def login() -> Response:
    """Open a session."""
    body = await read_json(Login)
    pair = await application().accounts.log_in(login=body.username, password=body.password)
    return _tokens(pair, with_cookie=body.cookie)


@blueprint.post("/api/auth/refresh")
async def refresh() -> Response:
    """Spend a refresh token for new ones; a browser that has the web cookie gets a new one too."""
    body = await read_json(Refresh)
    pair = await application().accounts.refresh(body.refresh_token)
    return _tokens(pair, with_cookie=credentials.cookie_name(secure=_secure()) in request.cookies)


@blueprint.post("/api/auth/logout")
async def logout() -> Response:
    """End the session."""
    await application().accounts.log_out(caller())
    response = nothing()
    credentials.clear_cookie(response, secure=_secure())
    return response


@blueprint.get("/api/users/me")
async def me() -> Response:
    """Tell the own account."""
    return answer(User.of(await application().accounts.me(caller())))


def _tokens(pair: TokenPair, *, with_cookie: bool) -> Response:
    response = answer(Tokens.of(pair))
    if with_cookie:
        credentials.set_cookie(response, pair.access_token, secure=_secure(), seconds=pair.expires_in)
    return response


def _secure() -> bool:
    return request.scheme == "https"
