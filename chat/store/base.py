"""What the units of work share: reading with everything that belongs to a row, locking, appending. Each function is a
part of somebody's transaction.
"""

from typing import Any
from uuid import UUID

import msgspec
from django.db.models import Prefetch, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from ..models import Conversation, Message, Participant, ToolCall
from ..permissions import policy
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused

PAGE_SIZE = 50


def sanitize_text(text: str) -> str:
    """`text` without what a database or a frame cannot hold: the character zero, and halves of characters."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def normalize_title(text: str) -> str:
    """What a person gave as a title, in one line; empty where it is all blanks."""
    return " ".join(sanitize_text(text).split())


def sanitize_json(value: Any) -> Any:
    """PostgreSQL's JSON cannot hold the character that its text cannot hold either."""
    return msgspec.json.decode(msgspec.json.encode(value).replace(b"\\u0000", b"\\ufffd"))


def get_membership(user_id: Any, conversation_id: UUID) -> Participant:
    row = (
        Participant.objects.select_related("user", "conversation")
        .filter(user=user_id, conversation=conversation_id, conversation__deleted_at=None)
        .first()
    )
    if row is None or not policy().can_see(row):
        raise conversation_not_found()
    return row


def conversation_not_found() -> Refused:
    return Refused(ErrorCode.NOT_FOUND, _("There is no such conversation, or you are not in it."))


def check_can_post(participant: Participant) -> None:
    if not policy().can_post(participant):
        raise Refused(ErrorCode.FORBIDDEN, _("You can read this conversation, but not write in it."))


def count_writers(conversation_id: UUID) -> int:
    """How many people may write in a conversation."""
    return Participant.objects.filter(conversation=conversation_id).exclude(role=Participant.Role.VIEWER).count()


def lock_conversation(conversation_id: UUID) -> Conversation:
    """The row, locked until the transaction ends: whatever orders messages or runs does so one after another."""
    return Conversation.objects.select_for_update().get(pk=conversation_id)


def lock_membership(user_id: Any, conversation_id: UUID) -> Participant:
    """Somebody's membership, with the locked conversation: read under the lock, so that whoever was removed, or has
    another role, while this waited for it, acts as what he is now. Raises Refused(NOT_FOUND).
    """
    Conversation.objects.select_for_update().filter(pk=conversation_id).first()
    return get_membership(user_id, conversation_id)


def append_message(conversation: Conversation, **fields: Any) -> Message:
    """The next message of a locked conversation."""
    conversation.last_seq += 1
    touch(conversation)
    return Message.objects.create(conversation=conversation, seq=conversation.last_seq, **fields)


def touch(conversation: Conversation) -> None:
    conversation.updated_at = timezone.now()
    conversation.save(update_fields=["title", "title_from", "last_seq", "waiting", "updated_at"])


def shown_messages(conversation_id: UUID) -> QuerySet[Message]:
    """The messages that are shown, with what their objects need. Deleted ones are among them: their place is seen."""
    return with_related(Message.objects.filter(conversation=conversation_id, shown=True))


def prompt_messages(conversation_id: UUID) -> QuerySet[Message]:
    """What models are told of, with what `history` reads: the messages that are shown and not deleted."""
    rows = shown_messages(conversation_id).prefetch_related(None).filter(deleted_at=None)
    return rows.select_related("reply_to__author", "reply_to__run").defer(
        "reply_to__thinking", "reply_to__run__transcript"
    )


def with_related(rows: QuerySet[Message]) -> QuerySet[Message]:
    """With all that `objects.Message.of` reads, in the same number of queries however many rows there are."""
    calls = Prefetch("run__calls", ToolCall.objects.select_related("decided_by"))
    alternatives = Prefetch(
        "alternative_of__alternatives", Message.objects.only("alternative_of", "seq").order_by("seq")
    )
    related = rows.select_related("author", "deleted_by", "run__launched_by", "run__stopped_by")
    return related.prefetch_related(calls, alternatives, "attachments")


def read_page(conversation_id: UUID, before: int | None, limit: int) -> tuple[list[objects.Message], bool]:
    rows = shown_messages(conversation_id).order_by("-seq")
    if before is not None:
        rows = rows.filter(seq__lt=before)
    newest_first = list(rows[: limit + 1])
    return [objects.Message.of(row) for row in reversed(newest_first[:limit])], len(newest_first) > limit
