"""Turns: few pieces of work at the same time, and clients take turns, however many each has waiting."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from contextvars import Context, ContextVar

client: ContextVar[Hashable] = ContextVar("client", default=None)
"""Whose work the current task does: a user's primary key, a session, an address, or a run's conversation. None is the
process itself.
"""

_end_turn: ContextVar[Callable[[], None]] = ContextVar("end_turn", default=lambda: None)


def give_up_turn() -> None:
    """End the current task's turn early, because it is about to wait: the turn belongs to those who work."""
    _end_turn.get()()


def inherit() -> Context:
    """A context that has nothing of the current one but its client and its turn."""
    context = Context()
    for variable in (client, _end_turn):
        context.run(variable.set, variable.get())  # type: ignore[arg-type]
    return context


class Crowded(Exception):
    """A client has too much waiting already."""


class Turns:
    """Admits `at_once` pieces of work, at most `per_client` of one client (the process itself has no such limit).

    `max_waiting` is how many more of one client may wait; None means any number. One per event loop.
    """

    def __init__(self, at_once: int, per_client: int, max_waiting: int | None = None) -> None:
        self._at_once, self._per_client, self._max_waiting = at_once, per_client, max_waiting
        self._active: Counter[Hashable] = Counter()
        self._waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()
        """By client. The one whose last turn is longest ago comes first."""

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, which lasts until the block ends or `give_up_turn` is called. Raises Crowded."""
        who = client.get()
        if self._may_begin(who):
            self._active[who] += 1
        else:
            await self._wait(who)
        has_ended = False

        def end() -> None:
            nonlocal has_ended
            if not has_ended:
                has_ended = True
                self._end(who)

        token = _end_turn.set(end)
        try:
            yield
        finally:
            _end_turn.reset(token)
            end()

    def _may_begin(self, who: Hashable) -> bool:
        most = self._at_once if who is None else self._per_client
        return self._active.total() < self._at_once and self._active[who] < most

    async def _wait(self, who: Hashable) -> None:
        if self._max_waiting is not None and len(self._waiting.get(who, ())) >= self._max_waiting:
            raise Crowded
        queue = self._waiting.setdefault(who, deque())
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(begun)
        try:
            await begun
        except asyncio.CancelledError:
            if begun.cancelled():
                self._forget(who, begun)
            else:  # cancelled just as its turn came
                self._end(who)
            raise

    def _forget(self, who: Hashable, begun: "asyncio.Future[None]") -> None:
        queue = self._waiting[who]
        queue.remove(begun)
        if not queue:
            del self._waiting[who]

    def _end(self, who: Hashable) -> None:
        self._active[who] -= 1
        if not self._active[who]:
            del self._active[who]
        for following, queue in self._waiting.items():
            # Those that are cancelled leave the queue when their tasks notice it.
            begun = next((future for future in queue if not future.cancelled()), None)
            if begun is not None and self._may_begin(following):
                self._active[following] += 1
                self._waiting.move_to_end(following)
                self._forget(following, begun)
                begun.set_result(None)
                return
