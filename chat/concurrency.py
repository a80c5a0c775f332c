"""Background tasks that belong to the process, and small helpers for asyncio and threads."""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from asgiref.sync import async_to_sync
from django.db import DatabaseError, InterfaceError, connections, transaction
from django.http.response import HttpResponseBase
from django.utils.translation import get_language, override

from . import logs, turns
from .protocol.errors import Refused

logger = logging.getLogger("nous_chat.node")

T = TypeVar("T")
View = TypeVar("View", bound=Callable[..., HttpResponseBase | Coroutine[Any, Any, HttpResponseBase]])


class TaskSets:
    """The background tasks of one process, by how they may end. `Node.drain` ends all of them."""

    def __init__(self) -> None:
        self.writing: set[asyncio.Task[Any]] = set()
        """They write to the database or publish what was written. Never cancelled."""
        self.watching: set[asyncio.Task[Any]] = set()
        """They only observe, or notify. Cancelled at the end of a shutdown."""
        self.optional: set[asyncio.Task[Any]] = set()
        """Work that can be repeated later: titles, summaries, erasing. Cancelled at the start of a shutdown."""

    async def run_to_completion(self, work: Coroutine[Any, Any, T]) -> T:
        """Finish `work` even if the calling socket is cancelled: a half-published write is worse than a late one. It
        runs in the caller's language, and in the caller's turn.
        """
        task = detached(_in_language(get_language(), work), self.writing, turns.inherit())
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_log_unheard)
            raise


def _log_unheard(task: asyncio.Task[Any]) -> None:
    """Log the error of work that outlived the socket that asked for it: nobody else hears of it."""
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, (Refused, DatabaseError, InterfaceError)):
        logger.error("Work for a socket that is gone has failed", exc_info=error)


async def _in_language(language: str | None, work: Coroutine[Any, Any, T]) -> T:
    with override(language):
        return await work


def detached(
    work: Coroutine[Any, Any, T], tasks: set[asyncio.Task[Any]], context: contextvars.Context | None = None
) -> asyncio.Task[T]:
    """Start a task that `tasks` holds until it is done, outside its creator's context: asgiref binds the ORM's threads
    to contexts. Its language is the site's, not its creator's, since everybody reads what it says. What it logs belongs
    to what its creator logs.
    """
    task = asyncio.create_task(work, context=logs.inherit(context or contextvars.Context()))
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task


_serving: list[asyncio.AbstractEventLoop] = []
"""The event loop of this process's node; empty in a process that serves no sockets."""

_publishing: set[asyncio.Task[None]] = set()
"""Started by `after_commit`. Held here because an event loop holds tasks only weakly."""


def serve_in_this_loop() -> None:
    """From now on, what other threads of this process publish is published by the running loop."""
    _serving[:] = [asyncio.get_running_loop()]


def after_commit(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Publish something from synchronous code, when its transactions on all databases have committed; at once if there
    are none.

    `work` runs in the event loop that serves this process, which nobody waits for. In a process without one, such as a
    command or a worker of a task queue, it runs in a loop of its own before this returns or the transaction ends. What
    it raises is logged.
    """
    publish = partial(_publish, partial(_logged, work))
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            publish = partial(transaction.on_commit, publish, using=connection.alias, robust=True)
    publish()


def _publish(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        detached(work(), _publishing)
        return
    serving = next((loop for loop in _serving if loop.is_running()), None)
    if serving is None:
        async_to_sync(work)()
    else:
        # In an empty context: this thread's may say that it is inside a unit of work.
        contextvars.Context().run(serving.call_soon_threadsafe, lambda: detached(work(), _publishing))


async def _logged(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        await work()
    except Exception:
        logger.exception("What was committed could not be published")


async def cancel_and_wait(task: "asyncio.Task[Any]") -> None:
    """Cancel a task that only observes, and wait for its end."""
    # In a loop, because `wait_for` of Python 3.11, which redis-py uses, may swallow a cancellation.
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=1)


class fair_timeout:  # noqa: N801  named like asyncio.timeout
    """Like `asyncio.timeout`, but an event loop that is late, because the process computes or the machine is busy, does
    not count against what was awaited: it may have come in meanwhile.
    """

    TICKS = 10

    def __init__(self, seconds: float) -> None:
        self._tick_every = seconds / self.TICKS
        self._ticks = 0
        self._scope = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        await self._scope.__aenter__()
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_later(self._tick_every, self._tick)

    async def __aexit__(self, *raised: Any) -> None:
        self._handle.cancel()
        await self._scope.__aexit__(*raised)

    def _tick(self) -> None:
        """However late it is, it counts once."""
        self._ticks += 1
        if self._ticks < self.TICKS:
            self._handle = self._loop.call_later(self._tick_every, self._tick)
        else:
            self._scope.reschedule(self._loop.time())


def now() -> float:
    """The running loop's clock, in seconds."""
    return asyncio.get_running_loop().time()


@contextmanager
def own_connections() -> Iterator[None]:
    """Close the database connections that the ORM opens in a thread of our own, such as a tool's. Nobody else does."""
    try:
        yield
    finally:
        connections.close_all()


def outside_transaction(view: View) -> View:
    """Exempt a view from ATOMIC_REQUESTS, which Django refuses together with asynchronous views. Its units of work are
    transactions of their own, and what they have committed is published before the response.
    """
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view
