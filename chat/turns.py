"""Turns: few pieces of work at the same time, and clients take turns, however many each has waiting."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Hashable
from contextvars import Context, ContextVar
from weakref import WeakKeyDictionary

client: ContextVar[Hashable] = ContextVar("client", default=None)
"""Whose work the current task does: a user's primary key, an address, or a run's conversation. None is the
process itself.
"""

current: ContextVar["Turn | None"] = ContextVar("current", default=None)
"""The turn in which the current task, or the thread that it waits for, does its work."""


def give_up_turn() -> None:
    """End the current turn early, in any thread, because its work is about to wait: turns belong to those who work."""
    turn = current.get()
    if turn is not None:
        turn.give_up()


def inherit() -> Context:
    """A context that has nothing of the current one but its client and its turn."""
    context = Context()
    for variable in (client, current):
        context.run(variable.set, variable.get())  # type: ignore[arg-type]
    return context


class Crowded(Exception):
    """A client has too much waiting already."""


class Turns:
    """Admits `at_once` pieces of work, at most `per_client` of one client (the process itself has no such limit).

    `max_waiting` is how many more of one client may wait; None means any number. Each event loop has turns of its own.
    """

    def __init__(self, at_once: int, per_client: int, max_waiting: int | None = None) -> None:
        self.at_once, self.per_client, self.max_waiting = at_once, per_client, max_waiting
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, Line] = WeakKeyDictionary()

    def turn(self) -> "Turn":
        """A turn of the current client, which has not begun: `async with turns.turn():`."""
        loop = asyncio.get_running_loop()
        if (line := self._lines.get(loop)) is None:
            line = self._lines[loop] = Line(self)
        return Turn(line, client.get(), loop)


class Turn:
    """A turn lasts until its block ends or `give_up_turn` is called in it, whichever comes first."""

    def __init__(self, line: "Line", who: Hashable, loop: asyncio.AbstractEventLoop) -> None:
        self._line, self._who, self._loop = line, who, loop
        self._is_active = False

    async def __aenter__(self) -> None:
        await self.begin()
        self._token = current.set(self)

    async def __aexit__(self, *_: object) -> None:
        current.reset(self._token)
        self.end()

    async def begin(self) -> None:
        """Wait for the turn. Raises Crowded."""
        await self._line.enter(self._who)
        self._is_active = True

    def end(self) -> None:
        """End the turn, if it has begun and not ended yet. On its event loop."""
        if self._is_active:
            self._is_active = False
            self._line.leave(self._who)

    def give_up(self) -> None:
        """The same in any thread, such as a synchronous view's."""
        try:
            is_on_loop = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            is_on_loop = False
        if is_on_loop:
            self.end()
        else:
            self._loop.call_soon_threadsafe(self.end)


class Line:
    """Who works and who waits, in one event loop."""

    def __init__(self, limits: Turns) -> None:
        self._limits = limits
        self.active: Counter[Hashable] = Counter()
        self.waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()
        """By client. The one whose last turn is longest ago comes first."""

    async def enter(self, who: Hashable) -> None:
        if self._may_begin(who):
            self.active[who] += 1
        else:
            await self._wait(who)

    def leave(self, who: Hashable) -> None:
        """Pass the turn on to the next client that may begin."""
        self.active[who] -= 1
        if not self.active[who]:
            del self.active[who]
        for following, queue in self.waiting.items():
            # Those that are cancelled leave the queue when their tasks notice it.
            begun = next((future for future in queue if not future.cancelled()), None)
            if begun is not None and self._may_begin(following):
                self.active[following] += 1
                self.waiting.move_to_end(following)
                self._forget(following, begun)
                begun.set_result(None)
                return

    def _may_begin(self, who: Hashable) -> bool:
        most = self._limits.at_once if who is None else self._limits.per_client
        return self.active.total() < self._limits.at_once and self.active[who] < most

    async def _wait(self, who: Hashable) -> None:
        max_waiting = self._limits.max_waiting
        if max_waiting is not None and len(self.waiting.get(who, ())) >= max_waiting:
            raise Crowded
        queue = self.waiting.setdefault(who, deque())
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(begun)
        try:
            await begun
        except asyncio.CancelledError:
            if begun.cancelled():
                self._forget(who, begun)
            else:  # cancelled just as its turn came
                self.leave(who)
            raise

    def _forget(self, who: Hashable, begun: "asyncio.Future[None]") -> None:
        queue = self.waiting[who]
        queue.remove(begun)
        if not queue:
            del self.waiting[who]
