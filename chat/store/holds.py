"""Legal holds: place them, release them, and find out what they cover.

What a hold covers can still be deleted by people, as far as they see: it is hidden from them, and kept until the hold
is released. Only then is it erased.
"""

from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Model, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import database
from ..models import Conversation, DocumentUpdate, Hold, Message, Participant, Run, held
from ..protocol.errors import ErrorCode, Refused
from .base import conversation_not_found, lock_if_exists, lock_user
from .unit_of_work import unit_of_work

PERMISSION = "nous_chat.manage_retention"


@unit_of_work()
def place_hold(by: Any | None, reason: str, *, conversation: UUID | None = None, user: Any | None = None) -> UUID:
    """Place a hold on a conversation, or on a user (a key). Returns its id. `by` is a user with the permission
    `manage_retention`, or None for the command line. Raises Refused.
    """
    _check(by)
    if (conversation is None) == (user is None):
        raise Refused(ErrorCode.INVALID, _("A hold is on a conversation or on a user."))
    if not reason.strip():
        raise Refused(ErrorCode.EMPTY, _("A hold needs a reason."))
    if conversation is not None and lock_if_exists(conversation) is None:  # after an erasure that is at it
        raise conversation_not_found()
    if user is not None:
        lock_user(user)
        if not get_user_model()._base_manager.using(database.alias()).filter(pk=user).exists():
            raise Refused(ErrorCode.NOT_FOUND, _("This user does not exist."))
    return Hold.objects.create(conversation_id=conversation, user_id=user, reason=reason.strip(), placed_by=by).pk


@unit_of_work()
def release_hold(by: Any | None, hold_id: UUID, reason: str = "") -> None:
    """Release a hold. What was deleted meanwhile is erased by the next round. Raises Refused."""
    _check(by)
    now = timezone.now()
    active = Hold.objects.filter(pk=hold_id, released_at=None)
    if not active.update(released_at=now, released_by=by, release_reason=reason.strip()):
        raise Refused(ErrorCode.NOT_FOUND, _("There is no such hold, or it was released already."))


def _check(by: Any | None) -> None:
    if by is not None and not by.has_perm(PERMISSION):
        raise Refused(ErrorCode.FORBIDDEN, _("You can't place or release holds."))


def is_held(conversation_id: UUID) -> bool:
    """Whether a hold covers this conversation."""
    return Conversation.objects.filter(held(), pk=conversation_id).exists()


def user_is_held(user_id: Any) -> bool:
    """Whether a hold covers a user, or a conversation that they take part in or have written in, messages or in its
    documents.
    """
    if Hold.objects.filter(user=user_id, released_at=None).exists():
        return True
    written = Message.objects.filter(author=user_id).values("conversation")
    inside = Participant.objects.filter(user=user_id).values("conversation")
    changed = DocumentUpdate.objects.filter(author=user_id).values("document__conversation")
    asked = Run.objects.filter(launched_by=user_id).values("conversation")
    rows = Conversation.objects.filter(held())
    found_in: list[QuerySet[Any, Any]] = [inside, written, changed, asked]
    return any(rows.filter(pk__in=each).exists() for each in found_in)


def held_among(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Those of some conversations, messages, or rows of conversations that a hold covers."""
    model: type[Model] = rows.model
    if model is Conversation:
        return rows.filter(held())
    if hasattr(model, "conversation"):
        return rows.filter(held("conversation"))
    return rows.none()
