"""Turns: few pieces of work at the same time, and clients take turns, however many each has waiting. So do strangers,
all of them together, and those who are signed in, all of them together.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from contextvars import Context, ContextVar
from dataclasses import dataclass
from weakref import WeakKeyDictionary

client: ContextVar[Hashable] = ContextVar("client", default=None)
"""Whose work the current task does: a user's primary key, a Stranger, or a run's conversation. None is the
process itself.
"""


@dataclass(frozen=True)
class Stranger:
    """A client that is nobody's account: an address, all guests of one, or the conversation of a guest's run. Nobody
    can count them, because addresses cost little, so all of them together are served as often as all others.
    """

    who: Hashable


def is_strangers() -> bool:
    """Whether the current task works for a Stranger."""
    return isinstance(client.get(), Stranger)


def _together(who: Hashable) -> Hashable:
    """What a pause of this client concerns: itself, or all strangers."""
    return Stranger if isinstance(who, Stranger) else who


current: ContextVar["Turn | None"] = ContextVar("current", default=None)
"""The turn in which the current task, or the thread that it waits for, does its work."""


def give_up_turn() -> None:
    """End the current turn early, in any thread, because its work is about to wait: turns belong to those who work."""
    turn = current.get()
    if turn is not None:
        turn.give_up()


@asynccontextmanager
async def out_of_turn() -> AsyncIterator[None]:
    """Wait for something without the current turn, and for a turn again afterwards: those who were let go at the same
    moment go on one after another, as they came.
    """
    turn = current.get()
    if turn is None or not turn.is_of_this_loop() or not turn.end():
        yield
        return
    try:
        yield
    finally:
        await turn.resume()


def inherit() -> Context:
    """A context that has nothing of the current one but its client and its turn."""
    context = Context()
    for variable in (client, current):
        context.run(variable.set, variable.get())  # type: ignore[arg-type]
    return context


class Crowded(Exception):
    """A client has too much waiting already."""


SHORT = 0.25
"""Seconds after which a turn is long. Most pieces of work have ended by then."""


BURST = 0.75
"""Seconds of pauses that are left out after a time with few turns: a browser loads a page and all its files at once."""


class Turns:
    """Admits `at_once` pieces of work, at most `per_client` of one client (the process itself has no such limit).

    `max_waiting` is how many more of one client may wait; None means any number. `short` is how many may be in the
    first SHORT seconds of their turn; None means all. With a `pause`, a client whose turn was shorter pauses for that
    many times as long as it was; all Strangers pause together. Each event loop has turns of its own.
    """

    def __init__(
        self,
        at_once: int,
        per_client: int,
        max_waiting: int | None = None,
        short: int | None = None,
        pause: float = 0.0,
    ) -> None:
        self.at_once, self.per_client, self.max_waiting = at_once, per_client, max_waiting
        self.short = at_once if short is None else short
        self.pause = pause
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, Line] = WeakKeyDictionary()

    def turn(self) -> "Turn":
        """A turn of the current client, which has not begun: `async with turns.turn():`."""
        loop = asyncio.get_running_loop()
        if (line := self._lines.get(loop)) is None:
            line = self._lines[loop] = Line(self)
        return Turn(line, client.get(), loop)

    def count_waiting(self) -> int:
        """How many wait for a turn in the running loop."""
        line = self._lines.get(asyncio.get_running_loop())
        return 0 if line is None else sum(map(len, line.waiting.values()))


class Turn:
    """A turn lasts until its block ends or `give_up_turn` is called in it, whichever comes first."""

    def __init__(self, line: "Line", who: Hashable, loop: asyncio.AbstractEventLoop) -> None:
        self._line, self._who, self._loop = line, who, loop
        self._is_active = False
        self._is_short = True
        self._is_closed = False
        self._lengthening: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        await self.begin()
        self._token = current.set(self)

    async def __aexit__(self, *_: object) -> None:
        current.reset(self._token)
        self.close()

    def close(self) -> None:
        """End the turn for good. Work of it that goes on, out of turn, has none afterwards."""
        self._is_closed = True
        self.end()

    async def begin(self) -> None:
        """Wait for the turn. Raises Crowded."""
        self._line.refuse_crowd(self._who)
        await self.resume()

    async def resume(self) -> None:
        """The same after `end`, however many wait."""
        await self._line.enter(self._who)
        if self._is_closed:
            self._line.leave(self._who)
            return
        self._is_active = self._is_short = True
        self._begun_at = self._loop.time()
        if self._line.may_wait_for_short_ones:
            self._lengthening = self._loop.call_later(SHORT, self._become_long)

    def _become_long(self) -> None:
        self._is_short = False
        self._line.lengthen()

    def end(self) -> bool:
        """End the turn, on its event loop. Returns whether it had begun and not ended yet."""
        if not self._is_active:
            return False
        self._is_active = False
        if self._lengthening is not None:
            self._lengthening.cancel()
        if self._line.limits.pause and self._loop.time() - self._begun_at < SHORT:
            self._line.pause(self._who, self._begun_at, self._loop)
        self._line.leave(self._who, self._is_short)
        return True

    def give_up(self) -> None:
        """The same in any thread, such as a synchronous view's."""
        if self.is_of_this_loop():
            self.end()
        else:
            self._loop.call_soon_threadsafe(self.end)

    def is_of_this_loop(self) -> bool:
        """Whether the turn's event loop is the one that runs here."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False


class Line:
    """Who works and who waits, in one event loop."""

    def __init__(self, limits: Turns) -> None:
        self.limits = limits
        self.active: Counter[Hashable] = Counter()
        self.short = 0
        """How many of the active ones are in the first SHORT seconds of their turn."""
        self.waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()
        """By client. The one whose last turn is longest ago comes first, except for strangers (`_next_clients`)."""
        self._stranger_was_last = False
        self._pauses: dict[Hashable, float] = {}
        """When the pause of a client ends or, in the last BURST seconds, ended, on the event loop's clock."""
        self._pausing: set[Hashable] = set()

    def pause(self, who: Hashable, begun_at: float, loop: asyncio.AbstractEventLoop) -> None:
        """Let the client, whose turn ends now, pause for as long as it should after it."""
        who, now = _together(who), loop.time()
        until = max(self._pauses.get(who, 0.0), now - BURST) + self.limits.pause * (now - begun_at)
        self._pauses[who] = until
        loop.call_at(until + BURST, self._forget_pause, who, until)
        if until > now:
            self._pausing.add(who)
            loop.call_at(until, self._resume, who, until)

    def _resume(self, who: Hashable, until: float) -> None:
        if self._pauses.get(who) == until:  # else a later turn has made the pause longer
            self._pausing.discard(who)
            self._admit_next()

    def _forget_pause(self, who: Hashable, until: float) -> None:
        if self._pauses.get(who) == until:
            del self._pauses[who]

    def refuse_crowd(self, who: Hashable) -> None:
        """Raises Crowded if this client would have to wait, and has as many waiting as it may."""
        max_waiting = self.limits.max_waiting
        if max_waiting is not None and not self._may_begin(who) and len(self.waiting.get(who, ())) >= max_waiting:
            raise Crowded

    async def enter(self, who: Hashable) -> None:
        if self._may_begin(who):
            self._begin(who)
        else:
            await self._wait(who)

    @property
    def may_wait_for_short_ones(self) -> bool:
        return self.limits.short < self.limits.at_once

    def leave(self, who: Hashable, was_short: bool = True) -> None:
        """End a turn. The next client that may begin does."""
        self.short -= was_short
        self.active[who] -= 1
        if not self.active[who]:
            del self.active[who]
        self._admit_next()

    def lengthen(self) -> None:
        """A turn is not short any more. The next client that may begin does."""
        self.short -= 1
        self._admit_next()

    def _begin(self, who: Hashable) -> None:
        self.active[who] += 1
        self.short += 1
        self._stranger_was_last = isinstance(who, Stranger)

    def _next_clients(self) -> list[Hashable]:
        """Those that wait, in order. Strangers and others take turns, so that nobody waits for a crowd of strangers."""
        return sorted(self.waiting, key=lambda who: isinstance(who, Stranger) == self._stranger_was_last)

    def _admit_next(self) -> None:
        for following in self._next_clients():
            queue = self.waiting[following]
            # Those that are cancelled leave the queue when their tasks notice it.
            begun = next((future for future in queue if not future.cancelled()), None)
            if begun is not None and self._may_begin(following):
                self._begin(following)
                self.waiting.move_to_end(following)
                self._forget(following, begun)
                begun.set_result(None)
                return

    def _may_begin(self, who: Hashable) -> bool:
        limits = self.limits
        most = limits.at_once if who is None else limits.per_client
        has_place = self.active.total() < limits.at_once and self.short < limits.short and self.active[who] < most
        return has_place and _together(who) not in self._pausing

    async def _wait(self, who: Hashable) -> None:
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
