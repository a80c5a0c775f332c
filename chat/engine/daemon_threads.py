"""Threads for what may wait for ever: a tool, a hook, a storage, an event loop that has ended. A process that ends does
not wait for them. Used by the engine for tools, and by the chat for everything of its own that waits.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DaemonThreads(Executor):
    """Up to `number` threads, each of which calls `begin` first. They start when there is work.

    A process that ends waits for those of a ThreadPoolExecutor. These are daemons.
    """

    def __init__(self, number: int, name: str, begin: Callable[[], object] = lambda: None) -> None:
        self._number, self._name, self._begin = number, name, begin
        self._work: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._started = self._unfinished = 0

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        with self._lock:
            self._unfinished += 1
            if self._started < min(self._unfinished, self._number):
                name = f"{self._name}_{self._started}"
                self._started += 1
                threading.Thread(target=self._serve, name=name, daemon=True).start()
        self._work.put((future, partial(work, *args, **kwargs)))
        return future

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:
        """End the threads after what they were given. Nothing can be waited for, or cancelled."""
        assert not wait
        assert not cancel_futures
        for _ in range(self._started):
            self._work.put(None)

    def _serve(self) -> None:
        self._begin()
        while (given := self._work.get()) is not None:
            _fulfil(*given)
            with self._lock:
                self._unfinished -= 1
            del given  # it may hold much, and the next may take long to come


async def in_daemon_thread(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Like `asyncio.to_thread`, but in a thread of its own: in a pool, what never returns would keep others waiting."""
    future: Future[T] = Future()
    call = partial(contextvars.copy_context().run, work, *args, **kwargs)
    threading.Thread(target=_fulfil, args=(future, call), name="nous-chat-outside", daemon=True).start()
    return await asyncio.wrap_future(future)


def _fulfil(future: Future[Any], work: Callable[[], Any]) -> None:
    if future.set_running_or_notify_cancel():
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)
