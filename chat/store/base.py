"""What the units of work share: membership, locks, and messages with everything their objects need.

Each function runs inside its caller's transaction. Functions that return a query set are named for what is in it.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Func, IntegerField, Model, Prefetch, Q, QuerySet, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import database
from ..models import Conversation, Message, Participant, ToolCall
from ..permissions import can_see, policy
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .prepared import Param, Select, SelectIn, Update, insert
from .unit_of_work import locking

T = TypeVar("T", bound=Model)

PAGE_SIZE = 50

REACHABLE = Q(shown=True) | Q(alternative_of__isnull=False)
"""Messages that people can reach: those that are shown, and the alternatives to them."""


def get_membership(user_id: Any, conversation_id: UUID) -> Participant:
    """The user's membership in a conversation. Raises Refused(NOT_FOUND) if there is none, or they may not see it."""
    row = _MEMBERSHIP.first(user=user_id, conversation=conversation_id)
    if row is None or not can_see(row):
        raise conversation_not_found()
    return row


def get_memberships(user_ids: Sequence[Any], conversation_id: UUID) -> dict[Any, Participant]:
    """Those of some users, 50 at most, by their primary keys. Those who have none, or may not see it, are left out."""
    rows = _MEMBERSHIPS.all(user_ids, conversation=conversation_id)
    return {row.user_id: row for row in rows if can_see(row)}


def membership() -> QuerySet[Participant]:
    """For prepared queries: the membership of `user` in `conversation`, with both."""
    return _members().filter(user=Param("user", Participant, "user"))


def _members() -> QuerySet[Participant]:
    rows = Participant.objects.select_related("user", "conversation").order_by()
    conversation = Param("conversation", Participant, "conversation")
    return rows.filter(conversation=conversation, conversation__deleted_at=None)


_MEMBERSHIP = Select(membership)
_MEMBERSHIPS = SelectIn(Participant, "user", lambda is_one: _members().filter(is_one))


def conversation_not_found() -> Refused:
    """One answer for both cases, so that nobody can probe which conversations exist."""
    return Refused(ErrorCode.NOT_FOUND, _("This conversation does not exist, or you are not in it."))


def message_not_found() -> Refused:
    return Refused(ErrorCode.NOT_FOUND, _("This message is not in the conversation."))


def run_in_progress() -> Refused:
    return Refused(ErrorCode.CONFLICT, _("An answer is in progress. Wait for it, or stop it first."))


def check_can_post(participant: Participant) -> None:
    """Raises Refused(FORBIDDEN) if the participant may only read."""
    if not policy().can_post(participant):
        raise Refused(ErrorCode.FORBIDDEN, _("You can read this conversation but not write in it."))


def check_can_create(user: Any) -> None:
    """Raises Refused(FORBIDDEN) if the user may not create conversations."""
    if not policy().can_create(user):
        raise Refused(ErrorCode.FORBIDDEN, _("You can't create conversations."))


def writers_of(conversation: Any) -> QuerySet[Participant]:
    """The participants who can write: their number decides when agents answer by themselves. `conversation` is an id,
    or an OuterRef.
    """
    return Participant.objects.filter(conversation=conversation).exclude(role=Participant.Role.VIEWER)


def count(rows: QuerySet[Any]) -> Subquery:
    """How many rows there are, as an annotation of other rows."""
    number = Func("pk", function="COUNT", output_field=IntegerField())
    return Subquery(rows.order_by().annotate(number=number).values("number"))


def lock_conversation(conversation_id: UUID) -> Conversation:
    """The row, locked until the transaction ends: everything that orders messages or runs takes this lock first."""
    conversation = lock_if_exists(conversation_id)
    if conversation is None:
        raise Conversation.DoesNotExist
    return conversation


def lock_if_exists(conversation_id: UUID) -> Conversation | None:
    """The same, for an id that a user gave."""
    with locking(conversation_id):
        return _LOCKED.first(id=conversation_id)


_LOCKED = Select(lambda: Conversation.objects.select_for_update().filter(pk=Param("id", Conversation, "id")).order_by())


