"""Every table, by concern. Names and columns are those of the public contract, section 4."""

from eudai_sql.tables.accounts import (
    plugin_states,
    refresh_tokens,
    sessions,
    users,
)
from eudai_sql.tables.chat import (
    ACTIVE,
    QUEUED,
    RUNNING,
    commands,
    context_records,
    conversations,
    events,
    messages,
    runs,
)
from eudai_sql.tables.content import (
    document_versions,
    files,
    instructions,
    projects,
    text_owners,
    texts,
)
from eudai_sql.tables.metadata import (
    metadata,
)
from eudai_sql.tables.search import (
    passages,
    postings,
    search_documents,
    search_projects,
)
from eudai_sql.tables.work import (
    OPEN,
    RUNNING_JOB,
    WAITING_JOB,
    jobs,
)

__all__ = [
    "ACTIVE",
    "OPEN",
    "QUEUED",
    "RUNNING",
    "RUNNING_JOB",
    "WAITING_JOB",
    "commands",
    "context_records",
    "conversations",
    "document_versions",
    "events",
    "files",
    "instructions",
    "jobs",
    "messages",
    "metadata",
    "passages",
    "plugin_states",
    "postings",
    "projects",
    "refresh_tokens",
    "runs",
    "search_documents",
    "search_projects",
    "sessions",
    "text_owners",
    "texts",
    "users",
]
