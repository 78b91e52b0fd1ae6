"""The roles that plugins can fill: which hook registers their objects, and how those that work are chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeVar

from eudai_core.contracts import (
    Authenticator,
    BlobStore,
    Chunker,
    ContextBudgeter,
    ContextRanker,
    ContextSource,
    EventBus,
    Exporter,
    HealthCheck,
    JobHandler,
    LLMBackend,
    PasswordHasher,
    SearchIndex,
    Storage,
    StreamFilter,
    TextExtractor,
    TokenIssuer,
    Tokenizer,
    URLFetcher,
)

__all__ = [
    "AUTHENTICATORS",
    "BLOB_STORES",
    "CHUNKERS",
    "CONTEXT_BUDGETERS",
    "CONTEXT_RANKERS",
    "CONTEXT_SOURCES",
    "EVENT_BUSES",
    "EXPORTERS",
    "HEALTH_CHECKS",
    "JOB_HANDLERS",
    "LLM_BACKENDS",
    "PASSWORD_HASHERS",
    "ROLES",
    "SEARCH_INDEXES",
    "STORAGE",
    "STREAM_FILTERS",
    "TEXT_EXTRACTORS",
    "TOKENIZERS",
    "TOKEN_ISSUERS",
    "URL_FETCHERS",
    "Role",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Role(Generic[T]):
    """A role: ``name`` for people, the registering ``hook``, and the ``contract`` that its objects fulfil.

    ``choice`` says which objects work: the ``one`` that the core's setting ``setting`` names, the ``list`` that it
    names, in that order, or all of them, looked up by name (``keyed``) or asked together (``all``). Without a
    ``required`` role the server does not start.
    """

    name: str
    hook: str
    contract: Any
    choice: Literal["one", "list", "keyed", "all"]
    setting: str | None = None
    required: bool = False

    @property
    def variable(self) -> str:
        """The environment variable that chooses."""
        return f"EUDAI_{self.setting}".upper()


STORAGE: Final[Role[Storage]] = Role("storage", "eudai_register_storage", Storage, "one", "storage", required=True)
EVENT_BUSES: Final[Role[EventBus]] = Role(
    "event bus", "eudai_register_event_buses", EventBus, "one", "event_bus", required=True
)
BLOB_STORES: Final[Role[BlobStore]] = Role("blob store", "eudai_register_blob_stores", BlobStore, "one", "blob_store")
SEARCH_INDEXES: Final[Role[SearchIndex]] = Role(
    "search index", "eudai_register_search_indexes", SearchIndex, "one", "search_index"
)
TOKEN_ISSUERS: Final[Role[TokenIssuer]] = Role(
    "token issuer", "eudai_register_token_issuers", TokenIssuer, "one", "token_issuer"
)
CHUNKERS: Final[Role[Chunker]] = Role("chunker", "eudai_register_chunkers", Chunker, "one", "chunker")
CONTEXT_RANKERS: Final[Role[ContextRanker]] = Role(
    "context ranker", "eudai_register_context_rankers", ContextRanker, "one", "context_ranker"
)
CONTEXT_BUDGETERS: Final[Role[ContextBudgeter]] = Role(
    "context budgeter", "eudai_register_context_budgeters", ContextBudgeter, "one", "context_budgeter", required=True
)
AUTHENTICATORS: Final[Role[Authenticator]] = Role(
    "authenticator", "eudai_register_authenticators", Authenticator, "list", "authenticators"
)
PASSWORD_HASHERS: Final[Role[PasswordHasher]] = Role(
    "password hasher", "eudai_register_password_hashers", PasswordHasher, "list", "password_hashers"
)
STREAM_FILTERS: Final[Role[StreamFilter]] = Role(
    "stream filter", "eudai_register_stream_filters", StreamFilter, "list", "stream_filters"
)
LLM_BACKENDS: Final[Role[LLMBackend]] = Role("LLM backend", "eudai_register_llm_backends", LLMBackend, "keyed")
TOKENIZERS: Final[Role[Tokenizer]] = Role("tokenizer", "eudai_register_tokenizers", Tokenizer, "keyed")
TEXT_EXTRACTORS: Final[Role[TextExtractor]] = Role(
    "text extractor", "eudai_register_text_extractors", TextExtractor, "keyed"
)
URL_FETCHERS: Final[Role[URLFetcher]] = Role("URL fetcher", "eudai_register_url_fetchers", URLFetcher, "keyed")
EXPORTERS: Final[Role[Exporter]] = Role("exporter", "eudai_register_exporters", Exporter, "keyed")
JOB_HANDLERS: Final[Role[JobHandler]] = Role("job handler", "eudai_register_jobs", JobHandler, "keyed")
CONTEXT_SOURCES: Final[Role[ContextSource]] = Role(
    "context source", "eudai_register_context_sources", ContextSource, "all"
)
HEALTH_CHECKS: Final[Role[HealthCheck]] = Role("health check", "eudai_register_health_checks", HealthCheck, "all")

ROLES: Final[tuple[Role[Any], ...]] = (
    STORAGE,
    EVENT_BUSES,
    BLOB_STORES,
    SEARCH_INDEXES,
    TOKEN_ISSUERS,
    PASSWORD_HASHERS,
    AUTHENTICATORS,
    TOKENIZERS,
    CHUNKERS,
    CONTEXT_RANKERS,
    CONTEXT_BUDGETERS,
    TEXT_EXTRACTORS,
    URL_FETCHERS,
    EXPORTERS,
    LLM_BACKENDS,
    STREAM_FILTERS,
    CONTEXT_SOURCES,
    JOB_HANDLERS,
    HEALTH_CHECKS,
)
"""Every role, in the order in which objects are built: what others are likely to use comes first."""
