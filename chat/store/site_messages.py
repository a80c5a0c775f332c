"""Messages that the site's own code posts as an agent or as a note. Those in a user's name are `messages`."""

from typing import Any
from uuid import UUID

from django.utils import timezone

from .. import agents, fulltext
from ..models import Message, Run
from ..protocol import objects
from .base import append_message, conversation_not_found, lock_if_exists, read_message
from .messages import check_text
from .search import index_message
from .unit_of_work import unit_of_work


def post_as_agent(conversation_id: UUID, slug: str, text: str) -> objects.Message:
    """Store a message of an agent that no model has written. Raises LookupError if the site has no such agent, and
    Refused if the text is empty or too long, or the conversation is gone.

    It has a run, which says whose message it is: to readers, to models, and to replies.
    """
    if slug not in agents.all_agents():
        raise LookupError(f"The site has no agent {slug!r}.")

    def add_run(row: Message) -> None:
        now = timezone.now()
        Run.objects.create(
            conversation=row.conversation,
            message=row,
            agent=slug,
            status=Run.Status.COMPLETED,
            host="",
            started_at=now,
            finished_at=now,
        )

    return _post(conversation_id, text, Message.Role.ASSISTANT, add_run)


def post_as_system(conversation_id: UUID, text: str) -> objects.Message:
    """Store a note: it has no author, counts as read, and no model is sent it. Raises Refused as above."""
    return _post(conversation_id, text, Message.Role.SYSTEM, lambda row: None)


def _post(conversation_id: UUID, text: str, role: str, complete: Any) -> objects.Message:
    text = check_text(text)
    words = fulltext.make_index_text(text)
    with unit_of_work():
        conversation = lock_if_exists(conversation_id)
        if conversation is None or conversation.deleted_at is not None:
            raise conversation_not_found()
        row = append_message(conversation, role=role, text=text)
        index_message(row, words)
        complete(row)
        return read_message(row.pk)
