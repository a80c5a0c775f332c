"""Tell people's lists, and the conversation itself, that a conversation has changed. Called by whoever changed it."""

from uuid import UUID

from channels.db import database_sync_to_async

from . import events, groups, store


async def announce(conversation_id: UUID) -> None:
    """Publish `conversation.updated` to the conversation and to the inbox of each of its people."""
    listing = await database_sync_to_async(store.listing)(conversation_id)
    if listing is None:
        return
    event = events.ConversationUpdated(conversation=listing.conversation)
    await groups.publish(groups.conversation(conversation_id), event)
    for user_id in listing.audience:
        await groups.publish(groups.person(user_id), event)
