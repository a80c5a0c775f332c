"""Conversations that begin with messages from elsewhere, which a client has kept itself."""

from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

from django.utils import timezone
from msgspec import Struct

from ..models import Conversation, Message, Participant, Run
from .base import check_can_create
from .messages import check_text
from .text import make_title
from .unit_of_work import unit_of_work


class Turn(Struct, frozen=True):
    """A message of the user, or an answer of the agent."""

    role: Literal["user", "assistant"]
    text: str


@unit_of_work()
def import_conversation(user: Any, conversation_id: UUID, agent: str, title: str, turns: Sequence[Turn]) -> None:
    """Create a conversation of this user with an agent (a slug), in no list, that begins with these messages. They are
    not searched, as it is not. The title is made from a text. Raises Refused.

    An answer has a run, which says whose message it is, as those that the site posts.
    """
    check_can_create(user)
    conversation = Conversation.objects.create(
        pk=conversation_id,
        agent=agent,
        listed=False,
        title=make_title(title),
        title_from=Conversation.TitleFrom.PERSON,  # so that no model is asked for one
        last_seq=len(turns),
    )
    Participant.objects.create(conversation=conversation, user=user, role=Participant.Role.OWNER, last_read=len(turns))
    rows = [
        Message(
            conversation=conversation,
            seq=number,
            role=turn.role,
            author=user if turn.role == "user" else None,
            text=check_text(turn.text),
        )
        for number, turn in enumerate(turns, 1)
    ]
    Message.objects.bulk_create(rows)
    now = timezone.now()
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
