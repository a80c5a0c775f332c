"""Inbox updates: tell inboxes, and the conversation itself, that a conversation has changed."""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError
from msgspec.structs import replace

from .. import store
from ..concurrency import detached
from ..protocol import events, objects
from ..store import executor
from . import groups, layer

DELAY = 0.2
"""Seconds for which changes of one conversation are gathered: a message, its run and a short answer are one update."""

CROWD_DELAY = 1.0
"""Seconds for which changes are gathered in a conversation with more than `store.CROWD` participants."""


class Inboxes:
    """Gathers the changes of conversations in this process, so that several of them make one update."""

    def __init__(self, tasks: set[asyncio.Task[Any]]) -> None:
        self.due: set[UUID] = set()
        """Conversations whose update is about to be published."""
        self._crowded: set[UUID] = set()
        """Conversations that had more than `store.CROWD` participants at their last update."""
        self._tasks = tasks

    def changed(self, conversation_id: UUID) -> None:
        """A conversation has changed: update its inboxes in a moment."""
        if conversation_id not in self.due:
            self.due.add(conversation_id)
            detached(self._announce(conversation_id), self._tasks)

    async def _announce(self, conversation_id: UUID) -> None:
        """Wait, then publish. Started by `changed`, never cancelled, awaited by `Node.drain`; only bugs escape, which
        asyncio logs.
        """
        await asyncio.sleep(CROWD_DELAY if conversation_id in self._crowded else DELAY)
        self.due.discard(conversation_id)
        if await announce(conversation_id) > store.CROWD:
            self._crowded.add(conversation_id)
        else:
            self._crowded.discard(conversation_id)


async def announce(conversation_id: UUID) -> int:
    """Publish `conversation.updated` to a conversation, and to each participant's inbox as that participant sees it.

    Returns the number of participants.
    """
    listing = None
    with _unless_away():
        listing = await executor.run_together(store.find_listings, conversation_id)
    if listing is None:
        return 0
    event = events.ConversationUpdated(conversation=listing.conversation)
    await groups.publish(groups.conversation(conversation_id), event)
    await _publish_to_inboxes(listing)
    return len(listing.audience)


async def announce_to(user_ids: Collection[Any], conversation_id: UUID) -> None:
    """Publish `conversation.updated` to the inboxes of some users only, because it has changed for them alone."""
    listing = None
    with _unless_away():
        listing = await executor.run(store.find_listing, conversation_id, user_ids)
    if listing is not None:
        await _publish_to_inboxes(listing)


def _unless_away() -> "suppress":
    """Nothing if the database is away: the change is committed, and inboxes load new snapshots when it is back."""
    return suppress(DatabaseError, InterfaceError)


async def _publish_to_inboxes(listing: store.ConversationListing) -> None:
    async def publish(user_id: Any, yours: objects.Yours) -> None:
        theirs = events.ConversationUpdated(conversation=replace(listing.conversation, yours=yours))
        await groups.publish(groups.inbox(user_id), theirs)

    await groups.publish_all(publish(user_id, yours) for user_id, yours in listing.audience.items())


async def announce_deletion(conversation_id: UUID, deleted: store.DeletedConversation) -> None:
    """Publish `conversation.removed` to the participants, stop the run, and have the sockets re-check their access."""
    if deleted.stop is not None:
        await layer.send_to_group(groups.owner(conversation_id), {"type": "stop", "run": deleted.stop.hex})
    removed = events.ConversationRemoved(conversation=conversation_id)
    await groups.publish_all(groups.publish(groups.inbox(user_id), removed) for user_id in deleted.audience)
    await layer.send_to_group(groups.conversation(conversation_id), {"type": "check_access"})
