"""Threads for HTTP requests, lent to one after another, by ASGI middleware around the site's application
(`reuse_threads`).

Django runs a request's synchronous code, middleware and most views, in a thread of its own. It starts one for each
request, and another one to end it, and the event loop waits until they run: on a busy process, a third of what the loop
does for a page. Here, a request gets a thread that no other request uses at the moment.
"""

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import SyncToAsync, ThreadSensitiveContext

from .http import ASGIApplication, Receive, Send

P = ParamSpec("P")
T = TypeVar("T")

MAX_IDLE = 8
"""How many threads are kept while no request uses them, with their database connections if those are persistent."""


def reuse_threads(application: ASGIApplication) -> ASGIApplication:
    """The application, with threads that were started for earlier requests."""
    idle: list[ThreadPoolExecutor] = []

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


class RequestThread(Executor):
    """One thread, which is taken from the `idle` ones, or started, as soon as there is work for it."""

    def __init__(self, idle: list[ThreadPoolExecutor]) -> None:
        self._idle = idle
        self._thread: ThreadPoolExecutor | None = None
        self._newest: Future[Any] | None = None

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if self._thread is None:
            self._thread = self._idle.pop() if self._idle else ThreadPoolExecutor(1, "nous-chat-http")
        self._newest = future = self._thread.submit(work, *args, **kwargs)
        return future

    def give_back(self) -> None:
        """The request is over. If its view still runs, because it cannot be cancelled, the thread ends with it."""
        if self._thread is None or self._newest is None:
            return
        if self._newest.done() and len(self._idle) < MAX_IDLE:
            self._idle.append(self._thread)
        else:
            self._thread.shutdown(wait=False)
