"""Middleware that shares a process's time fairly between HTTP clients: `chat.middleware.TakeTurns`, the first one.

Django answers each request in a thread, and all threads of a process share one interpreter lock. Fifty requests at once
leave a fiftieth of the time to the thread that serves every socket. Here only some requests are answered at once, few
of them for one client; the others wait on the event loop, where waiting costs nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from .ratelimit import too_many_requests
from .turns import Crowded, Turns, client

AT_ONCE = 4
"""How many requests a process answers at the same time. Those that wait for a lock, a file, or a password do not count:
they give up their turn.
"""

PER_CLIENT = 1
"""How many of them are of one client. A second busy thread more than doubles the time that a message takes; one fits
next to the event loop.
"""

MAX_WAITING = 200
"""How many more requests of one client may wait. A browser that loads the page without a cache asks for a hundred
files.
"""

_turns = Turns(AT_ONCE, PER_CLIENT, MAX_WAITING)


class TakeTurns:
    """The middleware. It does nothing under WSGI, whose servers have a fixed number of threads, and above a synchronous
    middleware, with which Django runs it in a thread (`nous_chat.W013`).

    A client is a session's cookie, else an address. With invented cookies, one client counts as many; AT_ONCE still
    holds.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._on_loop = iscoroutinefunction(get_response)
        if self._on_loop:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        return self._in_turn(request) if self._on_loop else self.get_response(request)

    async def _in_turn(self, request: HttpRequest) -> HttpResponseBase:
        client.set(request.COOKIES.get(settings.SESSION_COOKIE_NAME) or request.META.get("REMOTE_ADDR", ""))
        try:
            async with _turns.turn():
                return await _to_its_end(self.get_response(request))
        except Crowded:
            refused = too_many_requests(1.0)
            body = {"code": refused.code, "message": str(refused)}
            return JsonResponse(body, status=429, headers={"Retry-After": "1"})


async def _to_its_end(answering: Awaitable[HttpResponseBase]) -> HttpResponseBase:
    """Wait for the response, even if the client goes. Its threads cannot be cancelled: they would go on without a turn,
    and a client that hangs up at once could have any number of them.
    """
    task = asyncio.ensure_future(answering)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):  # daphne repeats it every second
                await asyncio.wait([task])
        if not task.cancelled() and task.exception() is None:
            await sync_to_async(task.result().close)()
        raise
