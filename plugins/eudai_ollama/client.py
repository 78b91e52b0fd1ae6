"""HTTP to one Ollama, over aiohttp."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import aiohttp
import msgspec

from eudai_core.contracts import Clock
from eudai_core.errors import BackendError, BackendUnavailable
from eudai_ollama.address import base_url
from eudai_ollama.faults import refused, unreachable
from eudai_ollama.payload import unload_body
from eudai_ollama.settings import OllamaSettings
from eudai_ollama.timing import within
from eudai_ollama.wire import Processes, Shown, Tags, Version

__all__ = ["OllamaClient"]

T = TypeVar("T")

_CONTROL_TIMEOUT = 10.0
_MAX_ERROR_BODY = 64 * 1024
_HEADERS = {"Content-Type": "application/json"}


class OllamaClient:
    """One session for the life of the server: no limit of connections, no proxy from the environment, no redirects.

    The plain calls raise BackendUnavailable when Ollama cannot be reached or is silent for ``timeout`` seconds, and
    what :func:`eudai_ollama.faults.refused` says when it refuses.
    """

    def __init__(self, settings: OllamaSettings, clock: Clock) -> None:
        """Open the session; to be called in the event loop.

        Raises:
            ConfigError: the address is unusable.
        """
        self._url = base_url(settings.host)
        self._clock = clock
        headers = dict(_HEADERS)
        if settings.api_key:
            headers["Authorization"] = f"Bearer {settings.api_key.reveal()}"
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_timeout, sock_read=None)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=timeout, headers=headers, trust_env=False
        )

    async def version(self, timeout: float = _CONTROL_TIMEOUT) -> str:  # noqa: ASYNC109 -- by our clock
        """Return the server's version."""
        return (await self._get("/api/version", Version, timeout)).version

    async def tags(self, timeout: float = _CONTROL_TIMEOUT) -> Tags:  # noqa: ASYNC109 -- by our clock
        """Return the installed models."""
        return await self._get("/api/tags", Tags, timeout)

    async def processes(self, timeout: float = _CONTROL_TIMEOUT) -> Processes:  # noqa: ASYNC109 -- by our clock
        """Return the loaded models."""
        return await self._get("/api/ps", Processes, timeout)

    async def show(self, model: str, timeout: float = _CONTROL_TIMEOUT) -> Shown:  # noqa: ASYNC109 -- by our clock
        """Return what a model can do."""
        body = msgspec.json.encode({"model": model})
        return await self._plain(lambda: self._post("/api/show", body), Shown, timeout, model)

    async def unload(self, model: str, timeout: float = _CONTROL_TIMEOUT) -> None:  # noqa: ASYNC109 -- by our clock
        """Have a model unloaded, which ends nothing that runs."""
        await self._plain(lambda: self._post("/api/chat", unload_body(model)), Version, timeout, model)

    async def chat(self, body: bytes, model: str) -> aiohttp.ClientResponse:
        """Return the answer's stream, once Ollama sends its status; the caller closes it.

        There is no time limit besides the one for the connection: queue, loading and reading the prompt come first.
        Cancelling closes the connection.

        Raises:
            BackendError: what :func:`eudai_ollama.faults.refused` says.
            BackendUnavailable: Ollama cannot be reached, or hung up before it answered.
        """
        response = await self._open(lambda: self._post("/api/chat", body))
        if response.status == 200:
            return response
        try:
            raise await within(self._clock, _CONTROL_TIMEOUT, _refusal(response, model))
        except TimeoutError as error:
            raise refused(response.status, b"", model=model) from error
        finally:
            response.close()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def _get(self, path: str, kind: type[T], timeout: float) -> T:  # noqa: ASYNC109 -- by our clock
        return await self._plain(lambda: self._session.get(self._url + path, allow_redirects=False), kind, timeout, "")

    def _post(self, path: str, body: bytes) -> Awaitable[aiohttp.ClientResponse]:
        return self._session.post(self._url + path, data=body, allow_redirects=False)

    async def _plain(
        self,
        send: Callable[[], Awaitable[aiohttp.ClientResponse]],
        kind: type[T],
        timeout: float,  # noqa: ASYNC109 -- by our clock
        model: str,
    ) -> T:
        async def whole() -> bytes:
            response = await self._open(send)
            try:
                if response.status != 200:
                    raise await _refusal(response, model)
                return await response.read()
            except aiohttp.ClientError as error:
                raise unreachable() from error
            finally:
                response.close()

        try:
            body = await within(self._clock, timeout, whole())
        except TimeoutError as error:
            raise BackendUnavailable(
                f"Ollama was silent for {timeout:g} seconds. Is its machine overloaded?"
            ) from error
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BackendUnavailable(
                "What answers at Ollama's address does not speak its language. Correct EUDAI_OLLAMA_HOST."
            ) from error

    async def _open(self, send: Callable[[], Awaitable[aiohttp.ClientResponse]]) -> aiohttp.ClientResponse:
        try:
            return await send()
        except (aiohttp.ClientError, OSError) as error:
            raise unreachable() from error


async def _refusal(response: aiohttp.ClientResponse, model: str) -> BackendError:
    body = bytearray()
    with suppress(aiohttp.ClientError):  # what came, or the status alone, must do
        while len(body) < _MAX_ERROR_BODY and (data := await response.content.readany()):
            body += data
    return refused(response.status, bytes(body), model=model, retry_after=response.headers.get("Retry-After"))
