"""Units of work on the rows: synchronous, each one transaction, the only code that writes them.

Code on the event loop calls them through `executor`, code in threads (`api`, `views`) directly. Each checks the user's
permissions in the transaction that does the work, and raises `Refused`. They return wire objects (`protocol/objects`),
never rows.

Names: `get_` raises Refused(NOT_FOUND) if there is nothing, `find_` returns None. `check_` raises Refused if something
is not allowed.

    conversations, conversation_settings, deletion, forks     a conversation as a whole
    rooms                                                     the conversations of the site's objects
    snapshots, pages                                          what a reader of it gets first, and its messages
    participants, invitations, joining, access, sessions, read_state   the people in it
    guests                                                    visitors without an account
    tokens                                                    what scripts sign in with
    imports                                                   conversations that a client has kept itself
    messages, edits, alternatives, attachments, search        what they write
    documents, document_log, document_runs, document_writing  what they and agents write together
    document_settings, document_versions, document_snapshots,
    document_proposals, document_selections, document_settling,
    document_fields
    site_messages                                             what the site's code writes
    quotas                                                    how much of it they may store
    responders, mentions                                      which agents answer
    agents                                                    agents in the database
    runs, run_start, run_lifecycle, heartbeats, approvals     answers, from queued to their end
    prompts, prompt_files, summaries                          what models are sent
    budgets, stored_budgets, pricing, price_table,            what it costs
    spending_sums
    retention, retention_rules, holds, erasure                what is erased, and what is kept
    transfer                                                  what is exported and imported
    showcase                                                  a made-up site
    feedback                                                  what readers think of answers
    inspections                                               what the run inspector records of answers
    breakers, staff_log                                       what staff set, and the record of it
    transcripts                                               what staff read in the admin
    base, prepared, bulk, bulk_insert, copied_rows, cached,   helpers
    text, images
    unit_of_work, executor                                    transactions and threads
"""

