"""A conversation as one person has it: what is unread, how far it was read, pinned, archived."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from .. import objects
from ..models import Conversation, Message, Participant
from ..permissions import policy
from .rows import membership

_UNREAD = (
    Message.objects.filter(
        conversation=OuterRef("conversation"), seq__gt=OuterRef("last_read"), shown=True, deleted_at=None
    )
    .exclude(role=Message.Role.SYSTEM)
    .order_by()
    .values("conversation")
    .annotate(number=Count("pk"))
    .values("number")
)


def with_unread(participants: QuerySet[Participant]) -> QuerySet[Participant]:
    """Each with `unread`: the messages behind its marker that count, so neither deleted ones nor system messages nor
    what another answer is shown for. An index holds just these.
    """
    return participants.annotate(unread=Coalesce(Subquery(_UNREAD), 0))


def yours(participants: QuerySet[Participant]) -> dict[tuple[UUID, Any], objects.Yours]:
    """By conversation and user, in one query; only of those who may see it."""
    rows: Iterable[Any] = with_unread(participants.select_related("user", "conversation"))
    may_see = policy().can_see
    return {(row.conversation_id, row.user_id): objects.Yours.of(row, row.unread) for row in rows if may_see(row)}


def mark_read(user_id: Any, conversation_id: UUID, seq: int) -> bool:
    """A person has read up to number `seq`. Returns whether that is news; the marker never goes back."""
    conversation = membership(user_id, conversation_id).conversation
    return advance(conversation, user_id, seq)


def advance(conversation: Conversation, user_id: Any, seq: int) -> bool:
    seq = min(seq, conversation.last_seq)
    mine = Participant.objects.filter(conversation=conversation, user=user_id, last_read__lt=seq)
    return bool(mine.update(last_read=seq))
