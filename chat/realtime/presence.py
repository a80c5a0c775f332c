"""Who is here, and who is typing. Sockets say so; frames to the conversation's group come out.

No table holds it. Each process tells of its own sockets, again and again, and a reader forgets a process that has
fallen silent (docs/protocol.md, "Who is here"): so a crash leaves nothing behind that would have to be cleaned up.
"""

import asyncio
import logging
from uuid import UUID

from ..protocol import events, objects
from . import groups

logger = logging.getLogger("nous_chat.presence")

STEP = 0.5
"""Seconds between two looks: a conversation is told of its people at most this often, however many come and go."""

AGAIN = 20.0
"""Seconds after which a process tells of its people although nothing has changed."""


class Presence:
    """The people whose sockets this process serves, by conversation. `follow` is its task; the rest may be called from
    the same loop at any time.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._here: dict[UUID, dict[object, objects.Person]] = {}
        self._told: dict[UUID, float] = {}
        self._changed: set[UUID] = set()
        self._asking: set[UUID] = set()

    def enter(self, conversation_id: UUID, socket: object, person: objects.Person) -> None:
        """A socket shows a conversation: it is told who is here, by every process."""
        self._here.setdefault(conversation_id, {})[socket] = person
        self._changed.add(conversation_id)
        self._asking.add(conversation_id)

    def leave(self, conversation_id: UUID, socket: object) -> None:
        people = self._here.get(conversation_id, {})
        if people.pop(socket, None) is not None:
            self._changed.add(conversation_id)

    def asked(self, conversation_id: UUID) -> None:
        """Some process wants to hear of ours."""
        if conversation_id in self._here:
            self._changed.add(conversation_id)

    async def follow(self) -> None:
        """Tell what has changed, and from time to time what has not. Started by `Supervisor.open`, cancelled by its
        `drain`; nothing escapes.
        """
        loop = asyncio.get_running_loop()
        while True:
            try:
                for conversation_id in self._due(loop.time()):
                    await self._tell(conversation_id, loop.time())
                while self._asking:
                    await groups.tell(groups.conversation(self._asking.pop()), {"type": "who"})
            except Exception:
                logger.exception("People could not be told who is here")
            await asyncio.sleep(STEP)

    async def close(self) -> None:
        """This process serves nobody any more."""
        for conversation_id in list(self._here):
            self._here.get(conversation_id, {}).clear()  # `follow` may have told the last ones away meanwhile
            await self._tell(conversation_id, 0)

    def _due(self, now: float) -> list[UUID]:
        old = [conversation_id for conversation_id, told in self._told.items() if now - told > AGAIN]
        due = [*self._changed, *(conversation_id for conversation_id in old if conversation_id not in self._changed)]
        self._changed.clear()
        return due

    async def _tell(self, conversation_id: UUID, now: float) -> None:
        people = {person.id: person for person in self._here.get(conversation_id, {}).values()}
        if people:
            self._told[conversation_id] = now
        else:
            self._here.pop(conversation_id, None)
            self._told.pop(conversation_id, None)
        event = events.Presence(host=self._host, people=list(people.values()))
        await groups.publish(groups.conversation(conversation_id), event)
