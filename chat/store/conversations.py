"""Conversations: create one, list them, and read what a socket shows of one."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery
from django.utils.translation import gettext as _
from msgspec import Struct

from .. import agents
from ..models import Conversation, Message, Participant, Run
from ..permissions import is_listed, usable_agents, visible_to
from ..protocol import events, objects
from ..protocol.errors import ErrorCode, Refused
from ..times import to_row
from .base import conversation_not_found, count, get_membership, writers_of
from .pages import read_page
from .prepared import SelectIn
from .read_state import count_for_crowds, list_states, make_states, with_state_unless_crowd, with_unread
from .search import set_title
from .text import normalize_title
from .unit_of_work import unit_of_work

MAX_LISTED = 200
"""How many conversations one list holds."""


def create_conversation(user: Any, title: str = "", agent: str | None = None) -> objects.Conversation:
    """Create a conversation that `user` owns. Raises Refused(INVALID) if the site has no such agent for them."""
    if agent is not None and agent not in (known := usable_agents(user)):
        raise Refused(
            ErrorCode.INVALID,
            _("There is no such agent. Choose one of: %(known)s.") % {"known": ", ".join(sorted(known))},
        )
    with unit_of_work():
        row = Conversation.objects.create(agent=agent or agents.default_slug())
        if title := normalize_title(title):
            set_title(row, title, Conversation.TitleFrom.PERSON)
            row.save(update_fields=["title", "title_from"])
        Participant.objects.create(conversation=row, user=user, role=Participant.Role.OWNER)
    return objects.Conversation.of(row, run=None, responder=None, writers=1)


def list_conversations(user_id: Any, before: datetime | None = None) -> tuple[list[objects.Conversation], bool]:
    """A user's conversations, at most MAX_LISTED, and whether there are more: pinned ones first, then newest first.

    `before` continues the list with conversations that changed before that time. Pinned ones are left out then, because
    the first part holds them all.
    """
    mine = Participant.objects.filter(user=user_id, conversation__deleted_at=None, conversation__listed=True)
    mine = mine.filter(visible_to(user_id))
    if before is not None:
        mine = mine.filter(pinned=False, conversation__updated_at__lt=to_row(before))
    mine = with_unread(mine.select_related("user", "conversation"))
    found: list[Any] = list(mine.order_by("-pinned", "-conversation__updated_at", "pk")[: MAX_LISTED + 1])
    visible = [participant for participant in found[:MAX_LISTED] if is_listed(participant)]
    rows = _with_list_fields().in_bulk([participant.conversation_id for participant in visible])
    listed = [
        _make_object(row, row, objects.Yours.of(participant, participant.unread))
        for participant in visible
        if (row := rows.get(participant.conversation_id)) is not None
    ]
    return listed, len(found) > MAX_LISTED


class ConversationListing(Struct, frozen=True):
    """A conversation in its participants' lists: what is the same for all, and each user's own state by user id."""

    conversation: objects.Conversation
    audience: dict[Any, objects.Yours]


def find_listings(conversation_ids: Sequence[UUID]) -> list[ConversationListing | None]:
    """Conversations, 50 at most, as lists show them; None for one that is gone. One query if all have participants, and
    none of them has a crowd.
    """
    participants: list[Any] = _AUDIENCE.all(conversation_ids)
    count_for_crowds(participants)
    writers = Counter(row.conversation_id for row in participants if row.role != Participant.Role.VIEWER)
    found: dict[UUID, objects.Conversation] = {}
    for row in participants:
        if row.conversation_id not in found:
            row.writers = writers[row.conversation_id]
            found[row.conversation_id] = _make_object(row.conversation, row)
    if deserted := [key for key in conversation_ids if key not in found]:
        found |= {row.pk: _make_object(row, row) for row in _LISTED.all(deserted)}
    audiences: dict[UUID, dict[Any, objects.Yours]] = {key: {} for key in found}
    for (key, user_id), state in make_states(row for row in participants if row.conversation.listed).items():
        audiences[key][user_id] = state
    return [ConversationListing(found[key], audiences[key]) if key in found else None for key in conversation_ids]


def find_listing(conversation_id: UUID, only: Collection[Any]) -> ConversationListing | None:
    """The same for one conversation, and for an audience of these users only."""
    rows = _LISTED.all([conversation_id])
    if not rows:
        return None
    audience = Participant.objects.filter(conversation=conversation_id, conversation__listed=True, user__in=only)
    states = list_states(audience)
    conversation = _make_object(rows[0], rows[0])
    return ConversationListing(conversation, {user_id: state for (_, user_id), state in states.items()})


def find_conversation(user_id: Any, conversation_id: UUID) -> objects.Conversation | None:
    """A conversation as this user has it. None if it is gone, or the user is not in it."""
    row = _with_list_fields().filter(pk=conversation_id).first()
    states = list_states(Participant.objects.filter(conversation=conversation_id, user=user_id))
    return None if row is None or not states else _make_object(row, row, states[conversation_id, user_id])


def get_conversation(user_id: Any, conversation_id: UUID) -> objects.Conversation:
    """A conversation as this user has it. Raises Refused(NOT_FOUND)."""
    found = find_conversation(user_id, conversation_id)
    if found is None:
        raise conversation_not_found()
    return found


def _with_list_fields() -> QuerySet[Conversation]:
    return Conversation.objects.filter(deleted_at=None).annotate(**_list_fields(OuterRef("pk")))


def _list_fields(conversation: OuterRef) -> dict[str, Subquery]:
    """What `_make_object` reads, as annotations."""
    return _run_fields(conversation) | {"writers": count(writers_of(conversation))}


def _run_fields(conversation: OuterRef) -> dict[str, Subquery]:
    active = Run.objects.filter(conversation=conversation, status__in=Run.ACTIVE)
    return {"run_status": Subquery(active.values("status")), "run_agent": Subquery(active.values("agent"))}


def _audience() -> QuerySet[Participant]:
    """Participants, each with the list fields of the conversation but `writers`. Only the first row's are used."""
    rows = with_state_unless_crowd(Participant.objects.filter(conversation__deleted_at=None).order_by())
    return rows.annotate(**_run_fields(OuterRef("conversation")))


