"""Feedback: what a reader thinks of an answer. Each has one opinion of each answer."""

from typing import Annotated, Any, Literal
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _
from msgspec import Meta, Struct

from ..models import Feedback, Message
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import REACHABLE, get_membership, message_not_found, read_message
from .text import sanitize_text
from .unit_of_work import unit_of_work

MAX_COMMENT_CHARS = 2000


class NewFeedback(Struct, frozen=True, forbid_unknown_fields=True):
    rating: Literal["good", "bad"]
    comment: Annotated[str, Meta(max_length=MAX_COMMENT_CHARS)] = ""


class GivenFeedback(Struct, frozen=True):
    """What was stored, with the answer that it is about, and who gave it."""

    feedback: objects.Feedback
    message: objects.Message
    user: objects.Person


@unit_of_work()
def give_feedback(user_id: Any, conversation_id: UUID, message_id: UUID, new: NewFeedback) -> GivenFeedback:
    """Store what a reader thinks of an answer, instead of what they thought before. Raises Refused."""
    user = get_membership(user_id, conversation_id).user
    _check_answer(conversation_id, message_id)
    row, _created = Feedback.objects.update_or_create(
        message_id=message_id,
        user=user,
        defaults={"rating": new.rating, "comment": sanitize_text(new.comment).strip(), "given_at": timezone.now()},
    )
    return GivenFeedback(objects.Feedback.of(row), read_message(message_id), objects.Person.of(user))


@unit_of_work()
def withdraw_feedback(user_id: Any, conversation_id: UUID, message_id: UUID) -> None:
    """Forget what a reader thought of an answer, if anything. Raises Refused(NOT_FOUND)."""
    get_membership(user_id, conversation_id)
    _check_answer(conversation_id, message_id)
    Feedback.objects.filter(message=message_id, user=user_id).delete()


def find_feedback(user_id: Any, conversation_id: UUID, message_id: UUID) -> objects.Feedback | None:
    """What this reader thinks of an answer, None of a user's message. Raises Refused(NOT_FOUND) if they cannot read
    it.
    """
    get_membership(user_id, conversation_id)
    _find_role(conversation_id, message_id)
    row = Feedback.objects.filter(message=message_id, user=user_id).first()
    return None if row is None else objects.Feedback.of(row)


def _check_answer(conversation_id: UUID, message_id: UUID) -> None:
    if _find_role(conversation_id, message_id) != Message.Role.ASSISTANT:
        raise Refused(ErrorCode.CONFLICT, _("You can rate answers only."))


def _find_role(conversation_id: UUID, message_id: UUID) -> str:
    rows = Message.objects.filter(REACHABLE, conversation=conversation_id, pk=message_id, deleted_at=None)
    row = rows.only("role").first()
    if row is None:
        raise message_not_found()
    return row.role
