"""Every error that eudai raises on purpose, one tree.

::

    EudaiError                      internal
    ├── ConfigError                 config
    ├── PluginError                 plugin
    │   ├── PluginNotReady          plugin_not_ready
    │   ├── PluginFault             plugin_fault
    │   └── NameTaken               name_taken
    ├── InvalidInput                bad_request
    │   └── BadFile                 bad_file
    ├── Unauthorized                unauthorized
    │   └── InvalidCredentials      unauthorized
    ├── Forbidden                   forbidden
    ├── NotFound                    not_found
    ├── Conflict                    conflict
    │   └── StaleVersion            precondition_failed
    ├── TooManyRequests             too_many_requests
    ├── Unavailable                 unavailable
    │   ├── StorageUnavailable      storage_error
    │   └── Draining                draining
    └── BackendError                llm_failed
        ├── BackendUnavailable      llm_unavailable
        ├── BackendBusy             llm_busy
        ├── ModelNotFound           model_not_found
        ├── ContextTooLong          context_too_long
        └── StreamBroken            llm_stream_broken

``code`` is stable and part of the public contract; ``title`` is what a person reads first. Only a surface
knows status numbers. ``detail`` says what was tried, what happened and what to do, and never holds a secret,
an SQL text, a file path or an internal address.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

__all__ = [
    "BackendBusy",
    "BackendError",
    "BackendUnavailable",
    "BadFile",
    "ConfigError",
    "Conflict",
    "ContextTooLong",
    "Draining",
    "EudaiError",
    "FieldError",
    "Forbidden",
    "InvalidCredentials",
    "InvalidInput",
    "ModelNotFound",
    "NameTaken",
    "NotFound",
    "PluginError",
    "PluginFault",
    "PluginNotReady",
    "StaleVersion",
    "StorageUnavailable",
    "StreamBroken",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
]


class EudaiError(Exception):
    """The root: something eudai noticed and can name."""

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, *, retry_after: float | None = None) -> None:
        """Keep ``detail`` (for people) and ``retry_after`` (seconds until a retry makes sense, or None)."""
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after


class ConfigError(EudaiError):
    """A setting is missing, unknown or unusable."""

    code = "config"
    title = "Configuration error"


class PluginError(EudaiError):
    """A plugin broke a rule of the host."""

    code = "plugin"
    title = "Plugin error"


class PluginNotReady(PluginError):
    """Raised by a factory whose outside world is not there yet; the host tries again after ``retry_after``."""

    code = "plugin_not_ready"
    title = "Plugin not ready"


class PluginFault(PluginError):
    """A plugin raised, hung, returned nonsense, or is skipped for having done so too often."""

    code = "plugin_fault"
    title = "Plugin fault"


class NameTaken(PluginError):
    """Two plugins registered one name for one role."""

    code = "name_taken"
    title = "Name taken"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with the caller's data: where (a path such as ``$.content``) and what."""

    path: str
    message: str


class InvalidInput(EudaiError):
    """The caller's data breaks the contract."""

    code = "bad_request"
    title = "Bad request"

    def __init__(self, detail: str, *, errors: tuple[FieldError, ...] = ()) -> None:
        """Keep ``errors``, one entry for each field that is wrong."""
        super().__init__(detail)
        self.errors = errors


class BadFile(InvalidInput):
    """An uploaded file is empty, too large, broken or of a type that is not allowed."""

    code = "bad_file"
    title = "Bad file"


class Unauthorized(EudaiError):
    """No usable credentials came with the request."""

    code = "unauthorized"
    title = "Unauthorized"


class InvalidCredentials(Unauthorized):
    """Credentials came, an authenticator knows their kind, and they are wrong, expired or revoked."""


class Forbidden(EudaiError):
    """The caller is known and may not do this."""

    code = "forbidden"
    title = "Forbidden"


class NotFound(EudaiError):
    """There is no such object, or it is another user's: the two are told apart nowhere."""

    code = "not_found"
    title = "Not found"


class Conflict(EudaiError):
    """A unique name is taken, or an idempotency key came back with another content."""

    code = "conflict"
    title = "Conflict"


class StaleVersion(Conflict):
    """The caller's version of the object is no longer the newest one."""

    code = "precondition_failed"
    title = "Precondition failed"


class TooManyRequests(EudaiError):
    """A rate limit or quota was reached."""

    code = "too_many_requests"
    title = "Too many requests"


class Unavailable(EudaiError):
    """Something the server needs is not there now."""

    code = "unavailable"
    title = "Unavailable"


class StorageUnavailable(Unavailable):
    """The database or the blob store does not answer, or its disk is full."""

    code = "storage_error"
    title = "Storage error"


class Draining(Unavailable):
    """This process is going away and takes no new work."""

    code = "draining"
    title = "Restarting"


class BackendError(EudaiError):
    """An LLM backend failed in a way that has no better name."""

    code = "llm_failed"
    title = "LLM failed"


class BackendUnavailable(BackendError):
    """The LLM backend cannot be reached."""

    code = "llm_unavailable"
    title = "LLM unavailable"


class BackendBusy(BackendError):
    """The LLM backend, or our queue in front of it, is full."""

    code = "llm_busy"
    title = "LLM busy"


class ModelNotFound(BackendError):
    """No backend offers the model asked for."""

    code = "model_not_found"
    title = "Model not found"


class ContextTooLong(BackendError):
    """What must be sent does not fit the model's window."""

    code = "context_too_long"
    title = "Context too long"

    def __init__(self, detail: str, *, prompt_tokens: int | None = None, window: int | None = None) -> None:
        """Keep the sizes in tokens where they are known."""
        super().__init__(detail)
        self.prompt_tokens = prompt_tokens
        self.window = window


class StreamBroken(BackendError):
    """An answer broke off: an error line, an end without ``done``, a lost connection, a stall."""

    code = "llm_stream_broken"
    title = "Answer broke off"
