"""Abandoned runs: nobody reads their conversation any longer. Called by `supervisor`, which owns the runs.

A check begins when a socket leaves. It looks at the sockets of this process first, then asks those of all processes
by a roll call through the conversation's group.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

from ..concurrency import detached
from ..conf import conf
from ..realtime import groups, layer

ROLL_CALL = 1.0
"""Seconds in which a reader has to answer a roll call."""


class Abandonment:
    """Reports conversations to which nobody has come back within DISCONNECT_GRACE.

    `has_reader(conversation)`: whether a socket of this process shows it. `layer_away(conversation)`: whether other
    processes cannot answer. `on_abandoned(conversation)`: called if nobody reads it.
    """

    def __init__(
        self,
        has_reader: Callable[[UUID], bool],
        layer_away: Callable[[UUID], bool],
        on_abandoned: Callable[[UUID], None],
        tasks: set[asyncio.Task[None]],
    ) -> None:
        self._has_reader = has_reader
        self._layer_away = layer_away
        self._on_abandoned = on_abandoned
        self._tasks = tasks
        self._checks: dict[UUID, _Check] = {}

    def reader_left(self, conversation_id: UUID) -> None:
        """A socket has left a conversation."""
        if conversation_id in self._checks:
            self._checks[conversation_id].again = True
        else:  # noted here and not in the task, because another socket may leave before the task begins
            self._checks[conversation_id] = _Check()
            detached(self._check(conversation_id), self._tasks)

    def reader_present(self, conversation_id: UUID) -> None:
        """A reader has answered the roll call."""
        if (check := self._checks.get(conversation_id)) is not None:
            check.present.set()

    async def _check(self, conversation_id: UUID) -> None:
        """Check whether anybody still reads. Started by `reader_left`, cancelled by `Node.drain`; nothing escapes."""
        check = self._checks[conversation_id]
        try:
            while check.again:
                await asyncio.sleep(conf.DISCONNECT_GRACE)
                check.again = False
                if not await self._anybody_reads(conversation_id, check):
                    self._on_abandoned(conversation_id)
        finally:
            del self._checks[conversation_id]

    async def _anybody_reads(self, conversation_id: UUID, check: "_Check") -> bool:
        check.present.clear()
        unanswered = 0
        while unanswered < 2:  # the layer may lose the question or the answer
            if self._has_reader(conversation_id):
                return True
            await layer.send_to_group(groups.conversation(conversation_id), {"type": "roll_call"})
            with suppress(TimeoutError):
                await asyncio.wait_for(check.present.wait(), ROLL_CALL)
                return True
            # During an outage, silence proves nothing.
            unanswered = 0 if self._layer_away(conversation_id) else unanswered + 1
        return False


class _Check:
    """A roll call that is due. `again`: a socket has left since the last one."""

    def __init__(self) -> None:
        self.present = asyncio.Event()
        self.again = True
