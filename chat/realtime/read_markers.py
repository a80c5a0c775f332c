"""How far people have read: gathered for a moment, written together. In a full room everybody reads a message in the
same second, and the database has better things to do than hundreds of small writes.
"""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError

from .. import store
from ..store import executor
from . import inbox


class Markers:
    """Those of one process."""

    def __init__(self) -> None:
        self._noted: dict[UUID, dict[Any, int]] = {}

    def note(self, conversation_id: UUID, user_id: Any, seq: int) -> None:
        """This person has read up to number `seq`."""
        read = self._noted.setdefault(conversation_id, {})
        read[user_id] = max(seq, read.get(user_id, 0))

    async def write(self, heard: Collection[UUID] = ()) -> None:
        """Write what was noted, and tell people's lists, except of conversations that they are about to hear of anyway
        (`heard`). Called with each heartbeat, and when the process ends. Raises what the database raises, and keeps
        what it did not take.
        """
        for conversation_id in list(self._noted):
            read = self._noted.pop(conversation_id)
            try:
                news = await executor.run(store.mark_read, conversation_id, read)
            except (DatabaseError, InterfaceError):
                for user_id, seq in read.items():
                    self.note(conversation_id, user_id, seq)
                raise
            if news and conversation_id not in heard:
                await inbox.announce_to(news, conversation_id)
