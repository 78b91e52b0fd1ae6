"""The core's own settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from eudai_core.settings.schema import setting
from eudai_core.settings.secret import Secret

__all__ = ["MIN_SECRET_BYTES", "SECRET_KEY_PLACEHOLDER", "CoreSettings"]

SECRET_KEY_PLACEHOLDER: Final = "change-me-to-at-least-32-random-bytes"  # noqa: S105 -- refused, see below
"""What ``.env.example`` shows as the secret key; a server with this key does not start."""
MIN_SECRET_BYTES: Final = 32
"""The least length of a secret key in bytes: the size of a SHA-256 hash (RFC 7518, section 3.2)."""


def _data_dir(environ: Mapping[str, str]) -> Path:
    """Return the directory of the XDG base directory specification for a user's data."""
    base = environ.get("XDG_DATA_HOME", "")
    # The specification says that a relative path is to be ignored.
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share"
    return root / "eudai"


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """Everything that the core itself can be told."""

    host: str = setting("127.0.0.1", "Address to listen on.")
    port: int = setting(8000, "Port to listen on; 0 takes a free one.", minimum=0, maximum=65535)
    data_dir: Path = setting(_data_dir, "Directory of the embedded database, uploaded files and the secret key.")
    config: Path | None = setting(None, "A TOML file with settings, one table for each section.")
    secret_key: Secret[str] | None = setting(
        None, "Secret of at least 32 bytes that tokens are signed with; one is made and kept when it is not given."
    )
    default_model: str | None = setting(None, "Model that answers when neither user nor project chose one.")
    signup: Literal["open", "invite", "closed"] | None = setting(
        None, "Who may sign up; not set means open on a loopback address and invite on any other."
    )
    allowed_origins: tuple[str, ...] = setting(
        (), "Origins besides the server's own whose pages may use the web cookie, such as https://chat.example."
    )

    plugins: tuple[str, ...] = setting((), "Names of the plugins to load; empty for all that are installed.")
    plugins_deny: tuple[str, ...] = setting((), "Names of plugins that are not loaded, not even imported.")
    safe_mode: bool = setting(False, "Load the plugins of the eudai distribution only.")

    storage: str = setting("sql", "Name of the storage.")
    search_index: str = setting("sql", "Name of the search index.")
    blob_store: str = setting("local", "Name of the blob store.")
    event_bus: str = setting("sql", "Name of the event bus.")
    token_issuer: str = setting("jwt", "Name of what makes access tokens.")
    chunker: str = setting("paragraphs", "Name of what cuts documents into passages.")
    context_ranker: str = setting("score", "Name of what orders the parts of a prompt.")
    context_budgeter: str = setting("shares", "Name of what chooses the parts of a prompt that fit.")
    authenticators: tuple[str, ...] = setting(
        ("jwt", "api_key"), "Names of the authenticators, in the order they are asked."
    )
    password_hashers: tuple[str, ...] = setting(
        ("bcrypt",), "Names of the password hashers: the first hashes, all verify."
    )
    stream_filters: tuple[str, ...] = setting((), "Names of the filters that every answer passes, in this order.")

    max_upload_mb: int = setting(200, "Largest upload in megabytes.", minimum=1)
    stream_tick_ms: int = setting(
        33, "Pieces of an answer are sent together every so many ms; 0 sends each.", minimum=0
    )
    run_lease_s: float = setting(15.0, "Seconds after which a silent process loses its running answers.", minimum=1)
    drain_grace_s: float = setting(20.0, "Seconds that running answers get to end when the server stops.", minimum=0)
    event_retention_hours: int = setting(
        24, "Hours after the end of an answer that its events are kept for readers that come back.", minimum=1
    )
    queue_limit: int = setting(1000, "Questions that may wait for one backend before new ones are refused.", minimum=1)
    access_token_minutes: int = setting(15, "Minutes that an access token is good for.", minimum=1)
    session_days: int = setting(30, "Days after which one must sign in again.", minimum=1)
    rate_limits: bool = setting(True, "Whether wrong passwords are answered ever later; off is for load tests.")
    log_level: Literal["debug", "info", "warning", "error"] = setting("info", "How much is logged.")

    def __post_init__(self) -> None:
        """Refuse a secret key that everybody knows or that is too short to sign with."""
        if self.secret_key is None:
            return
        key = self.secret_key.reveal()
        advice = "set EUDAI_SECRET_KEY to random text, or leave it unset and one is made and kept"
        if key == SECRET_KEY_PLACEHOLDER:
            raise ValueError(f"EUDAI_SECRET_KEY is the placeholder of .env.example; {advice}")
        if len(key.encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"EUDAI_SECRET_KEY has fewer than {MIN_SECRET_BYTES} bytes; {advice}")
