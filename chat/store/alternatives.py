"""Several answers to one question: a run begins the row that fits, people choose which one is shown."""

from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from ..models import Conversation, Message, Run, ToolCall
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import append_message, check_can_post, lock_membership, touch, with_related
from .run_lifecycle import active_runs


def create_answer(conversation: Conversation, run: Run) -> Message:
    """The row that a run writes. It is shown, and what it is made instead of is not any more."""
    former = run.replaces
    if former is None:
        return append_message(conversation, role=Message.Role.ASSISTANT)
    if run.continues:
        return _create_continuation(conversation, run, former)
    first = former.alternative_of or former
    if former.alternative_of is None:
        Message.objects.filter(pk=former.pk).update(alternative_of=former)
    Message.objects.filter(alternative_of=first).update(shown=False)
    return append_message(conversation, role=Message.Role.ASSISTANT, alternative_of=first)


def _create_continuation(conversation: Conversation, run: Run, former: Message) -> Message:
    """It begins with what was there, the tool calls too, and takes its place among the alternatives."""
    row = append_message(
        conversation,
        role=Message.Role.ASSISTANT,
        replaces=former,
        text=former.text,
        thinking=f"{former.thinking}\n\n" if former.thinking else "",
        alternative_of=former.alternative_of,
    )
    if former.alternative_of_id == former.pk:
        Message.objects.filter(alternative_of=former).update(alternative_of=row)
        Message.objects.filter(pk=row.pk).update(alternative_of=row)
        row.alternative_of = row
    Message.objects.filter(pk=former.pk).update(shown=False, alternative_of=None)
    calls = list(ToolCall.objects.filter(run__message=former))
    for call in calls:
        call.pk, call.run, call.call_id = uuid4(), run, str(call.pk)  # the model may use its own id again
    ToolCall.objects.bulk_create(calls)
    return row


@transaction.atomic
def choose_alternative(user_id: Any, conversation_id: UUID, message_id: UUID) -> objects.Message:
    """A person chooses which of several answers is shown to all, and sent to models."""
    participant = lock_membership(user_id, conversation_id)
    conversation = participant.conversation
    check_can_post(participant)
    row = Message.objects.filter(conversation=conversation_id, pk=message_id).first()
    if row is None:
        raise Refused(ErrorCode.NOT_FOUND, _("There is no such message in this conversation."))
    if row.alternative_of_id is None:
        raise Refused(ErrorCode.CONFLICT, _("There is no other answer to choose from."))
    of_it = Q(message__alternative_of=row.alternative_of_id) | Q(replaces__alternative_of=row.alternative_of_id)
    if active_runs(conversation_id).filter(of_it).exists():
        raise Refused(ErrorCode.CONFLICT, _("An answer is being made. Wait for it, or stop it first."))
    if not row.shown:
        if not Message.objects.filter(alternative_of=row.alternative_of_id, shown=True).update(shown=False):
            raise Refused(
                ErrorCode.CONFLICT, _("The question was sent again: what was answered before is not shown any more.")
            )
        Message.objects.filter(pk=row.pk).update(shown=True)
        touch(conversation)
    return objects.Message.of(with_related(Message.objects.filter(pk=row.pk)).get())
