"""Presence: who is in a conversation right now. Sockets enter and leave; `presence` events go to its group.

No table holds it. Each process publishes the people at its own sockets again and again, and clients forget a process
that has fallen silent (docs/protocol.md, "Who is here"). So a crash leaves nothing to clean up.
"""

import asyncio
import logging
from uuid import UUID

from ..protocol import events, objects
from . import groups, layer

logger = logging.getLogger("nous_chat.realtime")

INTERVAL = 0.5
"""Seconds between two publications for one conversation, however many people come and go."""

PAUSE_PER_SOCKET = 0.02
"""Seconds between two publications for each socket that shows the conversation, if that is longer: each of them gets
the names of all.
"""

REPEAT_AFTER = 20.0
"""Seconds after which a process publishes its people again although nothing has changed."""


class Presence:
    """The people at this process's sockets, by conversation. `run` is its task; the rest may be called from the same
    loop at any time.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._here: dict[UUID, dict[object, objects.Person]] = {}
        self._published_at: dict[UUID, float] = {}
        self._changed: set[UUID] = set()
        self._to_ask: set[UUID] = set()

    def enter(self, conversation_id: UUID, socket: object, person: objects.Person) -> None:
        """A socket shows a conversation. Every process then publishes its people there."""
        self._here.setdefault(conversation_id, {})[socket] = person
        self._changed.add(conversation_id)
        self._to_ask.add(conversation_id)

    def leave(self, conversation_id: UUID, socket: object) -> None:
        """A socket no longer shows a conversation."""
        people = self._here.get(conversation_id, {})
        if people.pop(socket, None) is not None:
            self._changed.add(conversation_id)

    def publish_soon(self, conversation_id: UUID, host: str) -> None:
        """A process asks for our people. If it is this one, it has just published them."""
        if conversation_id in self._here and host != self._host:
            self._changed.add(conversation_id)

    def count_sockets(self, conversation_id: UUID) -> int:
        """How many sockets of this process show a conversation."""
        return len(self._here.get(conversation_id, {}))

    async def run(self) -> None:
        """Publish what has changed, and every REPEAT_AFTER the rest. Started by `Node.open`, cancelled by `Node.drain`;
        nothing escapes.
        """
        loop = asyncio.get_running_loop()
        while True:
            try:
                for conversation_id in self._due(loop.time()):
                    await self._publish(conversation_id, loop.time())
                    if conversation_id in self._to_ask:
                        self._to_ask.remove(conversation_id)
                        question = {"type": "who_is_here", "host": self._host}
                        await layer.send_to_group(groups.conversation(conversation_id), question)
            except Exception:
                logger.exception("Presence could not be published")
            await asyncio.sleep(INTERVAL)

    async def close(self) -> None:
        """Publish, for each conversation, that this process has no people there."""
        for conversation_id in list(self._here):
            self._here.get(conversation_id, {}).clear()  # `run` may have removed the entry meanwhile
            await self._publish(conversation_id, 0)

    def _due(self, now: float) -> list[UUID]:
        old = [conversation_id for conversation_id, at in self._published_at.items() if now - at > REPEAT_AFTER]
        self._changed.update(old)
        due = [conversation_id for conversation_id in self._changed if self._may_publish(conversation_id, now)]
        self._changed.difference_update(due)
        return due

    def _may_publish(self, conversation_id: UUID, now: float) -> bool:
        published_at = self._published_at.get(conversation_id)
        pause = min(PAUSE_PER_SOCKET * self.count_sockets(conversation_id), REPEAT_AFTER)
        return published_at is None or now - published_at >= pause

    async def _publish(self, conversation_id: UUID, now: float) -> None:
        people = {person.id: person for person in self._here.get(conversation_id, {}).values()}
        if people:
            self._published_at[conversation_id] = now
        else:
            self._here.pop(conversation_id, None)
            self._published_at.pop(conversation_id, None)
        event = events.Presence(host=self._host, people=list(people.values()))
        await groups.publish(groups.conversation(conversation_id), event)
