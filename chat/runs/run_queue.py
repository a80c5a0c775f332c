"""Admission control: which runs of this process may run, and which wait, in order. Pure, except for its futures."""

import asyncio
from typing import Any
from uuid import UUID

from ..conf import conf


class RunQueue:
    """MAX_RUNS runs have a slot each; later ones wait. A run whose user has too many runs already waits at its old
    place, and others overtake it. So do those of users if guests have as many slots as they may (`GuestConf.runs`).
    """

    def __init__(self) -> None:
        self._slots: set[UUID] = set()
        self._waiting: dict[UUID, asyncio.Future[bool]] = {}
        self._guests: set[UUID] = set()
        """Those of the runs here that guests have asked for."""
        self._order: dict[UUID, int] = {}
        self._blocked: dict[UUID, Any] = {}
        """Waiting runs whose user has too many already, with the user's id."""
        self._count = 0
        self._closed = False

    def claim(self, run: UUID, guest: bool = False) -> bool:
        """Take a slot for a run that is about to be created, if one is free. Returns whether it has one; the run does
        not `enter` then.
        """
        free = not self._closed and self._has_slot(guest)
        if free:
            self._slots.add(run)
            self._note(run, guest)
        return free

    def enter(self, run: UUID, guest: bool = False) -> "asyncio.Future[bool]":
        """Ask for a slot. The future becomes True with the slot, False after `leave` or `close`."""
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._note(run, guest)
        self._count += 1
        self._order[run], self._waiting[run] = self._count, turn
        return self._admit(run, turn)

    def block(self, run: UUID, user_id: Any) -> "asyncio.Future[bool]":
        """Give the slot back and wait at the old place until `unblock`. The future is as for `enter`."""
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._slots.discard(run)
        self._waiting[run], self._blocked[run] = turn, user_id
        return self._admit(run, turn)

    def leave(self, run: UUID) -> None:
        """Remove a run that is over, is not created, or that another process will make. Its slot or place goes to the
        next one.
        """
        self._slots.discard(run)
        self._guests.discard(run)
        self._order.pop(run, None)
        self._blocked.pop(run, None)
        turn = self._waiting.pop(run, None)
        if turn is not None and not turn.done():
            turn.set_result(False)
        self.unblock()

    def close(self) -> None:
        """Give no more slots, neither to runs that wait nor to new ones."""
        self._closed = True
        for run in self.places():
            self.leave(run)

    def unblock(self) -> None:
        """Let the first blocked run of each user try again."""
        first_of: dict[Any, UUID] = {}
        for run in sorted(self._blocked, key=self._order.__getitem__):
            first_of.setdefault(self._blocked[run], run)
        for run in first_of.values():
            del self._blocked[run]
        self._give_slots()

    def guests_waiting(self) -> int:
        """How many of the runs that wait are those of guests."""
        return len(self._waiting.keys() & self._guests)

    def places(self) -> dict[UUID, int]:
        """The place of each run that waits: 1, 2, 3 ..."""
        waiting = sorted(self._waiting, key=self._order.__getitem__)
        return {run: place for place, run in enumerate(waiting, start=1)}

    def _admit(self, run: UUID, turn: "asyncio.Future[bool]") -> "asyncio.Future[bool]":
        if self._closed:
            self.leave(run)
        else:
            self._give_slots()
        return turn

    def _give_slots(self) -> None:
        if self._closed:
            return
        for run in sorted(self._waiting.keys() - self._blocked.keys(), key=self._order.__getitem__):
            if self._has_slot(run in self._guests):
                self._slots.add(run)
                self._waiting.pop(run).set_result(True)

    def _has_slot(self, guest: bool) -> bool:
        """Whether a slot is free, for a guest or for a user."""
        if len(self._slots) >= conf.MAX_RUNS:
            return False
        return not guest or conf.GUESTS is None or len(self._slots & self._guests) < conf.GUESTS.runs

    def _note(self, run: UUID, guest: bool) -> None:
        if guest:
            self._guests.add(run)
