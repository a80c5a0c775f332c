"""Add and remove participants, change roles, and join by invitation, then tell the conversation and everyone's list.

Called by the HTTP endpoints and the join page. Each function raises Refused, and then has changed nothing.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.utils.translation import get_language

from .. import store
from ..node import node
from ..protocol import events, objects
from ..realtime import groups
from ..store import executor


async def add(user_id: Any, conversation_id: UUID, username: str, role: str) -> objects.Participant:
    """Add the user of that name. Returns the new participant."""
    change = await executor.run_request(store.add_participant, user_id, conversation_id, username, role)
    await publish(conversation_id, change)
    return change.joined[0]


async def change_role(user_id: Any, conversation_id: UUID, participant_id: int, role: str) -> objects.Participant:
    """Change a role, or transfer ownership. Returns the participant with the new role."""
    change = await executor.run_request(store.change_role, user_id, conversation_id, participant_id, role)
    await publish(conversation_id, change)
    return change.updated[0]


async def remove(user_id: Any, conversation_id: UUID, participant_id: int) -> None:
    """Remove a participant, or leave the conversation oneself."""
    change = await executor.run_request(store.remove_participant, user_id, conversation_id, participant_id)
    await publish(conversation_id, change)


async def join(user: Any, token: str) -> UUID:
    """Join with an invitation link. Returns the id of the conversation, even if the user is in it already."""
    join = store.Join(user, token, get_language() or "")
    joined = await executor.run_together(store.join_together, join, token)
    if joined.change is not None:
        await publish(joined.conversation, joined.change)
    return joined.conversation


async def publish(conversation_id: UUID, change: store.ParticipantChange) -> None:
    """Tell a conversation and its participants' lists who joined, who has another role, and who left."""
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
        # An inbox's update reaches participants only, so those who left hear of it separately.
        removed = events.ConversationRemoved(conversation=conversation_id, last_seq=change.notice.seq)
        await groups.publish(groups.inbox(gone.user.id), removed)
    node.current().inboxes.changed(conversation_id)
