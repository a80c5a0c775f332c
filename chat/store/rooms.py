"""Rooms of objects: make the conversation on first use, and keep its participants as the site's rule says (`rooms`).

The rule is asked when a user opens the room, and when their access is re-checked. In between, the row of the
participant holds the answer, so that a list, a message, or a token costs no query for the object.
"""

from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import IntegrityError, models
from django.utils.translation import gettext as _
from msgspec import Struct

from .. import agents, database, rooms
from ..conf import conf
from ..models import Conversation, Participant
from ..models.conversations import MAX_TITLE_CHARS
from ..permissions import is_guest, policy
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import lock_conversation, lock_if_exists
from .deletion import DeletedConversation, hide_conversation
from .search import set_title
from .text import one_line, sanitize_text, truncate
from .unit_of_work import unit_of_work


class OpenedRoom(Struct, frozen=True):
    """A room, the role in it of a user who opens it (None if they may not see it), and what that has changed."""

    id: UUID
    role: str | None
    joined: objects.Participant | None = None
    updated: objects.Participant | None = None
    left: objects.Participant | None = None


def make_room(obj: models.Model) -> Conversation:
    """The conversation of an object, made on first use. Two callers at the same moment get the same one.

    Raises LookupError if the object's model is not registered.
    """
    rule, key = rooms.rule_of(obj), rooms.key_of(obj)
    where: dict[str, Any] = {"content_type": key.content_type, "object_id": key.object_id}
    # A transaction without the limits of a unit of work: the other caller may be a view with a long one of its own.
    with database.atomic():
        # One that was deleted can be restored as a conversation, but is no longer the object's.
        Conversation.objects.filter(**where).exclude(deleted_at=None).update(content_type=None, object_id="")
        row = Conversation.objects.filter(**where).first()
        if row is None:
            try:
                with database.atomic():
                    row = Conversation.objects.create(agent=rule.agent or agents.default_slug(), **where)
            except IntegrityError:
                row = Conversation.objects.get(**where)
        _describe(row, rule, obj)
    return row


def enter_room(user: Any, obj: models.Model) -> OpenedRoom | None:
    """Let a user into the room of an object, or take them out, as the rule says. None if there is none: it is made only
    for a user who may see it. Raises Refused if it is full, and LookupError if the object's model is not registered.
    """
    rule, key = rooms.rule_of(obj), rooms.key_of(obj)
    role = _role_of(user, (rule, obj))
    if role is not None:
        return _set_role(user, make_room(obj), role)
    row = Conversation.objects.filter(content_type=key.content_type, object_id=key.object_id, deleted_at=None).first()
    return None if row is None else _set_role(user, row, None)


def reenter_room(user_id: Any, conversation_id: UUID) -> OpenedRoom | None:
    """The same for a user who has the address of a conversation. None if it is not a room."""
    row = Conversation.objects.filter(pk=conversation_id, deleted_at=None).exclude(content_type=None).first()
    if row is None:
        return None
    user = get_user_model()._default_manager.filter(pk=user_id).first()
    found = rooms.find_object(row)
    if found is not None:
        _describe(row, *found)
    return _set_role(user, row, _role_of(user, found)) if user is not None else None


def recheck_rooms(user: Any) -> list[OpenedRoom]:
    """Ask the rules again for all rooms that a user is in."""
    rows = Participant.objects.filter(user=user.pk, conversation__deleted_at=None)
    inside = rows.exclude(conversation__content_type=None).select_related("conversation")
    roles = [(row.conversation, _role_of(user, rooms.find_object(row.conversation))) for row in inside]
    return [_set_role(user, conversation, role) for conversation, role in roles]


def allows(participant: Participant) -> bool:
    """Whether the rule of a room still lets a participant see it. True for conversations that are no rooms."""
    conversation = participant.conversation
    return not conversation.is_room or _role_of(participant.user, rooms.find_object(conversation)) is not None


def leave_object(obj: models.Model) -> tuple[UUID, DeletedConversation] | None:
    """The object is deleted: hide its room, or keep it as a conversation without an object, as the rule says. Returns
    what was hidden, if anything. A later object may have the same key, so the room lets go of it in any case.
    """
    key = rooms.key_of(obj)
    where: dict[str, Any] = {"content_type": key.content_type, "object_id": key.object_id}
    found = Conversation.objects.filter(**where).first()
    if found is None:
        return None
    with database.atomic():
        room, hidden = lock_conversation(found.pk), None
        if rooms.rule_of(obj).on_delete == "delete" and room.deleted_at is None:
            hidden = hide_conversation(room, None)
        Conversation.objects.filter(pk=room.pk).update(content_type=None, object_id="", object_url="")
    return None if hidden is None else (room.pk, hidden)


def _role_of(user: Any, found: tuple[rooms.Room, Any] | None) -> str | None:
    """What the rule says, for users who may use the chat at all. Guests have no account on the site, so they are in no
    room.
    """
    role = None if is_guest(user) else rooms.role_of(user, found)
    return role if role is not None and policy().can_use(user) else None


def _describe(row: Conversation, rule: rooms.Room, obj: Any) -> None:
    """Store what the room shows of its object, if that has changed."""
    title = truncate(one_line(sanitize_text(rule.title(obj))), MAX_TITLE_CHARS)
    now = {"object_url": rule.url(obj)[:500], "listed": rule.listed, "agent": rule.agent or agents.default_slug()}
    changed = {name: value for name, value in now.items() if getattr(row, name) != value}
    if row.title != title:
        set_title(row, title, Conversation.TitleFrom.PERSON)
        changed |= {"title": title, "title_from": row.title_from}
    if changed:
        for name, value in changed.items():
            setattr(row, name, value)
        row.save(update_fields=list(changed))


def _set_role(user: Any, conversation: Conversation, role: str | None) -> OpenedRoom:
    rows = Participant.objects.filter(conversation=conversation, user=user.pk).select_related("user")
    row = rows.first()
    if (row.role if row else None) == role:  # nearly always
        return OpenedRoom(conversation.pk, role)
    with unit_of_work():
        lock_if_exists(conversation.pk)
        row = rows.first()
        if role is None:
            if row is None:
                return OpenedRoom(conversation.pk, role)
            left = objects.Participant.of(row)
            row.delete()
            return OpenedRoom(conversation.pk, role, left=left)
        if row is None:
            row = _create_participant(user, conversation, role)
            return OpenedRoom(conversation.pk, role, joined=objects.Participant.of(row))
        row.role = role
        row.save(update_fields=["role"])
        return OpenedRoom(conversation.pk, role, updated=objects.Participant.of(row))


def _create_participant(user: Any, conversation: Conversation, role: str) -> Participant:
    if Participant.objects.filter(conversation=conversation).count() >= conf.MAX_PARTICIPANTS:
        raise Refused(
            ErrorCode.CONFLICT, _("A conversation can have up to %(most)s people.") % {"most": conf.MAX_PARTICIPANTS}
        )
    return Participant.objects.create(
        conversation=conversation,
        user=user,
        role=role,
        last_read=conversation.last_seq,  # a newcomer has nothing unread
    )
