"""Tell people's lists, and the conversation itself, that a conversation has changed. Called by whoever changed it."""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError
from msgspec.structs import replace

from .. import store
from ..concurrency import detached
from ..protocol import events
from ..store import executor
from . import groups

MOMENT = 0.2
"""Seconds in which the changes of a conversation are told to lists as one: a message, its run and a short answer."""

CROWD_INTERVAL = 1.0
"""Seconds between two such updates of a conversation with more than CROWD participants."""

CROWD = 50
"""People in whose lists a conversation may be before these hear of it less often."""


class Lists:
    """When lists hear of what happens in the conversations of this process: not of each thing by itself."""

    def __init__(self, tasks: set[asyncio.Task[Any]]) -> None:
        self.due: set[UUID] = set()
        """Conversations of which they are about to hear."""
        self._crowds: set[UUID] = set()
        """Those that had more people than a CROWD when lists last heard of them."""
        self._tasks = tasks

    def changed(self, conversation_id: UUID) -> None:
        """A conversation has changed: lists hear of it in a MOMENT, once for all that happened until then; in a CROWD
        once in a CROWD_INTERVAL.
        """
        if conversation_id not in self.due:
            self.due.add(conversation_id)
            detached(self._tell(conversation_id), self._tasks)

    async def _tell(self, conversation_id: UUID) -> None:
        """Started by `changed`, never cancelled, awaited by Supervisor.drain; nothing escapes but bugs, which asyncio
        logs.
        """
        await asyncio.sleep(CROWD_INTERVAL if conversation_id in self._crowds else MOMENT)
        self.due.discard(conversation_id)
        with suppress(DatabaseError, InterfaceError):  # lists are read anew when the database is back
            crowded = await announce(conversation_id) > CROWD
            (self._crowds.add if crowded else self._crowds.discard)(conversation_id)


async def announce(conversation_id: UUID) -> int:
    """Publish `conversation.updated` to the conversation, and to the inbox of each of its people as this one has it.
    Returns how many these are.
    """
    listing = await executor.run(store.find_listing, conversation_id)
    if listing is None:
        return 0
    event = events.ConversationUpdated(conversation=listing.conversation)
    await groups.publish(groups.conversation(conversation_id), event)
    await _tell_each(listing)
    return len(listing.audience)


async def announce_to(user_ids: Collection[Any], conversation_id: UUID) -> None:
    """Publish `conversation.updated` to the inboxes of some people, for whom alone it has changed."""
    listing = await executor.run(store.find_listing, conversation_id, user_ids)
    if listing is not None:
        await _tell_each(listing)


async def _tell_each(listing: store.ConversationListing) -> None:
    for user_id, yours in listing.audience.items():
        mine = events.ConversationUpdated(conversation=replace(listing.conversation, yours=yours))
        await groups.publish(groups.person(user_id), mine)


async def announce_deletion(conversation_id: UUID, deleted: store.DeletedConversation) -> None:
    """Publish `conversation.removed` to its people, end its run, and have its sockets look whether they may stay."""
    if deleted.stop is not None:
        await groups.tell(groups.owner(conversation_id), {"type": "stop", "run": deleted.stop.hex})
    for user_id in deleted.audience:
        await groups.publish(groups.person(user_id), events.ConversationRemoved(conversation=conversation_id))
    await groups.tell(groups.conversation(conversation_id), {"type": "look"})
