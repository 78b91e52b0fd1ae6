"""The one connection that a process listens and notifies on.

All topics share one channel, named after the schema. PostgreSQL wakes every session that listens for every
notification of the database in any case, so channels of their own would save little, and would cost a statement for
each subscription, and for all of them again after an outage.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2s
from typing import Any, Final, Self

from eudai_sql.bus import Message
from eudai_sql.engines import postgresql_connector

__all__ = ["Heard", "NotifyLink", "channel_of", "payload_of", "read_payload"]

_log: Final = logging.getLogger(__name__)
_SETTINGS: Final = {"application_name": "eudai events"}
_PATIENCE_S: Final = 1.5
_SEND: Final = "select pg_notify($1, payload) from unnest($2::text[]) as payload"
_PING: Final = "select 1"

Heard = Callable[[str | None, Message], None]
"""Called with a topic and a message of another process; a topic of None says that it lost some of its messages."""


class NotifyLink:
    """An open connection. After any error it is not used again."""

    def __init__(self, connection: Any) -> None:
        """Use a connection of asyncpg; see :meth:`open`."""
        self._connection = connection
        self._pid: int = connection.get_server_pid()
        self._channel = ""

    @classmethod
    async def open(cls, dsn: str, heard: Heard, lost: Callable[[], None]) -> Self:
        """Connect to the database at ``dsn`` and listen; ``lost`` is called when the connection ends.

        Raises:
            OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError: it cannot be done now.
        """
        connection = await postgresql_connector(dsn, _SETTINGS)()
        link = cls(connection)
        try:
            with link._in_time():
                connection.add_termination_listener(lambda _connection: lost())
                schema = await connection.fetchval("select current_schema()")
                link._channel = channel_of(schema or "")
                await connection.add_listener(link._channel, link._receiver(heard))
        except BaseException:
            connection.terminate()
            raise
        return link

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""
        return bool(self._connection.is_closed())

    async def send(self, payloads: Sequence[str]) -> None:
        """Notify everybody, in order, of all or none; without payloads only see whether the server answers."""
        with self._in_time():
            if payloads:
                await self._connection.execute(_SEND, self._channel, list(payloads))
            else:
                await self._connection.execute(_PING)

    async def aclose(self) -> None:
        """Say goodbye to the server, if it still listens."""
        try:
            with self._in_time():
                await self._connection.close()
        except Exception as error:  # it is over in any case, and how it ended changes nothing
            _log.debug("the connection of the event bus was lost in its end: %s", type(error).__name__)

    def abort(self) -> None:
        """Let go of the connection at once."""
        self._connection.terminate()

    def _receiver(self, heard: Heard) -> Callable[[object, int, str, str], None]:
        def receive(_connection: object, pid: int, _channel: str, payload: str) -> None:
            # PostgreSQL gives a session its own notifications too; they were delivered when they were published.
            if pid != self._pid and (entry := read_payload(payload)) is not None:
                heard(*entry)

        return receive

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        # A server that is frozen does not answer a request to cancel either; cutting the connection needs no answer.
        handle = asyncio.get_running_loop().call_later(_PATIENCE_S, self._connection.terminate)
        try:
            yield
        finally:
            handle.cancel()


def channel_of(schema: str) -> str:
    """Return the channel of all topics in a schema: PostgreSQL allows 63 bytes, which a schema's name may have."""
    return f"eudai_{blake2s(schema.encode(), digest_size=8).hexdigest()}"


def payload_of(number: int, topic: str | None, message: Message) -> str:
    """Return the text of a notification: ASCII, so that its characters are its bytes.

    ``number`` tells equal messages apart, of which PostgreSQL would deliver only one of each transaction.

    Raises:
        TypeError, ValueError: the message does not consist of JSON values.
    """
    return json.dumps([number, topic, dict(message)], separators=(",", ":"), allow_nan=False)


def read_payload(payload: str) -> tuple[str | None, Message] | None:
    """Return the topic and the message of a notification, or None for what no bus of ours wrote."""
    try:
        _, topic, message = json.loads(payload)
    except (TypeError, ValueError):
        topic, message = None, None
    if isinstance(topic, str | None) and isinstance(message, dict):
        return topic, message
    _log.debug("a notification of somebody else was left out")
    return None
