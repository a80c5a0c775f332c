"""The selection of one socket in a document: `document.select` commands in, `document.selection` events out."""

from typing import Any
from uuid import UUID

from .. import store
from ..concurrency import now
from ..protocol import commands, events, objects
from ..ratelimit import Bucket, TypingBucket
from ..realtime import groups
from ..realtime.presence import Presence
from ..store import executor


class SelectionBucket(Bucket):
    """The bucket of a socket's selections: a cursor moves with each key. A token is a published one."""

    rate, burst = 5.0, 10.0


class DocumentSelection:
    """Where the person at one socket is in a document. `bucket` is the conversation's, which typing takes from, too."""

    def __init__(self, conversation_id: UUID, person: objects.Person, bucket: TypingBucket, presence: Presence) -> None:
        self._conversation_id = conversation_id
        self._person = person
        self._bucket = bucket
        self._presence = presence
        self._own = SelectionBucket()
        self._allowed: UUID | None = None
        """The document that the user may write, as far as this socket has asked."""
        self._shown: commands.DocumentSelect | None = None

    async def show(self, command: commands.DocumentSelect, user_id: Any) -> None:
        """Publish the selection, unless there were too many. Raises Refused if the user may not write the document."""
        if command.document != self._allowed:
            await executor.run(store.check_can_select, user_id, self._conversation_id, command.document)
            self._allowed = command.document
        is_elsewhere = self._shown is not None and self._shown.document != command.document
        if is_elsewhere or command.anchor is None:
            await self.leave()
        at = now()
        if command.anchor is not None and not self._own.take(at) and not self._bucket.take(at, 0):
            self._bucket.take(at, self._presence.count_sockets(self._conversation_id))
            await self._publish(command, command.anchor, command.head)
            self._shown = command

    async def leave(self) -> None:
        """Publish that the user is no longer in the document, if readers saw them there."""
        shown, self._shown = self._shown, None
        if shown is not None:
            await self._publish(shown, None, None)

    async def _publish(self, at: commands.DocumentSelect, anchor: int | None, head: int | None) -> None:
        event = events.DocumentSelection(
            document=at.document, version=at.version, user=self._person, anchor=anchor, head=head
        )
        await groups.publish(groups.conversation(self._conversation_id), event)
