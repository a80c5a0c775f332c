"""Guests: visitors without an account (`GUESTS`). Begin, find, hand over to an account, and erase them.

A guest is a row of the site's user model that nobody can sign in to, named by the visitor's session. So everything that
is scoped to a user is scoped to a guest as well. They are members of one conversation, which has no owner until they
sign in.
"""

import secrets
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db.models import Exists, Model, OuterRef, ProtectedError, QuerySet, RestrictedError
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import agents
from ..conf import GuestConf, conf
from ..i18n import format_number
from ..models import Conversation, Guest, Hold, Message, Participant, Run
from ..permissions import is_guest, policy
from ..protocol.errors import ErrorCode, Refused
from .base import lock_conversation
from .retention_rules import keeps_anything, kept_conversations
from .unit_of_work import unit_of_work

HANDED_OVER_LIFETIME = timedelta(hours=1)
"""How long the row of a guest stays after its conversation was handed over, because an answer may still name it."""


@unit_of_work()
def begin_guest() -> tuple[Any, UUID]:
    """Create a guest with a conversation. Returns the row of the user, and the conversation's id. Raises
    Refused(FORBIDDEN) if the site lets no guests chat, or keeps enough of them.
    """
    if conf.GUESTS is None or Guest.objects.count() >= conf.GUESTS.most:
        raise Refused(ErrorCode.FORBIDDEN, _("There are too many guests right now. Sign in to chat."))
    user = policy().new_guest()
    user.password = Guest.PASSWORD_PREFIX + secrets.token_hex(16)
    user.save()
    Guest.objects.create(user=user)
    conversation = Conversation.objects.create(agent=agents.default_slug())
    Participant.objects.create(conversation=conversation, user=user, role=Participant.Role.MEMBER)
    return user, conversation.pk


def find_guest(key: str | None) -> Any | None:
    """The row of the guest that a session names (`Guest.SESSION_KEY`). None if there is none, or GUESTS is off."""
    if not key or conf.GUESTS is None:
        return None
    users = get_user_model()
    user = users._default_manager.filter(pk=users._meta.pk.to_python(key)).first()
    return user if is_active_guest(user) else None


def is_active_guest(user: Any | None) -> bool:
    return user is not None and is_guest(user) and bool(user.is_active) and conf.GUESTS is not None


def find_guest_conversation(user_id: Any) -> UUID | None:
    """The conversation of a guest. None if it is gone."""
    rows = Participant.objects.filter(user=user_id, conversation__deleted_at=None)
    return rows.order_by("-conversation__updated_at").values_list("conversation", flat=True).first()


def check_guest(user: Any) -> None:
    """Raises Refused(FORBIDDEN) if a user is a guest who has sent, or asked for, as much as a guest may."""
    if conf.GUESTS is None or not is_guest(user):
        return
    most = conf.GUESTS.messages
    if max(Message.objects.filter(author=user).count(), Run.objects.filter(launched_by=user).count()) >= most:
        raise Refused(
            ErrorCode.FORBIDDEN,
            _("Guests can send up to %(most)s messages. Sign in to continue.") % {"most": format_number(most)},
        )


@unit_of_work()
def hand_over_guest(key: str, user: Any) -> list[UUID]:
    """Give `user`, as whom a guest has signed in, all that was the guest's. Returns the ids of the conversations.

    The guest's row is inactive from then on, and is erased soon.
    """
    users = get_user_model()
    guest = users._default_manager.filter(pk=users._meta.pk.to_python(key)).first()
    if guest is None or not is_guest(guest) or not guest.is_active:
        return []
    inside = Participant.objects.filter(user=guest.pk, conversation__deleted_at=None)
    conversations = sorted(inside.values_list("conversation", flat=True))
    for pk in conversations:
        conversation = lock_conversation(pk)
        if not conversation.participants.filter(role=Participant.Role.OWNER).exists():
            inside.filter(conversation=pk).update(role=Participant.Role.OWNER)
        conversation.waiting = [
            [agent, str(user.pk) if asked_by == str(guest.pk) else asked_by, seq]
            for agent, asked_by, seq in conversation.waiting
        ]
        conversation.save(update_fields=["waiting"])
    for rows, field in _belongings(guest):
        for constraint in rows.model._meta.total_unique_constraints:
            if field in constraint.fields:
                same = {name: OuterRef(name) for name in constraint.fields if name != field}
                rows = rows.exclude(Exists(rows.model._base_manager.filter(**same, **{field: user})))  # has it already
        rows.update(**{field: user})
    guest.is_active = False
    guest.save()
    Guest.objects.filter(pk=guest.pk).update(created_at=timezone.now() - _lifetime() + HANDED_OVER_LIFETIME)
    return conversations


def _belongings(guest: Any) -> list[tuple[QuerySet[Any], str]]:
    """The rows of the chat that name this user, and the field that does."""
    found = []
    for model in apps.get_app_config("nous_chat").get_models():
        for field in model._meta.concrete_fields:
            if field.related_model is get_user_model() and model is not Guest:
                found.append((model._base_manager.filter(**{field.name: guest}), field.name))
    return found


def _lifetime() -> timedelta:
    return timedelta(seconds=(conf.GUESTS or GuestConf()).keep)


def expired_guests(now: datetime) -> QuerySet[Guest]:
    """Guests whose last message is older than `keep`, unless a hold or a rule with a minimum keeps
    something of them.
    """
    until = now - _lifetime()
    inside = Participant.objects.filter(user=OuterRef("user"))
    recent = inside.filter(conversation__updated_at__gte=until, conversation__deleted_at=None)
    expired = Guest.objects.filter(~Exists(recent), created_at__lt=until)
    if keeps_anything():
        kept = inside.filter(conversation__in=kept_conversations(now).values("pk"))
        expired = expired.filter(~Exists(kept), ~Exists(Hold.objects.filter(user=OuterRef("user"), released_at=None)))
    return expired.select_related("user").order_by("pk")


def lone_conversations(guest: Guest) -> list[UUID]:
    """Those that nobody else is in, which are erased with the guest."""
    if not is_guest(guest.user):
        return []
    others = Participant.objects.filter(conversation=OuterRef("pk")).exclude(user=guest.pk)
    alone = Conversation.objects.filter(~Exists(others), participants__user=guest.pk)
    return sorted(alone.values_list("pk", flat=True))


def erase_guest(guest: Guest) -> list[tuple[int, dict[str, int]]]:
    """Erase a guest with their lone conversations, inside the caller's transaction. Returns what was deleted."""
    user: Model = guest.user
    if not is_guest(user):  # the site has made an account of it
        guest.delete()
        return []
    deleted = [lock_conversation(pk).delete() for pk in lone_conversations(guest)]
    try:
        user.delete()
    except (ProtectedError, RestrictedError):  # the site wants to keep it
        type(user)._base_manager.filter(pk=user.pk).update(is_active=False)
        guest.delete()
    return deleted
