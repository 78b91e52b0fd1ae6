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
    EventBus,
)
from eudai_core.contracts.clock import (
    Clock,
)
from eudai_core.contracts.content import (
    TextExtractor,
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
    Contexts,
    Conversations,
    Documents,
    Events,
    Jobs,
    Messages,
    PluginStates,
    Projects,
    Runs,
    Sessions,
    Storage,
    UnitOfWork,
    Users,
)

__all__ = [
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
    "Fit",
    "HealthCheck",
    "HealthCheckRegistrar",
    "JobHandler",
    "JobQueue",
    "JobRegistrar",
    "Jobs",
    "LLMBackend",
    "Messages",
    "MigrationRegistrar",
    "PasswordHasher",
    "Plugin",
    "PluginContext",
    "PluginStates",
    "Projects",
    "Registrar",
    "Runs",
    "SearchIndex",
    "Sessions",
    "SettingsRegistrar",
    "Storage",
    "StreamFilter",
    "TextExtractor",
    "TokenIssuer",
    "Tokenizer",
    "UnitOfWork",
    "Users",
]
