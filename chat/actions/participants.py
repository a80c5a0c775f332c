"""Participants joined, left, or changed role: tell the conversation and everybody's inbox."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from asgiref.sync import async_to_sync
from django.db import transaction

from .. import store
from ..protocol import events, objects
from ..realtime import groups, inbox


def tell_later(conversation_id: UUID, change: store.Change) -> None:
    """When the request's transaction, if the site has one around it, is committed."""
    transaction.on_commit(partial(async_to_sync(tell), conversation_id, change))


async def tell(conversation_id: UUID, change: store.Change) -> None:
    """Tell a conversation, and the lists of its people, who came, has another role, went."""
    group = groups.conversation(conversation_id)
    kinds: list[tuple[Callable[..., events.Event], list[objects.Participant]]] = [
        (events.ParticipantJoined, change.joined),
        (events.ParticipantUpdated, change.updated),
        (events.ParticipantLeft, change.left),
    ]
    for event, people in kinds:
        for participant in people:
            await groups.publish(group, event(participant=participant))
    await groups.publish(group, events.MessageCreated(message=change.notice))
    for gone in change.left:
        removed = events.ConversationRemoved(conversation=conversation_id, last_seq=change.notice.seq)
        await groups.publish(groups.person(gone.user.id), removed)
    await inbox.announce(conversation_id)
