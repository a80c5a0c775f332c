"""Feedback on answers: store it, and tell the site's code."""

from typing import Any
from uuid import UUID

from .. import store
from ..protocol import objects
from ..realtime import site_signals
from ..store import executor


async def give(user_id: Any, conversation_id: UUID, message_id: UUID, new: store.NewFeedback) -> objects.Feedback:
    """Say what a reader thinks of an answer. Raises Refused."""
    given = await executor.run_request(store.give_feedback, user_id, conversation_id, message_id, new)
    await site_signals.send_feedback(given)
    return given.feedback
