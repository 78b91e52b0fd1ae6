"""The contracts between core and plugins: small typed Protocols; registered objects are called directly."""

from eudai_core.contracts.auth import (
    Authenticator,
    PasswordHasher,
    TokenIssuer,
)
from eudai_core.contracts.blobs import (
    BlobStore,
)
from eudai_core.contracts.bus import (
    MISSED,
    EventBus,
)
from eudai_core.contracts.clock import (
    Clock,
)
from eudai_core.contracts.content import (
    FetchedPage,
    TextExtractor,
    URLFetcher,
)
from eudai_core.contracts.context import (
    Chunker,
    ContextBudgeter,
    ContextRanker,
    ContextSource,
    Fit,
    Tokenizer,
)
from eudai_core.contracts.export import (
    Exporter,
)
from eudai_core.contracts.health import (
    HealthCheck,
)
from eudai_core.contracts.jobs import (
    JobHandler,
    JobPostponed,
    JobQueue,
)
from eudai_core.contracts.llm import (
    LLMBackend,
    StreamFilter,
)
from eudai_core.contracts.plugins import (
    Factory,
    HealthCheckRegistrar,
    JobRegistrar,
    MigrationRegistrar,
    Plugin,
    PluginContext,
    Registrar,
    SettingsRegistrar,
)
from eudai_core.contracts.search import (
    SearchIndex,
)
from eudai_core.contracts.storage import (
    Answers,
    ApiKeys,
    Contexts,
    Conversations,
    Documents,
    Events,
    Invites,
    Jobs,
    Loading,
    LoginFailures,
    Messages,
    OffersSql,
    PluginStates,
    PortableDatabase,
    PortableStorage,
    Projects,
    Row,
    RowSource,
    Runs,
    Sessions,
    SigningKeys,
    Snapshot,
    Sql,
    Storage,
    TableShape,
    UnitOfWork,
    Urls,
    Users,
)

__all__ = [
    "MISSED",
    "Answers",
    "ApiKeys",
    "Authenticator",
    "BlobStore",
    "Chunker",
    "Clock",
    "ContextBudgeter",
    "ContextRanker",
    "ContextSource",
    "Contexts",
    "Conversations",
    "Documents",
    "EventBus",
    "Events",
    "Exporter",
    "Factory",
    "FetchedPage",
    "Fit",
    "HealthCheck",
    "HealthCheckRegistrar",
    "Invites",
    "JobHandler",
    "JobPostponed",
    "JobQueue",
    "JobRegistrar",
    "Jobs",
    "LLMBackend",
    "Loading",
    "LoginFailures",
    "Messages",
    "MigrationRegistrar",
    "OffersSql",
    "PasswordHasher",
    "Plugin",
    "PluginContext",
    "PluginStates",
    "PortableDatabase",
    "PortableStorage",
    "Projects",
    "Registrar",
    "Row",
    "RowSource",
    "Runs",
    "SearchIndex",
    "Sessions",
    "SettingsRegistrar",
    "SigningKeys",
    "Snapshot",
    "Sql",
    "Storage",
    "StreamFilter",
    "TableShape",
    "TextExtractor",
    "TokenIssuer",
    "Tokenizer",
    "URLFetcher",
    "UnitOfWork",
    "Urls",
    "Users",
]
