"""Conversations that begin with messages from elsewhere, which a client has kept itself."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from ..conf import conf
from ..models import Conversation, Message, Participant, Run
from ..protocol.adapters.base import Turn
from .base import check_can_create
from .forks import copy_answer
from .messages import check_text
from .text import make_title
from .unit_of_work import unit_of_work


@unit_of_work()
def import_conversation(
    user: Any, conversation_id: UUID, agent: str, title: str, turns: Sequence[Turn], after: UUID | None = None
) -> int:
    """Create a conversation of this user with an agent (a slug) that begins with these messages. It is in no list or
    search result, and is erased after COMPLETION_SECONDS. Its title is made from the text `title`. Raises Refused.

    `after` is a run: a copy of what its conversation shows up to its answer precedes the messages. Returns how many
    messages were copied. Each imported answer gets a completed run, which names its agent.
    """
    check_can_create(user)
    now, lifetime = timezone.now(), conf.COMPLETION_SECONDS
    fields = {
        "pk": conversation_id,
        "agent": agent,
        "listed": False,
        "expires_at": None if lifetime is None else now + timedelta(seconds=lifetime),
        "title": make_title(title),
        "title_from": Conversation.TitleFrom.PERSON,  # so that no model is asked for one
    }
    if after is None:
        conversation = Conversation.objects.create(**fields)
        Participant.objects.create(conversation=conversation, user=user, role=Participant.Role.OWNER)
    else:
        conversation = copy_answer(user.pk, after, fields)
    copied = conversation.last_seq
    rows = [
        Message(
            conversation=conversation,
            seq=number,
            role=turn.role,
            author=user if turn.role == "user" else None,
            text=check_text(turn.text),
        )
        for number, turn in enumerate(turns, copied + 1)
    ]
    Message.objects.bulk_create(rows)
    answers = [row for row in rows if row.role == Message.Role.ASSISTANT]
    Run.objects.bulk_create(
        Run(
            conversation=conversation,
            message=row,
            agent=agent,
            status=Run.Status.COMPLETED,
            host="",
            started_at=now,
            finished_at=now,
        )
        for row in answers
    )
    conversation.last_seq += len(rows)
    conversation.save(update_fields=["last_seq"])
    Participant.objects.filter(conversation=conversation).update(last_read=conversation.last_seq)
    return copied
