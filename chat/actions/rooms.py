"""Open the room of an object, and tell the others in it. The rule of the object's model decides (`rooms`)."""

from functools import partial
from typing import Any
from uuid import UUID

from django.db import models

from .. import store
from ..concurrency import after_commit
from ..protocol import events
from ..realtime import groups, inbox, revocation
from ..store import executor


def enter(user: Any, obj: models.Model) -> UUID | None:
    """The id of the object's room, made on first use, with this user in it; None if they may not see it. Raises Refused
    if it is full, and LookupError if the object's model is not registered.
    """
    opened = store.enter_room(user, obj)
    if opened is None:
        return None
    after_commit(partial(_publish, opened))
    return opened.id if opened.role is not None else None


def reenter(user_id: Any, conversation_id: UUID) -> None:
    """A user opens a conversation by its address. If it is a room, its rule is asked again."""
    opened = store.reenter_room(user_id, conversation_id)
    if opened is not None:
        after_commit(partial(_publish, opened))


async def areenter(user_id: Any, conversation_id: UUID) -> bool:
    """The same for a socket. Returns whether the user is in a room now."""
    opened = await executor.run(store.reenter_room, user_id, conversation_id)
    if opened is None:
        return False
    await _publish(opened)
    return opened.role is not None


def recheck(user: Any) -> None:
    """Ask the rules of all rooms that a user is in again, and have their sockets re-check their access."""
    for opened in store.recheck_rooms(user):
        after_commit(partial(_publish, opened))
    revocation.recheck(user.pk)


async def _publish(opened: store.OpenedRoom) -> None:
    """Tell a room who joined, has another role, or left, and the lists that show it."""
    group = groups.conversation(opened.id)
    if opened.joined is not None:
        await groups.publish(group, events.ParticipantJoined(participant=opened.joined))
    elif opened.updated is not None:
        await groups.publish(group, events.ParticipantUpdated(participant=opened.updated))
    elif opened.left is not None:
        await groups.publish(group, events.ParticipantLeft(participant=opened.left))
        removed = events.ConversationRemoved(conversation=opened.id)
        await groups.publish(groups.inbox(opened.left.user.id), removed)
    else:
        return
    await inbox.announce(opened.id)


def object_deleted(obj: models.Model) -> None:
    """The object is deleted, and its room with it or not, as its rule says."""
    left = store.leave_object(obj)
    if left is not None:
        after_commit(partial(inbox.announce_deletion, *left))
