"""Tell people's lists, and the conversation itself, that a conversation has changed. Called by whoever changed it."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from channels.db import database_sync_to_async
from msgspec.structs import replace

from . import events, groups, store


async def announce(conversation_id: UUID) -> int:
    """Publish `conversation.updated` to the conversation, and to the inbox of each of its people as this one has it.
    Returns how many these are.
    """
    listing = await database_sync_to_async(store.listing)(conversation_id)
    if listing is None:
        return 0
    event = events.ConversationUpdated(conversation=listing.conversation)
    await groups.publish(groups.conversation(conversation_id), event)
    await _tell_each(listing)
    return len(listing.audience)


async def announce_to(user_ids: Collection[Any], conversation_id: UUID) -> None:
    """Publish `conversation.updated` to the inboxes of some people, for whom alone it has changed."""
    listing = await database_sync_to_async(store.listing)(conversation_id, user_ids)
    if listing is not None:
        await _tell_each(listing)


async def _tell_each(listing: store.Listing) -> None:
    for user_id, yours in listing.audience.items():
        mine = events.ConversationUpdated(conversation=replace(listing.conversation, yours=yours))
        await groups.publish(groups.person(user_id), mine)


async def announce_deletion(conversation_id: UUID, deleted: store.Deleted) -> None:
    """Publish `conversation.removed` to its people, end its run, and have its sockets look whether they may stay."""
    if deleted.stop is not None:
        await groups.tell(groups.owner(conversation_id), {"type": "stop", "run": deleted.stop.hex})
    for user_id in deleted.audience:
        await groups.publish(groups.person(user_id), events.ConversationRemoved(conversation=conversation_id))
    await groups.tell(groups.conversation(conversation_id), {"type": "look"})
