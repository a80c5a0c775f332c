"""The typing indicator of one socket: `typing` commands in, a limited number of `typing` events out."""

from collections import deque
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from .. import store
from ..concurrency import now
from ..protocol import events, objects
from ..ratelimit import TypingBucket
from ..realtime import groups
from ..realtime.presence import Presence
from ..store import executor

REPEAT_AFTER = 5.0
"""Seconds for which a repeated `typing` command publishes nothing."""

BURST, WINDOW = 5, 10.0
"""A socket may begin to type BURST times in WINDOW seconds; the rest is not published."""

MAX_INBOXES = 50
"""Conversations with at most this many participants show typing in inboxes too."""


class TypingIndicator:
    """Whether the person at one socket is typing. `bucket` is the conversation's."""

    def __init__(self, conversation_id: UUID, person: objects.Person, bucket: TypingBucket, presence: Presence) -> None:
        self._conversation_id = conversation_id
        self._bucket = bucket
        self._presence = presence
        self._person = person
        self._on = False
        self._published_at: deque[float] = deque(maxlen=BURST)
        self._audience: Sequence[Any] = ()

    async def show(self, on: bool, user_id: Any = None) -> None:
        """Publish that the user is typing or has stopped, unless readers know. Raises Refused if they may not post."""
        at = now()
        if on and self._may_publish(at):
            self._pay(self._presence.count_sockets(self._conversation_id))
            self._audience = await executor.run(store.list_typing_audience, user_id, self._conversation_id, MAX_INBOXES)
            self._pay(len(self._audience))
            self._on = True
            self._published_at.append(at)
            await self._publish(True)
        elif self._on and not on:
            self._on = False
            await self._publish(False)

    def _may_publish(self, at: float) -> bool:
        if self._on and at - self._published_at[-1] < REPEAT_AFTER:
            return False
        if len(self._published_at) == BURST and at - self._published_at[0] <= WINDOW:
            return False
        # A refusal takes nothing: those who type on would silence the others.
        return not self._bucket.take(at, 0)

    def _pay(self, deliveries: int) -> None:
        """Pay for the frame that shows that the user is typing, and for the one that they have stopped. Others may have
        to wait for that.
        """
        self._bucket.take(now(), 2 * deliveries)

    async def _publish(self, on: bool) -> None:
        event = events.Typing(conversation=self._conversation_id, user=self._person, on=on)
        await groups.publish(groups.conversation(self._conversation_id), event)
        await groups.publish_all(groups.publish(groups.inbox(user_id), event) for user_id in self._audience)