_LISTED = SelectIn(Conversation, "id", lambda is_one: _with_list_fields().filter(is_one).order_by())
_AUDIENCE = SelectIn(Participant, "conversation_id", lambda is_one: _audience().filter(is_one))


def _make_object(row: Conversation, fields: Any, state: objects.Yours | None = None) -> objects.Conversation:
    """`fields` has the annotations of `_list_fields`."""
    run, agent = fields.run_status, fields.run_agent
    return objects.Conversation.of(row, run=run, responder=agent, writers=fields.writers, yours=state)


def check_membership(user_id: Any, conversation_id: UUID) -> None:
    """Raises Refused(NOT_FOUND) if the user is not, or no longer, in the conversation."""
    get_membership(user_id, conversation_id)


def find_state(user_id: Any, conversation_id: UUID) -> events.ConversationState | None:
    """The last message and the active run, in one query. None if the user is not in the conversation.

    Clients compare it with what they show: nothing else reveals a frame that was lost at the end.
    """
    newest = Message.objects.filter(conversation=OuterRef("pk"), shown=True).order_by("-seq").values("seq")[:1]
    active = Run.objects.filter(conversation=OuterRef("pk"), status__in=Run.ACTIVE).values("pk")[:1]
    rows = Conversation.objects.filter(pk=conversation_id, participants__user=user_id, deleted_at=None)
    found = rows.values_list(Subquery(newest), Subquery(active)).first()
    return events.ConversationState(last_seq=found[0] or 0, run=found[1]) if found else None


def list_messages(
    user_id: Any, conversation_id: UUID, before: int | None, limit: int
) -> tuple[list[objects.Message], bool]:
    """The newest `limit` messages (older than number `before`, if given) in order, and whether there are older ones."""
    reader = get_membership(user_id, conversation_id).user
    page = read_page(conversation_id, before, limit, reader)
    return page.messages, page.more
