"""What the code of a site can do with its chat, from views, commands, and workers of a task queue.

The package exports these functions: `import nous_chat; nous_chat.say(conversation, "Hello", system=True)`. Each has an
asynchronous twin whose name begins with `a`.

What they store belongs to the caller's transaction, and is published when that has committed. They work in processes
that serve no sockets: answers are then made by one that does.
"""

from functools import partial
from typing import Any
from uuid import UUID, uuid4

from asgiref.sync import sync_to_async
from django.db import models
from msgspec import Struct

from . import fulltext, hooks, store
from .actions import documents as document_actions
from .actions import messages
from .actions import rooms as room_actions
from .concurrency import after_commit
from .hooks import Rejected
from .models import Conversation
from .protocol import objects
from .protocol.errors import Refused

__all__ = [
    "Asked",
    "Refused",
    "Rejected",
    "aask",
    "aconversation_for",
    "adocument_for",
    "arecheck",
    "asay",
    "ask",
    "conversation_for",
    "document_for",
    "recheck",
    "say",
]

AnyConversation = Conversation | objects.Conversation | UUID


class Asked(Struct, frozen=True):
    """The question, and the id of the run that answers it; None if it waits until another answer has ended."""

    message: objects.Message
    run: UUID | None


def say(
    conversation: AnyConversation, text: str, user: Any = None, *, agent: str | None = None, system: bool = False
) -> objects.Message:
    """Post a message that nobody answers: as a user, as an agent (its slug), or as a note of the site. Returns it.

    A user is bound by the same rules as on the page. Raises Refused if they may not post, or the text is empty or too
    long; ValueError unless there is exactly one author; LookupError for an unknown agent.
    """
    if (user is not None) + (agent is not None) + system != 1:
        raise ValueError("Give one of user, agent, and system=True.")
    key = _key(conversation)
    if agent is not None:
        posted = store.Posted(store.post_as_agent(key, agent, text))
    elif system:
        posted = store.Posted(store.post_as_system(key, text))
    else:
        posted = _post(key, text, user, ask=False)
    after_commit(partial(messages.announce, key, posted))
    return posted.message


def ask(conversation: AnyConversation, text: str, user: Any, *, agent: str | None = None) -> Asked:
    """Post a message as a user, and have an agent answer it: the one with this slug, or the conversation's first one.

    The answer is made even if nobody has the page open. Raises Refused if the user may not post or ask, a budget is
    used up, or the agent is not in the conversation.
    """
    key = _key(conversation)
    if agent is None:
        agent = Conversation.objects.filter(pk=key).values_list("agent", flat=True).first()
    posted = _post(key, text, user, agent=agent, unattended=True)
    after_commit(partial(messages.announce, key, posted))
    return Asked(posted.message, posted.start)


def conversation_for(obj: models.Model) -> Conversation:
    """The room of an object, made on first use. Raises LookupError if its model is not registered with `rooms`."""
    return store.make_room(obj)


def document_for(obj: models.Model, field: str, user: Any = None) -> objects.Document:
    """The document of an object's text field, made on first use in the object's room. What people and agents write in
    it is saved in the field some seconds later. If the site has changed the field, that becomes a change of the
    document, by `user` if given.

    Raises LookupError if the `documents` of the object's room do not name the field, and Refused if the text is too
    long.
    """
    return document_actions.open_field(obj, field, user)


def recheck(user: Any) -> None:
    """Ask the rules of the rooms that a user is in again, and have all their sockets, in every process, re-check their
    access when the current transaction has committed.
    """
    room_actions.recheck(user)


def _key(conversation: AnyConversation) -> UUID:
    return conversation if isinstance(conversation, UUID) else conversation.id


def _post(key: UUID, text: str, user: Any, **options: Any) -> store.Posted:
    room_actions.reenter(user.pk, key)
    text = hooks.check_message(user.pk, key, text)
    words = fulltext.make_index_text(text)
    return store.post_message(user.pk, key, text, uuid4(), None, host="", words=words, **options)


asay = sync_to_async(say)
aask = sync_to_async(ask)
aconversation_for = sync_to_async(conversation_for)
adocument_for = sync_to_async(document_for)
arecheck = sync_to_async(recheck)
