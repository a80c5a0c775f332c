"""Units of work on the rows: synchronous, each one transaction, the only code that writes them.

Code on the event loop calls them through `executor`, code in threads (`api`, `views`) directly. Each checks the user's
permissions in the transaction that does the work, and raises `Refused`. They return wire objects (`protocol/objects`),
never rows.

Names: `get_` raises Refused(NOT_FOUND) if there is nothing, `find_` returns None. `check_` raises Refused if something
is not allowed.

    conversations, conversation_settings, deletion, forks     a conversation as a whole
    rooms                                                     the conversations of the site's objects
    snapshots, pages                                          what a reader of it gets first, and its messages
    participants, invitations, access, sessions, read_state   the people in it
    guests                                                    visitors without an account
    tokens                                                    what scripts sign in with
    imports                                                   conversations that a client has kept itself
    messages, edits, alternatives, attachments, search        what they write
    documents                                                 what they and agents write together
    site_messages                                             what the site's code writes
    quotas                                                    how much of it they may store
    responders, mentions                                      which agents answer
    runs, run_start, run_lifecycle, heartbeats, approvals     answers, from queued to their end
    prompts, prompt_files, summaries                          what models are sent
    budgets, pricing                                          what it costs
    retention                                                 what is erased
    base, prepared, bulk, text, images                        helpers
    unit_of_work, executor                                    transactions and threads
"""

from ..protocol.adapters.base import Turn
from .access import Access, check_access
from .alternatives import choose_alternative
from .approvals import CallDecision, await_approval, call_key, decide_call, expire_approvals, sanitize_call, save_calls
from .attachments import AttachmentFile, delete_unsent_attachment, delete_unused_file, get_attachment, upload_attachment
from .base import PAGE_SIZE, check_can_create
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
from .documents import (
    DocumentUpdates,
    NewDocument,
    PushedChange,
    create_document,
    create_document_by_run,
    find_document_for_run,
    find_written_version,
    get_document,
    list_changers,
    list_documents,
    list_updates,
    push_changes,
    push_changes_by_run,
    sync_document,
)
from .edits import Edited, delete_message, edit_message, list_edits, restore_message
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
from .imports import import_conversation
from .invitations import (
    InvitationPreview,
    Joined,
    create_invitation,
    join_conversation,
    list_invitations,
    preview_invitation,
    revoke_invitation,
)
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
from .read_state import mark_read
from .retention import erase_expired
from .rooms import OpenedRoom, enter_room, leave_object, make_room, recheck_rooms, reenter_room
from .run_lifecycle import Ending, FinishedRun, Written
from .run_start import StartedRun, TooManyRuns, start_run
from .runs import (
    StoredRun,
    fail_run,
    find_asked_runs,
    finish_run,
    get_calling_run,
    get_run,
    request_run,
    request_stop,
)
from .search import SearchResults, extract_words, search_conversations
from .sessions import find_users, session_store, sessions_are_rows
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

__all__ = [
    "PAGE_SIZE",
    "SCOPES",
    "TITLE_CHARS",
    "Access",
    "AdoptedRun",
    "AttachmentFile",
    "Bearer",
    "CallDecision",
    "Checkpoint",
    "ConversationChanges",
    "ConversationListing",
    "DeletedConversation",
    "DocumentUpdates",
    "Edited",
    "Ending",
    "FinishedRun",
    "HeartbeatResult",
    "InvitationPreview",
    "Joined",
    "NewDocument",
    "OpenedRoom",
    "ParticipantChange",
    "Posted",
    "PushedChange",
    "SearchResults",
    "StartedRun",
    "StoredRun",
    "SummaryInput",
    "TokenInfo",
    "TooManyRuns",
    "Turn",
    "Written",
    "add_participant",
    "adopt_runs",
    "await_approval",
    "begin_guest",
    "call_key",
    "change_conversation",
    "change_role",
    "charge_run",
    "check_access",
    "check_can_create",
    "check_membership",
    "check_run_budgets",
    "check_text",
    "choose_alternative",
    "clean_title",
    "create_conversation",
    "create_document",
    "create_document_by_run",
    "create_invitation",
    "create_token",
    "decide_call",
    "delete_conversation",
    "delete_message",
    "delete_unsent_attachment",
    "delete_unused_file",
    "edit_message",
    "ensure_owner",
    "enter_room",
    "erase_expired",
    "expire_approvals",
    "extract_words",
    "fail_run",
    "find_asked_runs",
    "find_conversation",
    "find_document_for_run",
    "find_first_exchange",
    "find_guest",
    "find_guest_conversation",
    "find_listing",
    "find_listings",
    "find_silent_runs",
    "find_state",
    "find_summary_input",
    "find_users",
    "find_written_version",
    "finish_run",
    "fork_conversation",
    "get_attachment",
    "get_calling_run",
    "get_conversation",
    "get_document",
    "get_run",
    "give_secret",
    "hand_over_guest",
    "heartbeat",
    "import_conversation",
    "is_active_guest",
    "join_conversation",
    "leave_object",
    "list_changers",
    "list_conversations",
    "list_documents",
    "list_edits",
    "list_invitations",
    "list_messages",
    "list_participants",
    "list_tokens",
    "list_typing_audience",
    "list_updates",
    "make_room",
    "mark_read",
    "ping_database",
    "post_as_agent",
    "post_as_system",
    "post_message",
    "preview_invitation",
    "push_changes",
    "push_changes_by_run",
    "read_snapshot",
    "read_snapshots",
    "reap_runs",
    "recheck_rooms",
    "reenter_room",
    "release_runs",
    "remove_participant",
    "request_run",
    "request_stop",
    "restore_conversation",
    "restore_message",
    "revoke_invitation",
    "revoke_token",
    "sanitize_call",
    "sanitize_text",
    "save_calls",
    "save_summary",
    "save_title",
    "search_conversations",
    "session_store",
    "sessions_are_rows",
    "start_run",
    "sync_document",
    "upload_attachment",
    "use_token",
]
