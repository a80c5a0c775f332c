"""Create, change, delete, restore, and fork conversations, then tell everyone whose list shows them.

Called by the HTTP endpoints and the form without JavaScript. Each function raises Refused, and then has changed
nothing.
"""

from typing import Any
from uuid import UUID

from .. import store
from ..protocol import objects
from ..realtime import inbox
from ..store import executor


async def create(user: Any, title: str = "", agent: str | None = None) -> objects.Conversation:
    """Create a conversation that `user` owns, if they may. `agent` is a slug; None means the site's default agent."""
    created = await executor.run_request(_create, user, title, agent)
    await inbox.announce_to([user.pk], created.id)
    return created


def _create(user: Any, title: str, agent: str | None) -> objects.Conversation:
    store.check_can_create(user)
    return store.create_conversation(user, title, agent)


async def change(user_id: Any, conversation_id: UUID, changes: store.ConversationChanges) -> objects.Conversation:
    """Change its settings, or the user's own pin and archive. Returns the conversation as this user has it now."""
    changed = await executor.run_request(store.change_conversation, user_id, conversation_id, changes)
    if changes.common:
        await inbox.announce(conversation_id)
    else:  # pins and the archive are the user's own
        await inbox.announce_to([user_id], conversation_id)
    return changed


async def delete(user_id: Any, conversation_id: UUID) -> None:
    """Delete it for everyone. For UNDO_SECONDS it can be restored."""
    deleted = await executor.run_request(store.delete_conversation, user_id, conversation_id)
    await inbox.announce_deletion(conversation_id, deleted)


async def restore(user_id: Any, conversation_id: UUID) -> objects.Conversation:
    """Undo the deletion. Restoring a conversation that is not deleted changes nothing."""
    restored = await executor.run_request(store.restore_conversation, user_id, conversation_id)
    await inbox.announce(conversation_id)
    return restored


async def fork(user_id: Any, conversation_id: UUID, message_id: UUID) -> objects.Conversation:
    """Copy everything up to a message into a new conversation that this user owns alone."""
    copy = await executor.run_long_request(store.fork_conversation, user_id, conversation_id, message_id)
    await inbox.announce(copy.id)
    return copy
