"""Which runs of this process may be at work, and which wait, in order. Pure but for the futures they wait on."""

import asyncio
from typing import Any
from uuid import UUID

from ..conf import conf


class Slots:
    """MAX_RUNS runs have a slot each; whoever comes later waits. A run that has a slot and may not use it, because its
    person has enough already, waits at its old place, and others go before it.
    """

    def __init__(self) -> None:
        self._taken: dict[UUID, int] = {}
        self._waiting: dict[UUID, asyncio.Future[bool]] = {}
        self._order: dict[UUID, int] = {}
        self._blocked: dict[UUID, Any] = {}
        self._count = 0
        self._closed = False

    def ask(self, run: UUID) -> "asyncio.Future[bool]":
        """A future of whether the run has a slot: done where there is one, false once `leave` or `close` was called."""
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._count += 1
        self._order[run], self._waiting[run] = self._count, turn
        return self._take_place(run, turn)

    def block(self, run: UUID, person: Any) -> "asyncio.Future[bool]":
        """Give the slot back and wait at the old place, until `unblock`."""
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._taken.pop(run, None)
        self._waiting[run], self._blocked[run] = turn, person
        return self._take_place(run, turn)

    def leave(self, run: UUID) -> None:
        """The run is over, or is not to be made here: its slot, or its place, is another's."""
        self._taken.pop(run, None)
        self._order.pop(run, None)
        self._blocked.pop(run, None)
        turn = self._waiting.pop(run, None)
        if turn is not None and not turn.done():
            turn.set_result(False)
        self.unblock()

    def close(self) -> None:
        """Nobody gets a slot any more, neither who waits nor who comes yet."""
        self._closed = True
        for run in self.places():
            self.leave(run)

    def unblock(self) -> None:
        """The first blocked run of each person may try again."""
        first = {person: run for run, person in sorted(self._blocked.items(), key=self._place, reverse=True)}
        for run in first.values():
            del self._blocked[run]
        self._admit()

    def places(self) -> dict[UUID, int]:
        """1, 2, 3 ... of those that wait."""
        waiting = sorted(self._waiting, key=self._order.__getitem__)
        return {run: place for place, run in enumerate(waiting, start=1)}

    def _take_place(self, run: UUID, turn: "asyncio.Future[bool]") -> "asyncio.Future[bool]":
        if self._closed:
            self.leave(run)
        else:
            self._admit()
        return turn

    def _admit(self) -> None:
        if self._closed:
            return
        for run in sorted(self._waiting.keys() - self._blocked.keys(), key=self._order.__getitem__):
            if len(self._taken) >= conf.MAX_RUNS:
                return
            self._taken[run] = self._order[run]
            self._waiting.pop(run).set_result(True)

    def _place(self, item: tuple[UUID, Any]) -> int:
        return self._order[item[0]]