def lock_membership(user_id: Any, conversation_id: UUID) -> Participant:
    """Lock the conversation, then return the user's membership in it. Raises Refused(NOT_FOUND).

    The membership is read under the lock: a user who was removed, or whose role changed, while this waited for the lock
    must not act with the old role.
    """
    lock_if_exists(conversation_id)
    return get_membership(user_id, conversation_id)


def lock_rows(rows: QuerySet[T], skip_locked: bool = False) -> QuerySet[T]:
    """Lock rows, and those that they are joined with, until the transaction ends. Rows that refer to them can be
    inserted meanwhile. `skip_locked` leaves out what somebody else has locked. SQLite has one lock and ignores this.
    """
    return rows.select_for_update(skip_locked=skip_locked, no_key=True)


def lock_user(user_id: Any) -> None:
    """Lock a user's row in the chat's database until the transaction ends: for limits on what one user has in all
    conversations.
    """
    lock_rows(get_user_model()._base_manager.using(database.alias()).filter(pk=user_id)).values_list("pk").first()


def append_message(conversation: Conversation, **fields: Any) -> Message:
    """Create the next message of a locked conversation."""
    row = next_message(conversation, **fields)
    touch(conversation)
    insert([row])
    return row


def next_message(conversation: Conversation, **fields: Any) -> Message:
    """The next message of a locked conversation, without a run. The caller saves both."""
    conversation.last_seq += 1
    row = Message(conversation=conversation, seq=conversation.last_seq, **fields)
    Message.run.related.set_cached_value(row, None)  # else the first look at it would be a query
    return row


def touch(conversation: Conversation) -> None:
    """Save a locked conversation as just changed, so that it moves to the top of lists."""
    touch_all([conversation])


def touch_all(conversations: Sequence[Conversation]) -> None:
    """The same for several."""
    now = timezone.now()
    for conversation in conversations:
        conversation.updated_at = now
    _TOUCH.execute_many([{"id": row.pk} | {name: getattr(row, name) for name in _TOUCHED} for row in conversations])


_TOUCHED = ("title", "title_from", "last_seq", "waiting", "updated_at")
_TOUCH = Update(lambda: Conversation.objects.filter(pk=Param("id", Conversation, "id")), _TOUCHED)


def shown_messages(conversation_id: UUID) -> QuerySet[Message]:
    """The messages that participants see. Deleted ones are included: their place stays visible."""
    return with_related(Message.objects.filter(conversation=conversation_id, shown=True))


def prompt_messages(conversation_id: UUID) -> QuerySet[Message]:
    """The messages that models are sent (shown and not deleted), with what `prompts` reads of them."""
    rows = shown_messages(conversation_id).prefetch_related(None).filter(deleted_at=None)
    return rows.select_related("reply_to__author", "reply_to__run").defer(
        "reply_to__thinking", "reply_to__run__transcript"
    )


def read_by_seq(rows: QuerySet[Message], size: int) -> Iterator[Message]:
    """Rows that are ordered by `seq` or `-seq`, read `size` at a time.

    Not by `iterator()`: outside a transaction, its cursor on the server does not survive a pooler that lends
    connections for one transaction at a time, such as PgBouncer.
    """
    key = "seq__lt" if "-seq" in rows.query.order_by else "seq__gt"
    page = list(rows[: size + 1])
    while len(page) > size:
        yield from page[:size]
        page = list(rows.filter(**{key: page[size - 1].seq})[: size + 1])
    yield from page


def with_related(rows: QuerySet[Message]) -> QuerySet[Message]:
    """Select everything that `objects.Message.of` reads, in a fixed number of queries."""
    calls = Prefetch("run__calls", ToolCall.objects.select_related("decided_by"))
    alternatives = Prefetch(
        "alternative_of__alternatives", Message.objects.only("alternative_of", "seq").order_by("seq")
    )
    related = rows.select_related("author", "deleted_by", "run__launched_by", "run__stopped_by")
    return related.prefetch_related(calls, alternatives, "attachments")


def read_message(message_id: UUID) -> objects.Message:
    return objects.Message.of(with_related(Message.objects.filter(pk=message_id)).get())
