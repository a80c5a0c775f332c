"""What a conversation is for one user: unread messages, last read message, pinned, archived."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db.models import Case, Count, Exists, OuterRef, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce, Greatest

from ..models import Message, Participant
from ..permissions import can_see
from ..protocol import objects
from .unit_of_work import unit_of_work

CROWD = 50
"""Participants beyond which changes of a conversation cost so much that they are gathered."""

# The partial index `nous_chat_message_counts` has the same condition.
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


def counts_as_unread(message: objects.Message) -> bool:
    """The same condition."""
    return message.shown and message.deleted_at is None and message.role != Message.Role.SYSTEM


def with_unread(participants: QuerySet[Participant]) -> QuerySet[Participant]:
    """Annotate each with `unread`: how many messages after `last_read` count. Deleted messages, system messages and
    alternatives that are not shown do not count.
    """
    return participants.annotate(unread=Coalesce(Subquery(_UNREAD), 0))


def list_states(participants: QuerySet[Participant]) -> dict[tuple[UUID, Any], objects.Yours]:
    """By conversation and user id, in one query. Participants who may not see the conversation are left out."""
    return make_states(with_state(participants))


def with_state(participants: QuerySet[Participant]) -> QuerySet[Participant]:
    """The participants with what `make_states` reads of them."""
    return with_unread(participants.select_related("user", "conversation"))


def with_state_unless_crowd(participants: QuerySet[Participant]) -> QuerySet[Participant]:
    """The same, but those of a conversation with more than CROWD people need `count_for_crowds`, too."""
    others = Participant.objects.filter(conversation=OuterRef("conversation")).order_by()
    unread = Case(When(Exists(others[CROWD : CROWD + 1]), then=None), default=Coalesce(Subquery(_UNREAD), 0))
    return participants.select_related("user", "conversation").annotate(unread=unread)


def count_for_crowds(rows: Iterable[Any]) -> None:
    """Set `unread` of those who are in a crowd, as a rule by one query: once for all who have read up to the same
    message.
    """
    crowd = [row for row in rows if row.unread is None]
    if not crowd:
        return
    alike: dict[tuple[UUID, int], int] = {}
    for row in crowd:
        alike.setdefault((row.conversation_id, row.last_read), row.pk)
    counted: Iterable[Any] = with_unread(Participant.objects.filter(pk__in=list(alike.values())))
    unread = {(row.conversation_id, row.last_read): row.unread for row in counted}
    for place in alike.keys() - unread.keys():  # the one who stood for all others there has read on, or left
        unread[place] = count_unread(*place)
    for row in crowd:
        row.unread = unread[row.conversation_id, row.last_read]


def count_unread(conversation_id: UUID, last_read: int) -> int:
    """How many messages after `last_read` count."""
    later = Message.objects.filter(conversation=conversation_id, seq__gt=last_read, shown=True, deleted_at=None)
    return later.exclude(role=Message.Role.SYSTEM).count()


def make_states(rows: Iterable[Any]) -> dict[tuple[UUID, Any], objects.Yours]:
    """The same as `list_states`, of participants that are read already."""
    return {(row.conversation_id, row.user_id): objects.Yours.of(row, row.unread) for row in rows if can_see(row)}


@unit_of_work()
def mark_read(conversation_id: UUID, read: Mapping[Any, int]) -> list[Any]:
    """Store the last message that each user has read, by user id. Returns the users whose marker moved.

    A marker never moves back, and users who may not see the conversation have none.
    """
    rows = Participant.objects.filter(conversation=conversation_id, conversation__deleted_at=None, user__in=read)
    moved: list[Any] = []
    positions: dict[int, list[int]] = {}
    for row in rows.select_related("user", "conversation"):
        seq = min(read[row.user_id], row.conversation.last_seq)
        if row.last_read < seq and can_see(row):
            moved.append(row.user_id)
            positions.setdefault(seq, []).append(row.pk)
    if moved:
        # One statement, even if everybody has read up to another message.
        position = Case(*(When(pk__in=keys, then=Value(seq)) for seq, keys in positions.items()))
        rows.filter(user__in=moved).update(last_read=Greatest("last_read", position))
    return moved
