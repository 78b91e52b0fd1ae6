"""``Idempotency-Key``: a POST that creates something is done once, however often it is sent.

A route asks for this by naming the header in ``takes`` of its declaration; nothing else of it changes.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from quart import Response, request

from eudai_core.errors import Conflict, FieldError, InvalidInput
from eudai_core.model import StoredAnswer
from eudai_quart.body import JSON_LIMIT, Body
from eudai_quart.context import Surface, application, caller
from eudai_quart.multipart import uploads
from eudai_quart.openapi.operation import UPLOAD, Operation, declared

__all__ = ["HEADER", "install"]

HEADER: Final = "Idempotency-Key"
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
View = Callable[..., Awaitable[Response]]


def install(app: Surface) -> None:
    """Have every registered route that takes the header honour it."""
    for endpoint, view in app.view_functions.items():
        declaration = declared(view)
        if isinstance(declaration, Operation) and HEADER in declaration.takes:
            app.view_functions[endpoint] = _keyed(view, upload=declaration.body == UPLOAD)


def _keyed(view: Any, *, upload: bool) -> View:
    once = _upload_once if upload else _once

    @functools.wraps(view)
    async def keyed(**arguments: Any) -> Response:
        key = _key()
        if key is None:
            response: Response = await view(**arguments)
            return response
        body: Body = request.body  # type: ignore[assignment]  # see eudai_quart.body.Request
        try:
            return _response(await once(key, body, functools.partial(view, **arguments)))
        except asyncio.CancelledError:
            body.give_up()  # the client left; what is done for it goes on, but no byte will come any more
            raise

    return keyed


async def _once(key: str, body: Body, view: View) -> StoredAnswer:
    body.limit = JSON_LIMIT
    request_hash = _hash(hashlib.sha256(await body.kept()))

    async def make() -> tuple[str, int, dict[str, str], bytes]:
        return (request_hash, *await _told(await view()))

    return await application().idempotency.once(caller(), key, request_hash, make)


async def _upload_once(key: str, body: Body, view: View) -> StoredAnswer:
    content = _Content()
    body.digest = content
    made = False

    async def make() -> tuple[str, int, dict[str, str], bytes]:
        nonlocal made
        made = True
        answer = await _told(await view())
        return (_hash(content.sha256()), *answer)

    answer = await application().idempotency.once(caller(), key, None, make)
    if not made:
        async for _ in uploads(request, most_mb=application().core.max_upload_mb):
            pass  # only to hash it
        if answer.request_hash != _hash(content.sha256()):
            raise Conflict("This Idempotency-Key was used for another upload. Use a new one.")
    return answer


class _Content:
    """The content of an upload; see eudai_quart.body.Digest. A piece has 64 KB at most: it is hashed on the spot."""

    def __init__(self) -> None:
        self._whole = hashlib.sha256()
        self._part = hashlib.sha256()

    def part(self, *head: str) -> None:
        """Begin a part."""
        self._whole.update(self._part.digest())
        self._part = hashlib.sha256(repr(head).encode("utf-8", "surrogatepass"))

    def data(self, piece: bytes) -> None:
        """Go on with it."""
        self._part.update(piece)

    def sha256(self) -> Any:
        """Return the hash of all parts."""
        self.part()
        return self._whole


def _key() -> str | None:
    sent = request.headers.getlist(HEADER)
    if not sent:
        return None
    if len(sent) > 1 or not _KEY.fullmatch(sent[0]):
        problem = "must be one text of 1 to 255 visible ASCII characters"
        raise InvalidInput(f"{HEADER} {problem}.", errors=(FieldError(HEADER, problem),))
    return sent[0]


def _hash(content: Any) -> str:
    """Return a hash of all that makes two requests the same."""
    head = [request.method, request.path, request.query_string.decode("latin-1"), request.mimetype, content.hexdigest()]
    return hashlib.sha256("\n".join(head).encode()).hexdigest()


async def _told(response: Response) -> tuple[int, dict[str, str], bytes]:
    body: bytes = await response.get_data(as_text=False)
    headers = {name: value for name, value in response.headers.items() if name != "Content-Length"}
    return response.status_code, headers, body


def _response(answer: StoredAnswer) -> Response:
    response = Response(answer.body, answer.status)
    response.headers.update(answer.headers)
    return response
