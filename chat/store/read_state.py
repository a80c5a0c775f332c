"""A conversation as one person has it: what is unread, how far it was read, pinned, archived."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from ..models import Conversation, Message, Participant
from ..permissions import policy
from ..protocol import objects

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


def list_states(participants: QuerySet[Participant]) -> dict[tuple[UUID, Any], objects.Yours]:
    """By conversation and user, in one query; only of those who may see it."""
    rows: Iterable[Any] = with_unread(participants.select_related("user", "conversation"))
    may_see = policy().can_see
    return {(row.conversation_id, row.user_id): objects.Yours.of(row, row.unread) for row in rows if may_see(row)}


@transaction.atomic
def mark_read(conversation_id: UUID, read: Mapping[Any, int]) -> list[Any]:
    """How far people, by their ids, have read. Returns those to whom it is news; a marker never goes back, and whoever
    may not see the conversation has none.
    """
    rows = Participant.objects.filter(conversation=conversation_id, conversation__deleted_at=None, user__in=read)
    news: dict[int, list[Participant]] = {}
    for row in rows.select_related("user", "conversation"):
        seq = min(read[row.user_id], row.conversation.last_seq)
        if row.last_read < seq and policy().can_see(row):
            news.setdefault(seq, []).append(row)
    for seq, people in news.items():
        rows.filter(pk__in=[row.pk for row in people], last_read__lt=seq).update(last_read=seq)
    return [row.user_id for people in news.values() for row in people]


def advance_last_read(conversation: Conversation, user_id: Any, seq: int) -> bool:
    seq = min(seq, conversation.last_seq)
    mine = Participant.objects.filter(conversation=conversation, user=user_id, last_read__lt=seq)
    return bool(mine.update(last_read=seq))
