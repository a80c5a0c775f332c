"""Units of work on the ORM: synchronous, each one transaction, the only writer of the rows.

Called through `database.ask` by `consumers`, `supervisor` and `runs`, directly by `api` and `views`. What a
person asks for is checked here, in the transaction that does it, and refused with `commands.Refused`. What comes back
are wire objects (`protocol/objects/`), never rows.

    conversations, messages, runs, approvals     the units of work, by what they are about
    participants, invitations
    alternatives, edits, lists, attachments, search, housekeeping, forks
    endings, rows                                their parts
"""

from .access import Stay, may_stay
from .alternatives import choose
from .approvals import Decided, await_approval, decide, expire, save_call
from .attachments import Served, delete_unsent, find_attachment, forget_file, upload
from .base import PAGE, storable
from .conversation_settings import Changes, change_conversation
from .conversations import (
    Entered,
    Listing,
    check_membership,
    conversations_of,
    create_conversation,
    enter,
    listing,
    listing_of,
    look,
    page,
    standing,
)
from .deletion import Deleted, delete_conversation, restore_conversation
from .edits import Edited, delete_message, edit_message, edits_of, restore_message
from .forks import fork
from .heartbeats import Beat, Checkpoint, adopt, heartbeat, reachable, reap, release
from .invitations import (
    Invited,
    Joined,
    create_invitation,
    invitations,
    join,
    look_at_invitation,
    revoke_invitation,
)
from .messages import TITLE_CHARS, Posted, post_message
from .participants import (
    Change,
    add_participant,
    change_role,
    keep_owned,
    participants,
    remove_participant,
    typing_audience,
)
from .read_state import mark_read
from .retention import clean
from .run_lifecycle import Ending, Finished, Written
from .runs import OneTooMany, Started, Stored, find_run, finish_run, request_run, request_stop, start_run
from .search import Found, find
from .summaries import ToSumUp, charge, clean_title, first_exchange, keep_summary, keep_title, left_after, to_sum_up

__all__ = [
    "PAGE",
    "TITLE_CHARS",
    "Beat",
    "Change",
    "Changes",
    "Checkpoint",
    "Decided",
    "Deleted",
    "Edited",
    "Ending",
    "Entered",
    "Finished",
    "Found",
    "Invited",
    "Joined",
    "Listing",
    "OneTooMany",
    "Posted",
    "Served",
    "Started",
    "Stay",
    "Stored",
    "ToSumUp",
    "Written",
    "add_participant",
    "adopt",
    "await_approval",
    "change_conversation",
    "change_role",
    "charge",
    "check_membership",
    "choose",
    "clean",
    "clean_title",
    "conversations_of",
    "create_conversation",
    "create_invitation",
    "decide",
    "delete_conversation",
    "delete_message",
    "delete_unsent",
    "edit_message",
    "edits_of",
    "enter",
    "expire",
    "find",
    "find_attachment",
    "find_run",
    "finish_run",
    "first_exchange",
    "forget_file",
    "fork",
    "heartbeat",
    "invitations",
    "join",
    "keep_owned",
    "keep_summary",
    "keep_title",
    "left_after",
    "listing",
    "listing_of",
    "look",
    "look_at_invitation",
    "mark_read",
    "may_stay",
    "page",
    "participants",
    "post_message",
    "reachable",
    "reap",
    "release",
    "remove_participant",
    "request_run",
    "request_stop",
    "restore_conversation",
    "restore_message",
    "revoke_invitation",
    "save_call",
    "standing",
    "start_run",
    "storable",
    "to_sum_up",
    "typing_audience",
    "upload",
]
