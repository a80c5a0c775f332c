"""Threads for HTTP requests, lent to one after another, by ASGI middleware around the site's application
(`reuse_threads`).

Django runs a request's synchronous code, middleware and most views, in a thread of its own. It starts one for each
request, and another one to end it, and the event loop waits until they run: on a busy process, a third of what the loop
does for a page. Here, a request gets a thread that no other request uses at the moment.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import SyncToAsync, ThreadSensitiveContext

from ..engine.daemon_threads import DaemonThreads
from .http import ASGIApplication, Receive, Send

P = ParamSpec("P")
T = TypeVar("T")

MAX_IDLE = 8
"""How many threads are kept while no request uses them, with their database connections if those are persistent."""

_working: set[Future[Any]] = set()
"""What threads of requests do now."""


def reuse_threads(application: ASGIApplication) -> ASGIApplication:
    """The application, with threads that were started for earlier requests."""
    idle: list[DaemonThreads] = []

    async def wrapped(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        # asgiref finds a request's thread by its context. Django's own context, inside this one, has no effect.
        context, thread = ThreadSensitiveContext(), RequestThread(idle)
        SyncToAsync.context_to_thread_executor[context] = thread
        token = SyncToAsync.thread_sensitive_context.set(context)
        try:
            await application(scope, receive, send)
        finally:
            SyncToAsync.thread_sensitive_context.reset(token)
            SyncToAsync.context_to_thread_executor.pop(context, None)
            thread.give_back()

    return wrapped


async def finish_requests(seconds: float) -> None:
    """Wait at most `seconds` until no thread works for a request. daphne cancels requests when it is asked to end, but
    not what their threads do: a view that has committed something still has to announce it, by this event loop.
    """
    working = [asyncio.wrap_future(future) for future in list(_working)]
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(*working, return_exceptions=True), seconds)


class RequestThread(Executor):
    """One thread, which is taken from the `idle` ones, or started, as soon as there is work for it."""

    def __init__(self, idle: list[DaemonThreads]) -> None:
        self._idle = idle
        self._thread: DaemonThreads | None = None
        self._newest: Future[Any] | None = None

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if self._thread is None:
            self._thread = self._idle.pop() if self._idle else DaemonThreads(1, "nous-chat-http")
        self._newest = future = self._thread.submit(work, *args, **kwargs)
        _working.add(future)
        future.add_done_callback(_working.discard)
        return future

    def give_back(self) -> None:
        """The request is over. If its view still runs, because it cannot be cancelled, the thread ends with it."""
        if self._thread is None or self._newest is None:
            return
        if self._newest.done() and len(self._idle) < MAX_IDLE:
            self._idle.append(self._thread)
        else:
            self._thread.shutdown()
