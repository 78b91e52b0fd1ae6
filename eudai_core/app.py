"""The application: the plugin host, the services, and the work that goes on behind them."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from eudai_core import __version__
from eudai_core.chat import Chat
from eudai_core.chat.channels import Channels
from eudai_core.chat.claims import Claims
from eudai_core.chat.commands import Commands
from eudai_core.chat.endings import Endings
from eudai_core.chat.heartbeat import Heartbeat
from eudai_core.chat.log import EventLog
from eudai_core.chat.recovery import Recovery
from eudai_core.chat.remote import Remote
from eudai_core.chat.streaming import AnswerStream
from eudai_core.chat.supervisor import Supervisor
from eudai_core.chat.trimming import EventTrimmer
from eudai_core.chat.turn import Turns
from eudai_core.clock import SystemClock
from eudai_core.context import ContextAssembler
from eudai_core.contracts import Clock
from eudai_core.errors import Unavailable
from eudai_core.health import HealthReport, HealthWatch
from eudai_core.ids import new_id
from eudai_core.ingest import INGEST_JOB, Ingest, IngestHandler
from eudai_core.jobs import JobRunner
from eudai_core.plugins import PluginHost
from eudai_core.plugins.roles import BLOB_STORES, EVENT_BUSES, STORAGE
from eudai_core.schema import prepare_schema, single_server
from eudai_core.search import REMOVAL_JOB, MessageIndexer, SearchRemoval
from eudai_core.services import (
    Access,
    Accounts,
    Administration,
    ApiKeys,
    Content,
    Conversations,
    Files,
    Instructions,
    Invites,
    Models,
    Operator,
    Projects,
    Search,
    Urls,
)
from eudai_core.services.fetching import FETCH_JOB, UrlFetch
from eudai_core.services.garbage import BLOB_JOB, BlobGarbage
from eudai_core.services.idempotency import Idempotency
from eudai_core.services.intake import Intake
from eudai_core.services.notices import Notices
from eudai_core.services.user_events import UserEvents
from eudai_core.settings import CoreSettings

__all__ = ["Application"]

DOTENV: Final = Path(".env")


class Application:
    """One eudai, alone or among others in a process: nothing of it is global.

    Use it as ``async with Application.open(…) as app``. The services are what surfaces, the CLI and scripts call.
    """

    def __init__(self, host: PluginHost, jobs: JobRunner, instance: str) -> None:
        """Wire the services over a host that is built; see :meth:`open`."""
        self.version: Final = __version__
        self.instance: Final = instance
        self.host: Final = host
        self.clock: Final = host.clock
        self.core: Final = host.settings.section(CoreSettings)
        self.storage: Final = host.one(STORAGE)
        self.jobs: Final = jobs
        self.draining: Final = asyncio.Event()
        self._wire_services()
        self._wire_chat()
        self.health_watch: Final = HealthWatch(host, self.storage, self.models, self.clock, self.draining, instance)

    def _wire_services(self) -> None:
        host, storage, clock = self.host, self.storage, self.clock
        notices = self._notices = Notices(host, clock)
        access = Access(host)
        garbage = BlobGarbage(storage, host.find(BLOB_STORES), clock, self.jobs.wake)
        self.jobs.add(BLOB_JOB, garbage)
        removal = SearchRemoval(host, clock, self.jobs.wake)
        self.jobs.add(REMOVAL_JOB, removal)
        self.jobs.add(INGEST_JOB, IngestHandler(host, notices))
        self.models = Models(host, clock, self.core)
        self.idempotency = Idempotency(storage, clock)
        self.user_events = UserEvents(host.one(EVENT_BUSES))
        notices.listen(self.user_events.hear)
        self._wire_accounts(garbage)
        self.projects = Projects(storage, access, clock, notices, garbage)
        self.content = self._content(notices, garbage, removal)
        self.conversations = Conversations(host, storage, access, self.projects, clock, notices, removal)
        self.search = Search(host, storage, access, self.projects)
        self.indexer = MessageIndexer(host, storage, clock)
        notices.listen(self.indexer.hear)

    def _content(self, notices: Notices, garbage: BlobGarbage, removal: SearchRemoval) -> Content:
        host, storage, projects, clock = self.host, self.storage, self.projects, self.clock
        intake = Intake(host.find(BLOB_STORES), most_mb=self.core.max_upload_mb)
        ingest = Ingest(clock, self.jobs)
        self.jobs.add(FETCH_JOB, UrlFetch(host, storage, intake, ingest, notices))
        return Content(
            Files(storage, intake, ingest, projects, clock, notices, garbage, removal),
            Urls(storage, projects, clock, notices, garbage, removal),
            Instructions(storage, projects, clock),
        )

    def _wire_accounts(self, garbage: BlobGarbage) -> None:
        host, storage, clock = self.host, self.storage, self.clock
        self.accounts = Accounts(host, storage, clock, self.core, self._notices, garbage)
        changes = self.accounts.changes
        self.api_keys = ApiKeys(storage, clock, changes)
        self.invites = Invites(storage, clock)
        self.operator = Operator(storage, clock, self.accounts.passwords, changes, self._notices)
        self.administration = Administration(host, self.operator, self.invites, self.models)

    def _wire_chat(self) -> None:
        storage, clock, core = self.storage, self.clock, self.core
        self._remote = Remote(self.host.one(EVENT_BUSES), self.instance, alone=storage.single_process)
        channels = Channels(
            storage,
            clock,
            self.instance,
            tick_ms=core.stream_tick_ms,
            lease_s=core.run_lease_s,
            tell=self._remote.tell_log,
        )
        endings = Endings(storage, channels, clock, self._notices)
        lease_s = core.run_lease_s
        turns = Turns(
            storage,
            channels,
            self.models,
            ContextAssembler(self.host, storage),
            AnswerStream(self.host, clock),
            endings,
            clock,
            self.instance,
        )
        self.supervisor = Supervisor(
            Claims(storage, self.models, clock, self.instance, lease_s=lease_s),
            turns,
            endings,
            EventLog(storage, channels, clock),
            Heartbeat(storage, channels, clock, self.instance, lease_s=lease_s),
            Recovery(storage, channels, endings, clock, self.instance),
            EventTrimmer(storage, clock, hours=core.event_retention_hours),
            clock,
            lease_s=lease_s,
        )
        self.chat = Chat(
            storage,
            self.conversations,
            self.projects,
            self.models,
            Commands(storage, channels, clock, self._notices, queue_limit=core.queue_limit),
            channels,
            endings,
            self.supervisor,
            self._remote,
            self.draining,
        )
        self._notices.listen(self.chat.hear)
        self._channels = channels

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        overrides: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        dotenv: Path | None = DOTENV,
        plugins: Sequence[Any] | None = None,
        clock: Clock | None = None,
        background: bool = True,
    ) -> AsyncIterator[Application]:
        """Load the plugins, build what they registered, and run the application until the block ends.

        ``overrides`` are settings that win over every other source; ``environ`` stands in for the process's own
        environment; ``plugins`` (objects, or pairs of name and object) replace those that are installed. With
        ``background=False`` no answers are made and no jobs are done: for commands beside a running server.

        Raises:
            ConfigError: a setting is wrong, a required plugin is missing or failed, or another server uses the data.
        """
        clock = clock or SystemClock()
        host = PluginHost.compose(overrides=overrides, environ=environ, dotenv=dotenv, plugins=plugins, clock=clock)
        instance = f"{socket.gethostname()}-{os.getpid()}-{new_id().hex[-8:]}"
        async with AsyncExitStack() as stack:
            stack.push_async_callback(host.aclose)
            jobs = JobRunner(host, clock, instance)
            await host.build(jobs=jobs)
            app = cls(host, jobs, instance)
            stack.callback(app.accounts.close)
            stack.push_async_callback(app.models.aclose)
            stack.push_async_callback(app._remote.aclose)
            if background:
                await app._run(stack)
            yield app

    async def health(self) -> HealthReport:
        """Return how the application is, within two seconds."""
        return await self.health_watch.report()

    async def drain(self, grace: float) -> None:
        """Take no new work, let running answers end for ``grace`` seconds, then keep them as interrupted."""
        self.draining.set()
        await self.supervisor.drain(grace)

    async def _run(self, stack: AsyncExitStack) -> None:
        if self.storage.single_process:
            stack.enter_context(single_server(self.core.data_dir))
        await prepare_schema(self.storage, self.host)
        await stack.enter_async_context(self.host.lifespans(self))
        stack.callback(self._channels.close)
        await stack.enter_async_context(self._remote.running(self.chat))
        await self.supervisor.start()
        stack.push_async_callback(self.supervisor.close)
        await stack.enter_async_context(self.accounts.running())
        await stack.enter_async_context(self.jobs.running())
        await stack.enter_async_context(self.indexer.running())
        await stack.enter_async_context(self.idempotency.running())
        await stack.enter_async_context(self.user_events.running())
        await stack.enter_async_context(self._watching())
        stack.callback(self.draining.set)

    @asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        watch = asyncio.create_task(self.health_watch.run(), name="eudai-plugin-states")
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            with suppress(Unavailable):  # a report for others: without a database nobody can read it
                await self.health_watch.write(self.host.states())
