"""Units of work on the ORM: synchronous, each one transaction, the only writer of the rows.

Called through `database_sync_to_async` by `consumers`, `supervisor` and `runs`, directly by `api` and `views`. What a
person asks for is checked here, in the transaction that does it, and refused with `commands.Refused`. What comes back
are wire objects (`objects.py`), never rows.

    conversations, messages, runs, approvals     the units of work, by what they are about
    endings, rows                                their parts
"""

from .approvals import Decided, await_approval, decide, save_call
from .conversations import (
    Entered,
    Listing,
    check_membership,
    conversations_of,
    create_conversation,
    enter,
    listing,
    page,
)
from .endings import Ending, Finished, Written
from .messages import TITLE_CHARS, Posted, post_message
from .rows import PAGE, storable
from .runs import (
    Checkpoint,
    Started,
    Stored,
    find_run,
    finish_run,
    heartbeat,
    reap,
    request_run,
    request_stop,
    start_run,
)

__all__ = [
    "PAGE",
    "TITLE_CHARS",
    "Checkpoint",
    "Decided",
    "Ending",
    "Entered",
    "Finished",
    "Listing",
    "Posted",
    "Started",
    "Stored",
    "Written",
    "await_approval",
    "check_membership",
    "conversations_of",
    "create_conversation",
    "decide",
    "enter",
    "find_run",
    "finish_run",
    "heartbeat",
    "listing",
    "page",
    "post_message",
    "reap",
    "request_run",
    "request_stop",
    "save_call",
    "start_run",
    "storable",
]
