"""The plugin host: finds, checks and loads plugins, runs their hooks, and keeps their faults from everybody else."""

from eudai_core.plugins.host import (
    PluginHost,
)
from eudai_core.plugins.roles import (
    AUTHENTICATORS,
    BLOB_STORES,
    CHUNKERS,
    CONTEXT_BUDGETERS,
    CONTEXT_RANKERS,
    CONTEXT_SOURCES,
    EVENT_BUSES,
    EXPORTERS,
    HEALTH_CHECKS,
    JOB_HANDLERS,
    LLM_BACKENDS,
    PASSWORD_HASHERS,
    ROLES,
    SEARCH_INDEXES,
    STORAGE,
    STREAM_FILTERS,
    TEXT_EXTRACTORS,
    TOKEN_ISSUERS,
    TOKENIZERS,
    URL_FETCHERS,
    Role,
)
from eudai_core.plugins.runner import (
    HookRunner,
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
    "HookRunner",
    "PluginHost",
    "Role",
]
