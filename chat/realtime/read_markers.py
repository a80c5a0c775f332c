"""Read markers: how far people have read. Gathered, and written after each heartbeat.

In a large conversation everybody reads a message in the same second. Hundreds of small writes would hold up the rest,
and so would hundreds of lists that are updated at once.
"""

import asyncio
from collections.abc import Collection
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError

from .. import store
from ..store import executor
from . import inbox

BATCH = 100
"""How many markers of one conversation are written after a heartbeat. The others follow after the next ones."""


class ReadMarkers:
    """The read positions that this process has not written yet."""

    def __init__(self) -> None:
        self._unwritten: dict[UUID, dict[Any, int]] = {}
        """By conversation and user, in the order in which they came."""

    def note(self, conversation_id: UUID, user_id: Any, seq: int) -> None:
        """A user has read up to number `seq`."""
        read = self._unwritten.setdefault(conversation_id, {})
        read[user_id] = max(seq, read.get(user_id, 0))

    async def write(self, already_due: Collection[UUID] = ()) -> None:
        """Write a batch for each conversation and update its users' inboxes, except for conversations whose update is
        `already_due`.

        Called after each heartbeat. Raises what the database raises; nothing is lost then.
        """
        # At the same time, because a row that somebody has locked takes its time.
        work = [self._write(conversation_id, already_due) for conversation_id in self._unwritten]
        for outcome in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def write_all(self) -> None:
        """Write everything, at shutdown. Raises what the database raises."""
        while self._unwritten:
            await self.write()

    async def _write(self, conversation_id: UUID, already_due: Collection[UUID]) -> None:
        read = self._take_batch(conversation_id)
        try:
            moved = await executor.run(store.mark_read, conversation_id, read)
        except (DatabaseError, InterfaceError):
            for user_id, seq in read.items():
                self.note(conversation_id, user_id, seq)
            raise
        if moved and conversation_id not in already_due:
            await inbox.announce_to(moved, conversation_id)

    def _take_batch(self, conversation_id: UUID) -> dict[Any, int]:
        waiting = self._unwritten[conversation_id]
        batch = {user_id: waiting.pop(user_id) for user_id in list(islice(waiting, BATCH))}
        if not waiting:
            del self._unwritten[conversation_id]
        return batch
