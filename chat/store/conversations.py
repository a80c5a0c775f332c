"""Conversations: make one, list them, enter one, read back in it."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from msgspec import Struct

from .. import agents
from ..conf import conf
from ..models import Conversation, Message, Participant, Run
from ..permissions import policy
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import PAGE_SIZE, conversation_not_found, get_membership, normalize_title, read_page
from .read_state import list_states, with_unread
from .run_lifecycle import active_runs
from .search import set_title

MAX_LISTED = 200
_RUN = Run.objects.filter(conversation=OuterRef("pk"), status__in=Run.ACTIVE).values("status")
_WRITERS = (
    Participant.objects.filter(conversation=OuterRef("pk"))
    .exclude(role=Participant.Role.VIEWER)
    .order_by()
    .values("conversation")
    .annotate(number=Count("pk"))
    .values("number")
)


def create_conversation(user: Any, title: str = "", agent: str | None = None) -> objects.Conversation:
    """A new conversation that `user` owns. Raises Refused where the site has no such agent."""
    if agent is not None and agent not in conf.AGENTS:
        raise Refused(
            ErrorCode.INVALID,
            _("There is no such agent. There are: %(known)s.") % {"known": ", ".join(sorted(conf.AGENTS))},
        )
    with transaction.atomic():
        row = Conversation.objects.create(agent=agent or agents.default_slug())
        if title := normalize_title(title):
            set_title(row, title, Conversation.TitleFrom.PERSON)
            row.save(update_fields=["title", "title_from"])
        Participant.objects.create(conversation=row, user=user, role=Participant.Role.OWNER)
    return objects.Conversation.of(row, run=None, writers=1)


def _listed() -> QuerySet[Conversation]:
    """Conversations with what their objects need beyond the row."""
    rows = Conversation.objects.filter(deleted_at=None)
    return rows.annotate(active=Subquery(_RUN), writers=Coalesce(Subquery(_WRITERS), 0))


def _object(row: Any, mine: objects.Yours | None = None) -> objects.Conversation:
    return objects.Conversation.of(row, run=row.active, writers=row.writers, yours=mine)


def list_conversations(user_id: Any, before: datetime | None = None) -> tuple[list[objects.Conversation], bool]:
    """A person's conversations, at most LIST, pinned ones first, each part newest first; and whether there are more.
    `before`: those that changed before then, without the pinned ones, which came with the first.
    """
    mine = Participant.objects.filter(user=user_id, conversation__deleted_at=None)
    if before is not None:
        mine = mine.filter(pinned=False, conversation__updated_at__lt=before)
    mine = with_unread(mine.select_related("user", "conversation"))
    found: list[Any] = list(mine.order_by("-pinned", "-conversation__updated_at", "pk")[: MAX_LISTED + 1])
    seen = [participant for participant in found[:MAX_LISTED] if policy().can_see(participant)]
    rows = _listed().in_bulk([participant.conversation_id for participant in seen])
    listed = [
        _object(rows[participant.conversation_id], objects.Yours.of(participant, participant.unread))
        for participant in seen
        if participant.conversation_id in rows
    ]
    return listed, len(found) > MAX_LISTED


class ConversationListing(Struct, frozen=True):
    """A conversation as lists show it, and how each of the people has it in whose lists it is, by their ids."""

    conversation: objects.Conversation
    audience: dict[Any, objects.Yours]


def find_listing(conversation_id: UUID, only: Collection[Any] | None = None) -> ConversationListing | None:
    """None where it is gone. `only`: these people, by their ids, instead of all."""
    row = _listed().filter(pk=conversation_id).first()
    if row is None:
        return None
    people = Participant.objects.filter(conversation=row)
    audience = list_states(people if only is None else people.filter(user__in=only))
    of_each = {user_id: view for (_, user_id), view in audience.items()}
    return ConversationListing(_object(row), of_each)


def find_conversation(user_id: Any, conversation_id: UUID) -> objects.Conversation | None:
    """A conversation as this person has it. None where it is gone, or the person is."""
    row = _listed().filter(pk=conversation_id).first()
    mine = list_states(Participant.objects.filter(conversation=conversation_id, user=user_id))
    return None if row is None or not mine else _object(row, mine[conversation_id, user_id])


class Snapshot(Struct, frozen=True):
    """What a socket shows first."""

    you: objects.You
    conversation: objects.Conversation
    participants: list[objects.Participant]
    messages: list[objects.Message]
    more: bool
    runs: list[objects.Run]


def read_snapshot(user_id: Any, conversation_id: UUID) -> Snapshot:
    """Raises Refused(NOT_FOUND) where there is no such conversation or the person is not in it."""
    participant = get_membership(user_id, conversation_id)
    me = objects.Participant.of(participant)
    everyone = list(Participant.objects.filter(conversation=conversation_id).select_related("user"))
    writers = sum(row.role != Participant.Role.VIEWER for row in everyone)
    runs = [objects.Run.of(run) for run in active_runs(conversation_id)]
    run = next((run.status for run in runs), None)
    messages, more = read_page(conversation_id, before=None, limit=PAGE_SIZE)
    mine = list_states(Participant.objects.filter(pk=participant.pk))[conversation_id, participant.user_id]
    return Snapshot(
        you=objects.You(me.user.id, me.user.name, me.role, getattr(participant.user, "is_staff", False)),
        conversation=objects.Conversation.of(participant.conversation, run=run, writers=writers, yours=mine),
        participants=[objects.Participant.of(row) for row in everyone],
        messages=messages,
        more=more,
        runs=runs,
    )


def check_membership(user_id: Any, conversation_id: UUID) -> None:
    """Raises Refused(NOT_FOUND) where the person is not, or no longer, in the conversation."""
    get_membership(user_id, conversation_id)


def get_conversation(user_id: Any, conversation_id: UUID) -> objects.Conversation:
    """A conversation as this person has it. Raises Refused(NOT_FOUND)."""
    get_membership(user_id, conversation_id)
    found = find_conversation(user_id, conversation_id)
    if found is None:
        raise conversation_not_found()
    return found


class ConversationState(Struct, frozen=True):
    """The number of the newest message that is shown, 0 if there is none, and the active run."""

    last_seq: int
    run: UUID | None


def find_state(user_id: Any, conversation_id: UUID) -> ConversationState | None:
    """Where a conversation stands, in one query. None where this person is not in it."""
    newest = Message.objects.filter(conversation=OuterRef("pk"), shown=True).order_by("-seq").values("seq")[:1]
    active = Run.objects.filter(conversation=OuterRef("pk"), status__in=Run.ACTIVE).values("pk")[:1]
    rows = Conversation.objects.filter(pk=conversation_id, participants__user=user_id, deleted_at=None)
    found = rows.values_list(Subquery(newest), Subquery(active)).first()
    return ConversationState(found[0] or 0, found[1]) if found else None


def list_messages(
    user_id: Any, conversation_id: UUID, before: int | None, limit: int
) -> tuple[list[objects.Message], bool]:
    """`limit` messages older than number `before` (the newest where it is None), in order; whether there are more."""
    get_membership(user_id, conversation_id)
    return read_page(conversation_id, before, limit)
