"""Alternatives: several answers to one question, one of which is shown. Runs create them, people choose one."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from django.db.models import Q
from django.utils.translation import gettext as _

from ..models import Conversation, Message, Run, ToolCall
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import (
    append_message,
    check_can_post,
    lock_membership,
    message_not_found,
    read_message,
    run_in_progress,
    touch,
)
from .run_lifecycle import active_runs
from .unit_of_work import unit_of_work


def create_answer(conversation: Conversation, run: Run) -> Message:
    """Create the message that a run writes, and hide the answer that it retries or continues."""
    replaced = run.replaces
    if replaced is None:
        return append_message(conversation, role=Message.Role.ASSISTANT)
    if run.continues:
        return _create_continuation(conversation, run, replaced)
    first = replaced.alternative_of or replaced
    if replaced.alternative_of is None:
        Message.objects.filter(pk=replaced.pk).update(alternative_of=replaced)
    Message.objects.filter(alternative_of=first).update(shown=False)
    return append_message(conversation, role=Message.Role.ASSISTANT, alternative_of=first)


def _create_continuation(conversation: Conversation, run: Run, replaced: Message) -> Message:
    """Create a message that begins with the text, the thinking, and the tool calls of the answer that was cut off, and
    takes its place among the alternatives. Usage and cost of the run begin with those of the replaced one, so that they
    are of the whole answer.
    """
    used = {name: getattr(replaced.run, name) for name in (*objects.Usage.__struct_fields__, "tokens", "cost")}
    Run.objects.filter(pk=run.pk).update(**used)
    for name, value in used.items():
        setattr(run, name, value)
    calls = list(ToolCall.objects.filter(run__message=replaced))
    call_ids = {call.pk: uuid4() for call in calls}
    row = append_message(
        conversation,
        role=Message.Role.ASSISTANT,
        replaces=replaced,
        text=replaced.text,
        thinking=replaced.thinking,
        parts=copy_parts(replaced, call_ids),
        alternative_of=replaced.alternative_of,
    )
    if replaced.alternative_of_id == replaced.pk:  # it was the first alternative, which the others refer to
        Message.objects.filter(alternative_of=replaced).update(alternative_of=row)  # the new row too
        row.alternative_of = row
    Message.objects.filter(pk=replaced.pk).update(shown=False, alternative_of=None)
    for call in calls:
        # The copy needs its own call_id: the model may use the original one again in this run.
        call.call_id = str(call.pk)
        call.pk = call_ids[call.pk]
        call.run = run
    ToolCall.objects.bulk_create(calls)
    return row


def copy_parts(row: Message, call_ids: Mapping[UUID, UUID]) -> list[Any] | None:
    """The parts of an answer for a copy whose tool calls have other ids: `call_ids`, by those of the original."""
    if row.parts is None:
        return None
    return objects.encode_parts(
        objects.CallPart(call_ids[part.call]) if isinstance(part, objects.CallPart) else part
        for part in objects.decode_parts(row.parts)
        if not isinstance(part, objects.CallPart) or part.call in call_ids
    )


@unit_of_work()
def choose_alternative(user_id: Any, conversation_id: UUID, message_id: UUID) -> objects.Message:
    """Show this alternative instead of the current one, to everyone and to models."""
    participant = lock_membership(user_id, conversation_id)
    conversation = participant.conversation
    check_can_post(participant)
    row = Message.objects.filter(conversation=conversation_id, pk=message_id).first()
    if row is None:
        raise message_not_found()
    if row.alternative_of_id is None:
        raise Refused(ErrorCode.CONFLICT, _("There is no other answer to choose from."))
    same_question = Q(message__alternative_of=row.alternative_of_id) | Q(replaces__alternative_of=row.alternative_of_id)
    if active_runs(conversation_id).filter(same_question).exists():
        raise run_in_progress()
    if not row.shown:
        hidden = Message.objects.filter(alternative_of=row.alternative_of_id, shown=True).update(shown=False)
        if not hidden:
            raise Refused(ErrorCode.CONFLICT, _("The question was sent again. This answer belongs to the old one."))
        Message.objects.filter(pk=row.pk).update(shown=True)
        touch(conversation)
    return read_message(row.pk)
