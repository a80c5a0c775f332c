"""Read markers: how far people have read. Gathered, and written after each heartbeat.

In a large conversation everybody reads a message in the same second, and hundreds of small writes would hold up the
rest.
"""

import asyncio
from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError

from .. import store
from ..store import executor
from . import inbox


class ReadMarkers:
    """The read positions that this process has not written yet."""

    def __init__(self) -> None:
        self._unwritten: dict[UUID, dict[Any, int]] = {}

    def note(self, conversation_id: UUID, user_id: Any, seq: int) -> None:
        """A user has read up to number `seq`."""
        read = self._unwritten.setdefault(conversation_id, {})
        read[user_id] = max(seq, read.get(user_id, 0))

    async def write(self, already_due: Collection[UUID] = ()) -> None:
        """Write the positions and update their users' inboxes, except for conversations whose update is `already_due`.

        Called after each heartbeat, and at shutdown. Raises what the database raises; nothing is lost then.
        """
        # At the same time, because a row that somebody has locked takes its time.
        work = [self._write(conversation_id, already_due) for conversation_id in self._unwritten]
        for outcome in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _write(self, conversation_id: UUID, already_due: Collection[UUID]) -> None:
        read = self._unwritten.pop(conversation_id)
        try:
            moved = await executor.run(store.mark_read, conversation_id, read)
        except (DatabaseError, InterfaceError):
            for user_id, seq in read.items():
                self.note(conversation_id, user_id, seq)
            raise
        if moved and conversation_id not in already_due:
            await inbox.announce_to(moved, conversation_id)