from ..protocol.adapters.base import Turn
from .access import Access, StaffRights, check_access, find_staff_rights, staff_rights
from .agents import (
    change_agent,
    charge_trial,
    check_trial,
    create_agent,
    delete_agent,
    get_agent_version,
    restore_agent,
)
from .alternatives import choose_alternative
from .approvals import CallDecision, await_approval, call_key, decide_call, expire_approvals, sanitize_call, save_calls
from .attachments import AttachmentFile, delete_unsent_attachment, delete_unused_file, get_attachment, upload_attachment
from .base import PAGE_SIZE, check_can_create
from .breakers import set_breaker
from .budgets import charge_run, check_run_budgets
from .conversation_settings import ConversationChanges, change_conversation
from .conversations import (
    ConversationListing,
    check_membership,
    create_conversation,
    find_conversation,
    find_listing,
    find_listings,
    find_state,
    get_conversation,
    list_conversations,
    list_messages,
)
from .deletion import DeletedConversation, delete_conversation, restore_conversation
from .document_fields import OpenedField, open_field, save_field
from .document_log import PushedChange
from .document_proposals import list_proposals, propose_change, resolve_proposal
from .document_pushes import Push, push_changes, push_together
from .document_runs import (
    ChangedDocument,
    create_document_by_run,
    describe_document_by_run,
    find_document_for_run,
    find_written_version,
    list_changed_documents,
    list_changers,
    push_changes_by_run,
)
from .document_selections import find_selection
from .document_settings import DocumentChanges, change_document, delete_document, undelete_document
from .document_settling import UnsettledDocument, find_unsettled_document, settle_document
from .document_versions import (
    MAX_BLAMED_UPDATES,
    Blame,
    DocumentVersions,
    blame,
    get_document_at,
    list_versions,
    name_version,
    newest_version,
    read_changes_since,
    read_texts,
)
from .document_writing import (
    Extension,
    TakenOver,
    begin_writing,
    close_writing,
    extend_together,
    extend_writing,
    finish_writing,
    take_over_document,
)
from .documents import (
    DocumentUpdates,
    NewDocument,
    check_can_select,
    create_document,
    get_document,
    list_documents,
    list_updates,
    normalize_document,
    sync_document,
)
from .edits import Edited, delete_message, edit_message, list_edits, restore_message
from .erasure import begin_erasure, continue_erasure, erase_user, plan_erasure
from .feedback import GivenFeedback, NewFeedback, find_feedback, give_feedback, withdraw_feedback
from .forks import fork_conversation
from .guests import begin_guest, find_guest, find_guest_conversation, hand_over_guest, is_active_guest
from .heartbeats import (
    AdoptedRun,
    Checkpoint,
    HeartbeatResult,
    adopt_runs,
    find_silent_runs,
    heartbeat,
    ping_database,
    reap_runs,
    release_runs,
)
from .holds import held_among, place_hold, release_hold, user_is_held
from .imports import import_conversation
from .inspections import MAX_HOURS, find_recordings, save_recording, start_inspection
from .invitations import (
    InvitationPreview,
    create_invitation,
    list_invitations,
    preview_invitation,
    revoke_invitation,
)
from .joining import Join, Joined, join_together
from .messages import Posted, check_text, post_message
from .participants import (
    ParticipantChange,
    add_participant,
    change_role,
    ensure_owner,
    list_participants,
    list_typing_audience,
    remove_participant,
)
from .read_state import CROWD, mark_read
from .retention import Erased, count_held, erase_expired, plan_pruning, prune
from .rooms import OpenedRoom, enter_room, leave_object, make_room, recheck_rooms, reenter_room
from .run_lifecycle import Ending, FinishedRun, Written
from .run_start import StartedRun, TooManyRuns, start_run
from .runs import (
    Finish,
    StoredRun,
    fail_run,
    find_asked_runs,
    finish_run,
    finish_runs,
    get_calling_run,
    get_run,
    request_run,
    request_stop,
    request_stop_by_staff,
    request_stop_from_dashboard,
)
from .search import SearchResults, extract_words, find_conversations, search_conversations
from .sessions import find_users, session_store, sessions_are_rows
from .showcase.fill import fill_showcase
from .site_messages import post_as_agent, post_as_system
from .snapshots import read_snapshot, read_snapshots
from .summaries import (
    SummaryInput,
    clean_title,
    find_first_exchange,
    find_summary_input,
    save_summary,
    save_title,
)
from .text import TITLE_CHARS, sanitize_text
from .tokens import SCOPES, Bearer, TokenInfo, create_token, give_secret, list_tokens, revoke_token, use_token
from .transcripts import (
    Transcript,
    TranscriptEntry,
    find_transcript_day,
    find_transcript_run,
    read_transcript,
    search_transcript,
)
from .transfer.export import Scope
from .transfer.formats import FORMATS as EXPORT_FORMATS
from .transfer.formats import export
from .transfer.lines import BadLine
from .transfer.load import Imported, import_lines
from .unit_of_work import give_way

