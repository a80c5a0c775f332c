"""Runs that nobody reads any more. Called by `supervisor`, which owns the runs.

Only a socket's leaving raises the question. It is put to this process's sockets first, then, by a roll call through the
conversation's group, to everybody's.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

from ..concurrency import detached
from ..conf import conf
from ..realtime import groups

ROLL_CALL = 1.0
"""Seconds in which a reader answers the question whether anybody is still there."""


class Abandonment:
    """Says of conversations that nobody has come back to them within DISCONNECT_GRACE.

    `here`: whether a socket of this process reads a conversation. `layer_away`: whether others could not answer.
    `abandoned`: called for a conversation that nobody reads.
    """

    def __init__(
        self,
        here: Callable[[UUID], bool],
        layer_away: Callable[[], bool],
        abandoned: Callable[[UUID], None],
        tasks: set[asyncio.Task[None]],
    ) -> None:
        self._here = here
        self._layer_away = layer_away
        self._abandoned = abandoned
        self._tasks = tasks
        self._checks: dict[UUID, _Check] = {}

    def left(self, conversation_id: UUID) -> None:
        """A socket of a conversation is gone."""
        if conversation_id in self._checks:
            self._checks[conversation_id].again = True
        else:  # noted here and not in the task: another may leave before that begins
            self._checks[conversation_id] = _Check()
            detached(self._check(conversation_id), self._tasks)

    def present(self, conversation_id: UUID) -> None:
        """A reader has answered the roll call."""
        if (check := self._checks.get(conversation_id)) is not None:
            check.present.set()

    async def _check(self, conversation_id: UUID) -> None:
        """Is anybody still reading? Started by `left`, cancelled by Supervisor.drain; nothing escapes."""
        check = self._checks[conversation_id]
        try:
            while check.again:
                await asyncio.sleep(conf.DISCONNECT_GRACE)
                check.again = False
                if not await self._anybody(conversation_id, check):
                    self._abandoned(conversation_id)
        finally:
            del self._checks[conversation_id]

    async def _anybody(self, conversation_id: UUID, check: "_Check") -> bool:
        check.present.clear()
        asked = 0
        while asked < 2:  # the layer may lose the question or the answer
            if self._here(conversation_id):
                return True
            await groups.tell(groups.conversation(conversation_id), {"type": "roll_call"})
            with suppress(TimeoutError):
                await asyncio.wait_for(check.present.wait(), ROLL_CALL)
                return True
            asked = 0 if self._layer_away() else asked + 1  # while it is away, silence says nothing
        return False


class _Check:
    """A roll call that is due. `again`: somebody left since the last one."""

    def __init__(self) -> None:
        self.present = asyncio.Event()
        self.again = True
