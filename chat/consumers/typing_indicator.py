"""Typing indicator of one socket."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from .. import store
from ..protocol import events, objects
from ..realtime import groups
from ..store import executor

TYPING_GAP = 5.0
"""Seconds for which somebody who keeps saying that he types is not passed on again."""


TYPING_BURST, TYPING_WINDOW = 5, 10.0
"""How often within so many seconds a socket may begin to type; more is not passed on."""


INBOX_PEOPLE = 50
"""Typing is told to the lists of people as well, in conversations of at most so many."""


class Typing:
    """Whether the person at one socket is typing."""

    def __init__(self, conversation_id: UUID, person: objects.Person) -> None:
        self._conversation_id = conversation_id
        self._person = person
        self._on = False
        self._shown: deque[float] = deque(maxlen=TYPING_BURST)
        self._audience: Sequence[Any] = ()

    async def show(self, on: bool, user_id: Any = None) -> None:
        """Tell the others, unless they know. Raises Refused for who may not write here."""
        now = asyncio.get_running_loop().time()
        if on and self._may_show(now):
            self._audience = await executor.run(
                store.list_typing_audience, user_id, self._conversation_id, INBOX_PEOPLE
            )
            self._on = True
            self._shown.append(now)
            await self._publish(True)
        elif self._on and not on:
            self._on = False
            await self._publish(False)

    def _may_show(self, now: float) -> bool:
        if self._on and now - self._shown[-1] < TYPING_GAP:
            return False
        return len(self._shown) < TYPING_BURST or now - self._shown[0] > TYPING_WINDOW

    async def _publish(self, on: bool) -> None:
        event = events.Typing(conversation=self._conversation_id, user=self._person, on=on)
        await groups.publish(groups.conversation(self._conversation_id), event)
        for user_id in self._audience:
            await groups.publish(groups.person(user_id), event)