__all__ = [
    "CROWD",
    "EXPORT_FORMATS",
    "MAX_BLAMED_UPDATES",
    "MAX_HOURS",
    "PAGE_SIZE",
    "SCOPES",
    "TITLE_CHARS",
    "Access",
    "AdoptedRun",
    "AttachmentFile",
    "BadLine",
    "Bearer",
    "Blame",
    "CallDecision",
    "ChangedDocument",
    "Checkpoint",
    "ConversationChanges",
    "ConversationListing",
    "DeletedConversation",
    "DocumentChanges",
    "DocumentUpdates",
    "DocumentVersions",
    "Edited",
    "Ending",
    "Erased",
    "Extension",
    "Finish",
    "FinishedRun",
    "GivenFeedback",
    "HeartbeatResult",
    "Imported",
    "InvitationPreview",
    "Join",
    "Joined",
    "NewDocument",
    "NewFeedback",
    "OpenedField",
    "OpenedRoom",
    "ParticipantChange",
    "Posted",
    "Push",
    "PushedChange",
    "Scope",
    "SearchResults",
    "StaffRights",
    "StartedRun",
    "StoredRun",
    "SummaryInput",
    "TakenOver",
    "TokenInfo",
    "TooManyRuns",
    "Transcript",
    "TranscriptEntry",
    "Turn",
    "UnsettledDocument",
    "Written",
    "add_participant",
    "adopt_runs",
    "await_approval",
    "begin_erasure",
    "begin_guest",
    "begin_writing",
    "blame",
    "call_key",
    "change_agent",
    "change_conversation",
    "change_document",
    "change_role",
    "charge_run",
    "charge_trial",
    "check_access",
    "check_can_create",
    "check_can_select",
    "check_membership",
    "check_run_budgets",
    "check_text",
    "check_trial",
    "choose_alternative",
    "clean_title",
    "close_writing",
    "continue_erasure",
    "count_held",
    "create_agent",
    "create_conversation",
    "create_document",
    "create_document_by_run",
    "create_invitation",
    "create_token",
    "decide_call",
    "delete_agent",
    "delete_conversation",
    "delete_document",
    "delete_message",
    "delete_unsent_attachment",
    "delete_unused_file",
    "describe_document_by_run",
    "edit_message",
    "ensure_owner",
    "enter_room",
    "erase_expired",
    "erase_user",
    "expire_approvals",
    "export",
    "extend_together",
    "extend_writing",
    "extract_words",
    "fail_run",
    "fill_showcase",
    "find_asked_runs",
    "find_conversation",
    "find_conversations",
    "find_document_for_run",
    "find_feedback",
    "find_first_exchange",
    "find_guest",
    "find_guest_conversation",
    "find_listing",
    "find_listings",
    "find_recordings",
    "find_selection",
    "find_silent_runs",
    "find_staff_rights",
    "find_state",
    "find_summary_input",
    "find_transcript_day",
    "find_transcript_run",
    "find_unsettled_document",
    "find_users",
    "find_written_version",
    "finish_run",
    "finish_runs",
    "finish_writing",
    "fork_conversation",
    "get_agent_version",
    "get_attachment",
    "get_calling_run",
    "get_conversation",
    "get_document",
    "get_document_at",
    "get_run",
    "give_feedback",
    "give_secret",
    "give_way",
    "hand_over_guest",
    "heartbeat",
    "held_among",
    "import_conversation",
    "import_lines",
    "is_active_guest",
    "join_together",
    "leave_object",
    "list_changed_documents",
    "list_changers",
    "list_conversations",
    "list_documents",
    "list_edits",
    "list_invitations",
    "list_messages",
    "list_participants",
    "list_proposals",
    "list_tokens",
    "list_typing_audience",
    "list_updates",
    "list_versions",
    "make_room",
    "mark_read",
    "name_version",
    "newest_version",
    "normalize_document",
    "open_field",
    "ping_database",
    "place_hold",
    "plan_erasure",
    "plan_pruning",
    "post_as_agent",
    "post_as_system",
    "post_message",
    "preview_invitation",
    "propose_change",
    "prune",
    "push_changes",
    "push_changes_by_run",
    "push_together",
    "read_changes_since",
    "read_snapshot",
    "read_snapshots",
    "read_texts",
    "read_transcript",
    "reap_runs",
    "recheck_rooms",
    "reenter_room",
    "release_hold",
    "release_runs",
    "remove_participant",
    "request_run",
    "request_stop",
    "request_stop_by_staff",
    "request_stop_from_dashboard",
    "resolve_proposal",
    "restore_agent",
    "restore_conversation",
    "restore_message",
    "revoke_invitation",
    "revoke_token",
    "sanitize_call",
    "sanitize_text",
    "save_calls",
    "save_field",
    "save_recording",
    "save_summary",
    "save_title",
    "search_conversations",
    "search_transcript",
    "session_store",
    "sessions_are_rows",
    "set_breaker",
    "settle_document",
    "staff_rights",
    "start_inspection",
    "start_run",
    "sync_document",
    "take_over_document",
    "undelete_document",
    "upload_attachment",
    "use_token",
    "user_is_held",
    "withdraw_feedback",
]
