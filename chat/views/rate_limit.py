"""The decorator that counts requests for HTML pages, and the page for too many of them."""

import functools
import math
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from .. import ratelimit
from ..protocol.errors import Refused
from ..store import executor


def rate_limited(view: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a view for signed-in users, synchronous or asynchronous. Goes below `login_required`.

    An asynchronous one begins without the database connection that its thread needed to find the user, because it waits
    for other work; its `request.auser()` is loaded.
    """

    @functools.wraps(view)
    def in_thread(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            ratelimit.check(request.user.pk)
        except Refused as refused:
            return _refuse(request, refused)
        return view(request, *args, **kwargs)

    @functools.wraps(view)
    async def on_loop(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            ratelimit.check((await request.auser()).pk)
        except Refused as refused:
            return await sync_to_async(_refuse)(request, refused)
        await executor.release_connection()
        return await view(request, *args, **kwargs)

    return on_loop if iscoroutinefunction(view) else in_thread


def _refuse(request: HttpRequest, refused: Refused) -> HttpResponse:
    """The page says how long to wait, and holds the text of a message that was not posted."""
    wait = math.ceil(refused.retry_after or 1)
    context = {"seconds": wait, "text": request.POST.get("text", "")}
    response = render(request, "nous_chat/rate_limited.html", context, status=refused.code.http_status)
    response["Retry-After"] = str(wait)
    return response
