"""Snapshots for the sockets of this process: those of a large conversation are read together, with pauses.

What a snapshot costs grows with the people in the conversation, and so does the number of those who may enter: one by
one, five hundred of them would take the interpreter from everyone else for seconds.
"""

import asyncio
from typing import Any
from uuid import UUID

from .. import store
from ..protocol import events
from ..store import executor

PAUSE_PER_PARTICIPANT = 0.0005
"""Seconds between two reads of a conversation for each of its participants. Describing one takes about 0.025 ms, so a
crowd takes a twentieth of the interpreter, and those who enter a conversation of 500 people wait for at most 0.25 s.
"""


class Snapshots:
    """Reads snapshots. Sockets that come during a conversation's pause wait for its end, and are then read together."""

    def __init__(self) -> None:
        self._pausing: dict[UUID, list[asyncio.Future[None]]] = {}
        """Conversations that were read just now, each with those who wait."""

    async def read(self, user_id: Any, conversation_id: UUID) -> events.Snapshot:
        """What one reader gets. Raises Refused(NOT_FOUND)."""
        if conversation_id in self._pausing:
            over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._pausing[conversation_id].append(over)
            await over
        snapshot = await executor.run_together(store.read_snapshots, (user_id, conversation_id))
        if snapshot is None:  # too long to be read with those of others
            snapshot = await executor.run(store.read_snapshot, user_id, conversation_id)
        if conversation_id not in self._pausing:
            self._pause(conversation_id, PAUSE_PER_PARTICIPANT * len(snapshot.participants))
        return snapshot

    def _pause(self, conversation_id: UUID, seconds: float) -> None:
        self._pausing[conversation_id] = []
        asyncio.get_running_loop().call_later(seconds, self._end_pause, conversation_id, seconds)

    def _end_pause(self, conversation_id: UUID, seconds: float) -> None:
        waiting = self._pausing.pop(conversation_id)
        if waiting:  # they read now; who comes meanwhile waits for the next end
            self._pause(conversation_id, seconds)
        for over in waiting:
            if not over.done():
                over.set_result(None)
