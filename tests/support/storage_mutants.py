"""Storages in memory that break the contract, each in its own way, and the checks that must notice."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from eudai_core.model import Health, HealthStatus, Page, ProjectCounts
from eudai_core.testing import MemoryStorage
from eudai_core.testing._memory import (
    accounts,
    conversations,
    credentials,
    documents,
    events,
    messages,
    owned,
    projects,
    runs,
    state,
    transaction,
    upkeep,
    urls,
    values,
)
from support import account_faults, document_faults
from support import storage_faults as faults
from support.storage_faults import LATER, answers, becomes, given, nothing

__all__ = ["MUTANTS", "Mutant"]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One thing changed: ``home.name`` is replaced by ``make(what it was)``; ``check`` must notice."""

    home: Any
    name: str
    make: Callable[[Any], Any]
    check: str

    def __str__(self) -> str:
        return f"{self.home.__name__.rpartition('.')[2]}.{self.name}-{self.check}"


UNITS = [
    Mutant(transaction.Transaction, "commit", becomes(lambda _, tx: tx.end()), "committed_is_there_for_all"),
    Mutant(transaction.Transaction, "end", becomes(faults.keeps_uncommitted), "nothing_without_commit"),
    Mutant(transaction.Transaction, "end", becomes(faults.keeps_uncommitted), "cancelled_in_the_middle"),
    Mutant(transaction.Transaction, "end", becomes(faults.keeps_uncommitted), "error_undoes_the_unit"),
    Mutant(transaction.Transaction, "end", becomes(faults.keeps_uncommitted), "cancelled_anywhere"),
    Mutant(transaction.Transaction, "end", becomes(faults.never_ends), "ended_unit"),
    Mutant(transaction.Transaction, "writing", becomes(lambda _, tx: tx.reading()), "readonly_never_writes"),
    Mutant(
        transaction.Transaction,
        "__init__",
        becomes(lambda original, tx, database, **options: original(tx, database, **(options | {"snapshot": False}))),
        "readonly_is_a_snapshot",
    ),
    Mutant(
        transaction.Transaction,
        "__init__",
        becomes(lambda original, tx, database, **options: original(tx, database, **(options | {"snapshot": True}))),
        "single_reads_are_fresh",
    ),
    Mutant(state.State, "copy", becomes(lambda _, rows: rows), "uncommitted_is_unseen"),
    Mutant(transaction.Database, "__init__", becomes(faults.without_turn), "writers_at_once"),
    Mutant(transaction.Database, "__init__", becomes(faults.without_turn), "one_writer_wins"),
    Mutant(transaction.Database, "__init__", becomes(faults.without_turn), "claimers_at_once"),
    Mutant(transaction.Database, "__init__", becomes(faults.without_turn), "job_claimers_at_once"),
    Mutant(transaction.Database, "__init__", becomes(faults.without_turn), "lease_at_once"),
    Mutant(transaction.Database, "__init__", becomes(faults.without_turn), "stop_at_once"),
    Mutant(transaction.Database, "__init__", becomes(faults.without_turn), "one_command_at_once"),
    Mutant(transaction.Database, "__init__", becomes(faults.without_turn), "refresh_token_spent_once"),
    Mutant(transaction.Database, "__init__", becomes(faults.without_turn), "trimmers_at_once"),
    Mutant(transaction.Database, "__init__", becomes(faults.without_turn), "invite_spent_once"),
    Mutant(transaction.Database, "__init__", becomes(faults.without_turn), "failures_at_once"),
    Mutant(transaction.Database, "__init__", becomes(faults.without_turn), "answers_begun_once"),
    Mutant(transaction.Database, "__init__", becomes(faults.without_turn), "user_deleted_while_added_to"),
    Mutant(MemoryStorage, "health", nothing(Health(HealthStatus.DOWN)), "health"),
    Mutant(MemoryStorage, "migrate", nothing(("core:1",)), "migrated_already"),
    Mutant(MemoryStorage, "description", lambda _: " ", "storage_describes_itself"),
    Mutant(projects, "kept", becomes(lambda _, value: value), "values_are_copies"),
    Mutant(values, "_text", becomes(lambda _, text: text), "unstorable_text"),
    Mutant(
        values, "_text", becomes(lambda original, text: unicodedata.normalize("NFC", original(text))), "awkward_text"
    ),
    Mutant(values, "_text", becomes(lambda original, text: original(text).replace("\uffff", "")), "all_of_unicode"),
    Mutant(values, "_text", becomes(lambda original, text: original(text)[:1_500_000]), "large_texts"),
    Mutant(values, "_kept", becomes(faults.without_zone), "times"),
]
PEOPLE = [
    Mutant(accounts, "_key", becomes(lambda _, name: name), "users"),
    Mutant(accounts, "_key", becomes(lambda _, name: name), "unique_users"),
    Mutant(accounts.MemoryUsers, "by_login", becomes(faults.name_first), "address_before_name"),
    Mutant(accounts.MemoryUsers, "set_password_hash", nothing(), "password_hash"),
    Mutant(accounts.MemorySessions, "revoke", becomes(faults.revokes_again), "sessions"),
    Mutant(accounts.MemorySessions, "spend_refresh_token", becomes(faults.spends_late), "refresh_token_expires"),
    Mutant(accounts.MemoryUsers, "hold", answers(lambda found: (found[0], "hash")), "holding_a_user"),
    Mutant(transaction.Database, "__init__", becomes(faults.without_turn), "holding_a_user"),
    Mutant(accounts, "page", becomes(faults.page_repeats), "user_pages"),
    Mutant(accounts, "page", becomes(faults.page_by_time), "user_pages"),
    Mutant(accounts.MemoryUsers, "update", becomes(account_faults.updates_all), "updating_users"),
    Mutant(accounts, "_key", becomes(lambda _, name: name), "updating_users"),
    Mutant(accounts.MemorySessions, "with_user", becomes(account_faults.with_first_user), "session_with_user"),
    Mutant(accounts.MemorySessions, "revoke_all", given(but=None), "ending_all_sessions"),
    Mutant(accounts.MemorySessions, "revoke_all", becomes(account_faults.revokes_all_again), "ending_all_sessions"),
    Mutant(accounts.MemorySessions, "revoke_all", answers(lambda ids: ids[:1]), "ending_all_sessions"),
    Mutant(accounts.MemorySessions, "forget", given(limit=99), "forgetting_sessions"),
    Mutant(accounts.MemorySessions, "forget", given(expired_before=account_faults.a_bit_later), "forgetting_sessions"),
    Mutant(accounts, "_drop_sessions", becomes(account_faults.keeps_tokens), "forgetting_sessions"),
    Mutant(accounts, "_drop_sessions", becomes(lambda *_: None), "deleting_a_user"),
    Mutant(accounts.MemoryUsers, "delete", becomes(account_faults.deletes_user_alone), "deleting_a_user"),
    Mutant(accounts.MemoryUsers, "delete", becomes(account_faults.keeps_answers), "deleting_a_user"),
    Mutant(accounts.MemoryUsers, "delete", answers(lambda keys: [*keys, *keys]), "user_blobs"),
    Mutant(accounts, "_leave", becomes(lambda *_: None), "left_with_others"),
    Mutant(accounts, "_leave", becomes(lambda *_: None), "invites_of_deleted_users"),
]
CREDENTIALS = [
    Mutant(credentials.MemoryApiKeys, "get", answers(lambda key: replace(key, scopes=frozenset())), "api_keys"),
    Mutant(credentials.MemoryApiKeys, "list", answers(lambda found: found[::-1]), "api_keys"),
    Mutant(credentials.MemoryApiKeys, "delete", nothing(), "api_keys"),
    Mutant(credentials.MemoryApiKeys, "used", becomes(account_faults.used_as_told), "api_key_use"),
    Mutant(credentials.MemoryInvites, "add", becomes(account_faults.invites_by_any_code), "invites"),
    Mutant(credentials.MemoryInvites, "spend", given(at=lambda at: at - LATER), "invites"),
    Mutant(credentials.MemoryInvites, "spend", becomes(account_faults.spends_again), "invites"),
    Mutant(credentials.MemoryInvites, "delete", nothing(), "invites"),
    Mutant(credentials, "page", becomes(faults.page_repeats), "invite_pages"),
    Mutant(credentials, "page", becomes(faults.page_by_time), "invite_pages"),
    Mutant(credentials.MemorySigningKeys, "list", answers(lambda found: found[::-1]), "signing_keys"),
    Mutant(credentials.MemorySigningKeys, "retire", becomes(account_faults.retires_again), "signing_keys"),
    Mutant(credentials.MemorySigningKeys, "forget", given(retired_before=account_faults.a_bit_later), "signing_keys"),
    Mutant(credentials.MemoryLoginFailures, "add", given(forget_before=lambda at: at - LATER), "login_failures"),
    Mutant(credentials.MemoryLoginFailures, "add", becomes(account_faults.counts_repeats), "login_failures"),
    Mutant(credentials.MemoryLoginFailures, "add", becomes(account_faults.last_as_told), "login_failures"),
    Mutant(credentials.MemoryLoginFailures, "clear", nothing(), "login_failures"),
    Mutant(credentials.MemoryLoginFailures, "clear", nothing(), "failures_at_once"),
    Mutant(credentials.MemoryLoginFailures, "forget", given(before=account_faults.a_bit_later), "forgetting_failures"),
]
KNOWLEDGE = [
    Mutant(projects.MemoryProjects, "ids", answers(lambda ids: ids[:1]), "projects"),
    Mutant(projects, "_counted", becomes(lambda _, __, row: replace(row, counts=ProjectCounts())), "project_counts"),
    Mutant(projects, "page", becomes(faults.page_repeats), "project_pages"),
    Mutant(documents, "page", becomes(faults.page_repeats), "file_pages"),
    Mutant(projects, "page", becomes(faults.page_by_time), "project_pages"),
    Mutant(projects.MemoryProjects, "update", given(expected_version=None), "project_versions"),
    Mutant(projects, "drop_conversations", becomes(lambda *_: None), "deleting_a_project"),
    Mutant(projects.MemoryProjects, "delete", answers(lambda keys: [*keys, *keys]), "project_blobs"),
    Mutant(documents.MemoryDocuments, "get_file", answers(lambda file: replace(file, pinned=False)), "files"),
    Mutant(documents.MemoryDocuments, "find_file", nothing(), "finding_a_file"),
    Mutant(documents.MemoryDocuments, "all_files", answers(lambda files: files[::-1]), "file_pages"),
    Mutant(documents, "own_text", becomes(lambda *_: None), "reading_a_version"),
    Mutant(owned, "_disown", becomes(lambda *_: None), "version_text"),
    Mutant(transaction.Database, "__init__", becomes(faults.without_turn), "text_taken_on_while_erased"),
    Mutant(documents.MemoryDocuments, "delete_file", answers(lambda _: ["blob/x"]), "deleting_a_file"),
    Mutant(documents.MemoryDocuments, "list_instructions", answers(lambda found: found[::-1]), "instruction_order"),
    Mutant(documents.MemoryDocuments, "delete_instruction", nothing(), "instructions"),
    Mutant(documents.MemoryDocuments, "update_file", becomes(document_faults.updates_all_of_a_file), "changing_a_file"),
    Mutant(documents.MemoryDocuments, "update_instruction", given(expected_version=None), "instruction_versions"),
    Mutant(documents, "_note", becomes(lambda *_: None), "instruction_history"),
    Mutant(
        documents.MemoryDocuments,
        "update_instruction",
        becomes(document_faults.notes_every_change),
        "instruction_history",
    ),
    Mutant(documents.MemoryDocuments, "update_instruction", given(at=lambda at: at + LATER), "instruction_history"),
    Mutant(documents, "number_page", becomes(faults.page_repeats), "instruction_history"),
    Mutant(projects, "drop_instructions", becomes(lambda *_: None), "deleting_a_project"),
    Mutant(transaction.Database, "__init__", becomes(faults.without_turn), "instructions_at_once"),
]
DOCUMENTS = [
    Mutant(documents, "set_current", becomes(lambda *_: None), "adding_a_version"),
    Mutant(documents.MemoryDocuments, "add_version", becomes(document_faults.adds_any_number), "version_numbers"),
    Mutant(documents, "owner_of", becomes(document_faults.owner_of_any_kind), "version_numbers"),
    Mutant(transaction.Database, "__init__", becomes(faults.without_turn), "adding_versions_at_once"),
    Mutant(transaction.Database, "__init__", becomes(faults.without_turn), "changes_at_once"),
    Mutant(documents, "number_page", becomes(faults.page_repeats), "version_pages"),
    Mutant(documents.MemoryDocuments, "versions", answers(lambda page: Page(page.items[:2])), "version_pages"),
    Mutant(documents.MemoryDocuments, "finish_version", becomes(document_faults.finishes_as_current), "old_versions"),
    Mutant(documents.MemoryDocuments, "add_version", becomes(document_faults.forgets_the_last_version), "old_versions"),
    Mutant(documents, "drop_documents", becomes(document_faults.releases_current_blobs), "blobs_of_versions"),
    Mutant(urls.MemoryUrls, "get", answers(lambda url: replace(url, fetched_at=None)), "urls"),
    Mutant(urls.MemoryUrls, "many", answers(lambda _: {}), "urls"),
    Mutant(urls, "_refuse_taken", becomes(lambda *_: None), "one_url_of_an_address"),
    Mutant(urls, "page", becomes(faults.page_repeats), "url_pages"),
    Mutant(urls.MemoryUrls, "all", answers(lambda found: found[::-1]), "url_pages"),
    Mutant(urls.MemoryUrls, "all", answers(lambda found: [url for url in found if url.current]), "url_pages"),
    Mutant(urls.MemoryUrls, "update", becomes(document_faults.updates_all_of_a_url), "changing_a_url"),
    Mutant(urls, "_refuse_taken", becomes(lambda *_: None), "changing_a_url"),
    Mutant(documents, "set_current", becomes(lambda *_: None), "reading_a_url"),
    Mutant(documents.MemoryDocuments, "finish_version", becomes(document_faults.finishes_as_current), "reading_a_url"),
    Mutant(owned, "_disown", becomes(lambda *_: None), "deleting_a_url"),
    Mutant(urls.MemoryUrls, "delete", answers(lambda _: []), "deleting_a_url"),
    Mutant(projects, "drop_documents", becomes(document_faults.drops_files_alone), "deleting_urls_with_their_owners"),
]
TALK = [
    Mutant(conversations.MemoryConversations, "get", answers(lambda row: replace(row, model=None)), "conversations"),
    Mutant(conversations.MemoryConversations, "list", given(project_id=None), "conversation_list"),
    Mutant(conversations, "page", becomes(faults.page_repeats), "conversation_pages"),
    Mutant(conversations.MemoryConversations, "update", given(expected_version=None), "conversation_versions"),
    Mutant(conversations.MemoryConversations, "touch", becomes(faults.touch_keeps_place), "touching"),
    Mutant(conversations.MemoryConversations, "touch", becomes(faults.touch_counts), "touching"),
    Mutant(
        conversations,
        "numbered",
        becomes(lambda _, rows, row: replace(row, seq=rows.numbering[row.id].ceiling)),
        "conversation_seq",
    ),
    Mutant(conversations, "drop_conversations", becomes(lambda *_: None), "deleting_a_conversation"),
    Mutant(conversations.MemoryConversations, "lease", becomes(faults.lease_from_anyone), "lease_is_exclusive"),
    Mutant(conversations.MemoryConversations, "lease", becomes(faults.lease_overlaps), "lease_expires"),
    Mutant(conversations.MemoryConversations, "lease", given(headroom=lambda count: count + 1), "lease_is_exclusive"),
    Mutant(conversations.MemoryConversations, "lease", becomes(faults.lease_skips), "lease_renewed"),
    Mutant(conversations.MemoryConversations, "lock", becomes(faults.locks_nobody), "locking"),
    Mutant(conversations.MemoryConversations, "void_leases", nothing(), "voiding_leases"),
    Mutant(conversations.MemoryConversations, "void_leases", given(except_owner=""), "voiding_leases"),
    Mutant(messages.MemoryMessages, "get", answers(lambda row: replace(row, usage=None)), "messages"),
    Mutant(messages.MemoryMessages, "get", answers(lambda row: replace(row, siblings=row.siblings[::-1])), "siblings"),
    Mutant(messages.MemoryMessages, "path", becomes(faults.path_from_root), "path"),
    Mutant(messages.MemoryMessages, "save_partial", becomes(faults.saves_to_all), "partial_texts"),
    Mutant(messages.MemoryMessages, "save_partial", becomes(faults.saves_or_fails), "partial_texts"),
    Mutant(messages.MemoryMessages, "finish", becomes(faults.finish_twice), "first_end_stands"),
    Mutant(messages.MemoryMessages, "reopen", becomes(faults.reopens_all), "reopening"),
    Mutant(messages.MemoryMessages, "reopen", becomes(faults.reopens_without_usage), "reopening"),
    Mutant(messages.MemoryMessages, "many", nothing({}), "many_messages"),
    Mutant(messages.MemoryMessages, "unindexed", becomes(faults.unindexed_and_pending), "unindexed"),
    Mutant(messages.MemoryMessages, "mark_indexed", becomes(faults.marks_any_length), "marking_indexed"),
]
QUEUE = [
    Mutant(runs.MemoryRuns, "announce", nothing(), "runs"),
    Mutant(runs.MemoryRuns, "release", nothing(value=True), "run_belongs"),
    Mutant(runs.MemoryRuns, "command", nothing(), "commands"),
    Mutant(runs.MemoryRuns, "active", answers(lambda found: found[::-1]), "active_runs"),
    Mutant(runs, "_holds", becomes(lambda _, __, run: run.owner is not None), "heartbeat"),
    Mutant(runs.MemoryRuns, "release", becomes(faults.releases_to_the_end), "release"),
    Mutant(runs.MemoryRuns, "release", becomes(faults.release_forgets_stops), "stopping_a_running_run"),
    Mutant(runs.MemoryRuns, "request_stop", becomes(faults.stop_returns_always), "stopping_a_queued_run"),
    Mutant(runs.MemoryRuns, "request_stop", given(end=True), "stop_left_to_the_claimer"),
    Mutant(runs.MemoryRuns, "claim", becomes(faults.claims_no_stopped), "stop_left_to_the_claimer"),
    Mutant(runs.MemoryRuns, "claim", becomes(faults.claims_no_stopped), "stopping_a_running_run"),
    Mutant(runs.MemoryRuns, "finish", given(owner=None), "finishing"),
    Mutant(runs.MemoryRuns, "abandoned", given(except_owner=None), "abandoned"),
    Mutant(runs.MemoryRuns, "abandoned", given(known=()), "abandoned"),
    Mutant(runs.MemoryRuns, "claim", given(owner="somebody"), "claim"),
    Mutant(runs.MemoryRuns, "claim", becomes(faults.claims_regardless), "capacity"),
    Mutant(runs.MemoryRuns, "claim", becomes(faults.claims_regardless), "claimers_at_once"),
    Mutant(runs.MemoryRuns, "claim", given(now=lambda now: now - LATER), "expired_run_takes_no_place"),
    Mutant(runs, "Counter", lambda _: faults.Unfair, "fair_turns"),
    Mutant(runs, "_in_turn", becomes(lambda _, queue, __: list(queue)), "positions"),
    Mutant(runs.MemoryRuns, "claim", given(limit=99), "longest_waiting_first"),
    Mutant(
        runs, "_active", becomes(lambda original, rows, key: original(rows, key)[::-1]), "one_run_of_a_conversation"
    ),
    Mutant(runs.MemoryRuns, "position", answers(lambda place: place + 1), "positions"),
    Mutant(runs.MemoryRuns, "queued", nothing(3), "queued"),
]
LOG = [
    Mutant(events.MemoryEvents, "append", becomes(faults.append_replaces), "appending_again"),
    Mutant(events.MemoryEvents, "append", becomes(faults.append_replaces), "appending"),
    Mutant(events.MemoryEvents, "after", becomes(faults.after_or_at), "events_after"),
    Mutant(events.MemoryEvents, "of_run", answers(lambda found: found[::-1]), "events_of_a_run"),
    Mutant(events.MemoryEvents, "trim", given(ended_before=lambda at: at + LATER), "trimming"),
    Mutant(events.MemoryEvents, "trim", given(limit=99), "trimmers_at_once"),
    Mutant(events, "_must_wait", becomes(lambda _, __, ___: False), "trimming_waits_for_open_runs"),
    Mutant(
        conversations,
        "numbered",
        becomes(lambda original, rows, row: original(faults.untrimmed(rows), row)),
        "trimming_keeps_the_last_number",
    ),
    Mutant(events.MemoryContexts, "of_message", answers(lambda row: row and replace(row, report={})), "contexts"),
    Mutant(events.MemoryContexts, "of_messages", becomes(faults.oldest_records), "newest_context"),
    Mutant(events.MemoryContexts, "texts", answers(lambda found: dict(list(found.items())[:1])), "texts"),
    Mutant(owned, "_disown", becomes(lambda *_: None), "texts_of_conversations"),
    Mutant(events, "_documents", becomes(lambda _, __: {}), "texts_of_files"),
    Mutant(events, "_documents", becomes(lambda _, __: {}), "texts_of_deleted_files"),
    Mutant(events, "_documents", becomes(document_faults.of_files_alone), "texts_of_pages"),
    Mutant(events, "_documents", becomes(document_faults.of_one_document), "texts_of_pages"),
]
WORK = [
    Mutant(upkeep.MemoryJobs, "add", becomes(faults.adds_any_job), "one_open_job"),
    Mutant(upkeep.MemoryJobs, "claim", given(now=lambda now: now + LATER), "due_jobs"),
    Mutant(upkeep.MemoryJobs, "claim", given(limit=99), "due_jobs"),
    Mutant(upkeep.MemoryJobs, "claim", given(until=lambda until: until + LATER), "job_leases"),
    Mutant(upkeep.MemoryJobs, "heartbeat", nothing([]), "job_heartbeat"),
    Mutant(upkeep.MemoryJobs, "release", becomes(faults.releases_with_a_try), "jobs_put_down"),
    Mutant(upkeep.MemoryJobs, "retry", given(run_after=lambda at: at - LATER), "job_retries"),
    Mutant(upkeep.MemoryJobs, "fail", nothing(), "failed_jobs"),
    Mutant(upkeep.MemoryJobs, "_put_down", becomes(faults.puts_down_any), "job_owners"),
    Mutant(upkeep.MemoryJobs, "running", given(now=lambda now: now - LATER), "running_jobs"),
    Mutant(upkeep.MemoryJobs, "next_due", answers(lambda at: at and at + LATER), "next_due"),
    Mutant(upkeep.MemoryAnswers, "finish", nothing(), "answers"),
    Mutant(upkeep.MemoryAnswers, "begin", becomes(account_faults.begins_for_all), "answers"),
    Mutant(upkeep.MemoryAnswers, "drop", nothing(), "answers_given_back"),
    Mutant(upkeep.MemoryAnswers, "drop", nothing(), "answers_begun_once"),
    Mutant(upkeep.MemoryAnswers, "drop", becomes(account_faults.drops_answers), "answers_given_back"),
    Mutant(upkeep.MemoryAnswers, "finish", becomes(account_faults.answers_again), "answers_given_back"),
    Mutant(upkeep.MemoryAnswers, "begin", given(stale_before=account_faults.a_bit_later), "stale_answers"),
    Mutant(upkeep.MemoryAnswers, "begin", given(stale_before=lambda at: at - LATER), "stale_answers"),
    Mutant(upkeep.MemoryAnswers, "forget", given(begun_before=account_faults.a_bit_later), "forgetting_answers"),
    Mutant(upkeep.MemoryPluginStates, "latest", becomes(faults.latest_saved), "plugin_states"),
]
MUTANTS = [*UNITS, *PEOPLE, *CREDENTIALS, *KNOWLEDGE, *DOCUMENTS, *TALK, *QUEUE, *LOG, *WORK]
