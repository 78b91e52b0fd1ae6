"""Every hook of the core.

Hooks do two things only: they register objects, and they take part in fixed moments of a turn. Nothing per token goes
through a hook. Rules, each held by a test: plain positional parameters, no defaults, no keyword-only ones; a coroutine
exactly when the mode says so; the prefix ``eudai_``; a docstring that tells when it is called, by whom it is
implemented, what it returns, what a fault does, and since which API version it is there.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from types import ModuleType
from typing import TYPE_CHECKING

from eudai_core.hooks import HookMode, hookspec

if TYPE_CHECKING:
    from eudai_core.app import Application
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
        MigrationRegistrar,
        PasswordHasher,
        Registrar,
        SearchIndex,
        SettingsRegistrar,
        Storage,
        StreamFilter,
        TextExtractor,
        TokenIssuer,
        Tokenizer,
        URLFetcher,
    )
    from eudai_core.model import (
        ContextQuery,
        Decision,
        Event,
        Identity,
        ModelInfo,
        ResourceRef,
        Segment,
    )

__all__ = [
    "eudai_add_hookspecs",
    "eudai_authorize",
    "eudai_lifespan",
    "eudai_on_event",
    "eudai_register_authenticators",
    "eudai_register_blob_stores",
    "eudai_register_chunkers",
    "eudai_register_context_budgeters",
    "eudai_register_context_rankers",
    "eudai_register_context_sources",
    "eudai_register_event_buses",
    "eudai_register_exporters",
    "eudai_register_health_checks",
    "eudai_register_jobs",
    "eudai_register_llm_backends",
    "eudai_register_migrations",
    "eudai_register_password_hashers",
    "eudai_register_search_indexes",
    "eudai_register_settings",
    "eudai_register_storage",
    "eudai_register_stream_filters",
    "eudai_register_text_extractors",
    "eudai_register_token_issuers",
    "eudai_register_tokenizers",
    "eudai_register_url_fetchers",
    "eudai_select_model",
    "eudai_transform_context",
]


@hookspec(HookMode.SYNC)
def eudai_add_hookspecs() -> ModuleType | type | None:
    """Bring hook specs of one's own, for other plugins to implement.

    When: once, after all plugins were imported and before any is registered. Who: a plugin that others extend.
    Returns: a module or class with specs, or None. Faults: the plugin is failed. Since: 0.1.
    """


@hookspec(HookMode.SYNC)
def eudai_register_settings(register: SettingsRegistrar) -> None:
    """Register the plugin's settings.

    When: once at composition, before any other registration. Who: a plugin with settings. Returns: nothing.
    Faults: the plugin is failed; an unknown or unusable value names the variable and where it came from. Since: 0.1.
    """


@hookspec(HookMode.SYNC)
def eudai_register_migrations(register: MigrationRegistrar) -> None:
    """Register the plugin's own tables.

    When: once at composition. Who: a plugin that keeps tables, named ``p_<plugin>_…``. Returns: nothing.
    Faults: the plugin is failed. Since: 0.1.
    """


@hookspec(HookMode.SYNC)
def eudai_register_storage(register: Registrar[Storage]) -> None:
    """Register storage.

    When and who: called once at composition. A storage plugin registers its factory; the one named by the setting
    ``storage`` is used. Returns: nothing. Faults: the server does not start without a storage. Since: 0.1.
    """


@hookspec(HookMode.SYNC)
def eudai_register_search_indexes(register: Registrar[SearchIndex]) -> None:
    """Register search indexes.

    When and who: called once at composition. The index named by the setting ``search_index`` is used. Returns:
    nothing. Faults: without one, retrieval and search are off and the server says so. Since: 0.1.
    """


@hookspec(HookMode.SYNC)
def eudai_register_blob_stores(register: Registrar[BlobStore]) -> None:
    """Register blob stores.

    When and who: called once at composition. The store named by the setting ``blob_store`` is used. Returns:
    nothing. Faults: without one, uploads are refused. Since: 0.1.
    """


@hookspec(HookMode.SYNC)
def eudai_register_event_buses(register: Registrar[EventBus]) -> None:
    """Register event buses.

    When and who: called once at composition. The bus named by the setting ``event_bus`` is used. Returns: nothing.
    Faults: the server does not start without one. Since: 0.1.
    """


@hookspec(HookMode.SYNC)
def eudai_register_token_issuers(register: Registrar[TokenIssuer]) -> None:
    """Register token issuers.

    When and who: called once at composition. The issuer named by the setting ``token_issuer`` makes the access
    tokens. Returns: nothing. Faults: without one, nobody can log in. Since: 0.1.
    """


@hookspec(HookMode.SYNC)
def eudai_register_chunkers(register: Registrar[Chunker]) -> None:
    """Register chunkers.

    When and who: called once at composition. The chunker named by the setting ``chunker`` cuts documents into
    passages. Returns: nothing. Faults: without one, files are not searchable. Since: 0.1.
    """


@hookspec(HookMode.SYNC)
def eudai_register_context_rankers(register: Registrar[ContextRanker]) -> None:
    """Register context rankers.

    When and who: called once at composition. The ranker named by the setting ``context_ranker`` orders what the
    sources offer. Returns: nothing. Faults: a fault in a turn leaves the order of the scores. Since: 0.1.
    """


@hookspec(HookMode.SYNC)
def eudai_register_context_budgeters(register: Registrar[ContextBudgeter]) -> None:
    """Register context budgeters.

    When and who: called once at composition. The budgeter named by the setting ``context_budgeter`` chooses what
    fits. Returns: nothing. Faults: the server does not start without one. Since: 0.1.
    """


@hookspec(HookMode.SYNC)
def eudai_register_authenticators(register: Registrar[Authenticator]) -> None:
    """Register authenticators.

    When and who: called once at composition. The authenticators listed by the setting ``authenticators`` are asked
    in that order. Returns: nothing. Faults: one that raises anything but InvalidCredentials counts as a fault and
    denies the request. Since: 0.1.
    """


@hookspec(HookMode.SYNC)
def eudai_register_password_hashers(register: Registrar[PasswordHasher]) -> None:
    """Register password hashers.

    When and who: called once at composition. Of those listed by ``password_hashers`` the first hashes and all
    verify. Returns: nothing. Faults: without one, nobody can sign up. Since: 0.1.
    """


@hookspec(HookMode.SYNC)
def eudai_register_stream_filters(register: Registrar[StreamFilter]) -> None:
    """Register stream filters.

    When and who: called once at composition. Those listed by ``stream_filters`` are wrapped around each answer in
    that order. Returns: nothing. Faults: a fault ends the answer as failed, with its text kept. Since: 0.1.
    """


@hookspec(HookMode.SYNC)
def eudai_register_llm_backends(register: Registrar[LLMBackend]) -> None:
    """Register LLM backends.

    When and who: called once at composition. Every registered backend offers its models. Returns: nothing. Faults:
    a backend that faults is named in health; its models are missing from the list. Since: 0.1.
    """


@hookspec(HookMode.SYNC)
def eudai_register_tokenizers(register: Registrar[Tokenizer]) -> None:
    """Register tokenizers.

    When and who: called once at composition. A tokenizer's name is the model it counts for; ``estimate`` is used
    for all others. Returns: nothing. Faults: a fault falls back to ``estimate``. Since: 0.1.
    """


@hookspec(HookMode.SYNC)
def eudai_register_text_extractors(register: Registrar[TextExtractor]) -> None:
    """Register text extractors.

    When and who: called once at composition. The extractor for a file is found by its media type. Returns: nothing.
    Faults: a fault marks the file as failed, with the reason. Since: 0.1.
    """


@hookspec(HookMode.SYNC)
def eudai_register_url_fetchers(register: Registrar[URLFetcher]) -> None:
    """Register URL fetchers.

    When and who: called once at composition. A fetcher's name is the scheme of the addresses that it fetches:
    ``http`` or ``https``. Returns: nothing. Faults: a fetch that raises is tried again with back-off, then the page
    is failed, with the reason; without a fetcher it is failed at once. Since: 0.1.
    """


@hookspec(HookMode.SYNC)
def eudai_register_exporters(register: Registrar[Exporter]) -> None:
    """Register exporters.

    When and who: called once at composition. An exporter's name is the ``format`` of a conversation's download.
    Returns: nothing. Faults: a fault fails that download. Since: 0.1.
    """


@hookspec(HookMode.SYNC)
def eudai_register_context_sources(register: Registrar[ContextSource]) -> None:
    """Register context sources.

    When and who: called once at composition. All sources are asked in each turn, concurrently, each under a time
    limit. Returns: nothing. Faults: a source that faults or is late is left out of that turn, counted and named in
    the report. Since: 0.1.
    """


@hookspec(HookMode.SYNC)
def eudai_register_jobs(register: Registrar[JobHandler]) -> None:
    """Register jobs.

    When and who: called once at composition. The registered name is the kind of the jobs that the handler does.
    Returns: nothing. Faults: a job that raises is tried again with back-off, then failed. Since: 0.1.
    """


@hookspec(HookMode.SYNC)
def eudai_register_health_checks(register: Registrar[HealthCheck]) -> None:
    """Register health checks.

    When and who: called once at composition. All checks are asked when health is. Returns: nothing. Faults: a check
    that raises or is late counts as down. Since: 0.1.
    """


@hookspec(HookMode.LIFESPAN)
def eudai_lifespan(app: Application) -> AbstractAsyncContextManager[None] | None:
    """Take part in the life of the application.

    When: entered after every object was built, in load order; left in reverse. Who: a plugin with tasks or resources
    of its own. Returns: an async context manager, or None. Faults: the plugin is failed and the rest goes on.
    Since: 0.1.
    """


@hookspec(HookMode.FIRST, timeout=2.0)
async def eudai_select_model(
    identity: Identity, requested: str | None, available: tuple[ModelInfo, ...]
) -> ModelInfo | None:
    """Choose the model of a turn.

    When: once a turn, before it is queued. Who: a plugin with a routing policy. Returns: one of ``available``, or None
    for no opinion; the first answer that is not None holds. Faults: skipped and counted. Since: 0.1.
    """


@hookspec(HookMode.VOTE, timeout=2.0)
async def eudai_authorize(identity: Identity, action: str, resource: ResourceRef) -> Decision | None:
    """Vote on whether somebody may do something.

    When: each time a service is about to use an object for somebody; ``action`` is ``read``, ``write``, ``delete`` or
    ``create``. Who: the ownership policy, and an operator's rules. Returns: a Decision, or None to abstain; one DENY
    denies, and without an ALLOW the answer is no. Faults: deny. Since: 0.1.
    """


@hookspec(HookMode.PIPELINE, timeout=5.0)
async def eudai_transform_context(context: tuple[Segment, ...], query: ContextQuery) -> tuple[Segment, ...] | None:
    """Append to this turn's user message.

    When: once a turn, after the budget was applied. Who: a plugin that adds volatile facts or notes. Returns: the
    segments given, in their order, with more of stability TURN at the end, or None for no change; anything else is a
    fault. Faults: skipped and counted. Since: 0.1.
    """


@hookspec(HookMode.NOTIFY, timeout=10.0)
async def eudai_on_event(event: Event) -> None:
    """Hear of a committed change.

    When: after commit, from a bounded queue; never for deltas. Who: a plugin that reacts (webhooks, audit).
    Returns: nothing. Faults: counted; nobody else notices. Since: 0.1.
    """
