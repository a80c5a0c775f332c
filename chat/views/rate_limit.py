"""The decorator that counts requests for HTML pages, and the page for too many of them."""

import functools
import math
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from .. import ratelimit
from ..node.visitors import visitor_of
from ..permissions import asks_can_use, policy
from ..protocol.errors import ErrorCode, Refused
from ..store import executor
from .guests import sign_in_url


def rate_limited(view: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a view for signed-in users and guests, synchronous or asynchronous. Goes below `login_required` or
    `guests_allowed`. Users who may not use the chat get 403.

    An asynchronous view begins without the database connection that its thread needed to find the user, because it
    waits for other work; its `visitor_of(request)` is loaded.
    """

    @functools.wraps(view)
    def in_thread(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        user = visitor_of(request)
        if not policy().can_use(user):
            raise PermissionDenied
        try:
            ratelimit.check(ratelimit.client_of(user, request.META.get("REMOTE_ADDR", "")))
        except Refused as refused:
            return rate_limited_page(request, refused.retry_after)
        return view(request, *args, **kwargs)

    @functools.wraps(view)
    async def on_loop(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        user = await sync_to_async(visitor_of)(request)
        if asks_can_use() and not await sync_to_async(policy().can_use)(user):
            raise PermissionDenied
        try:
            ratelimit.check(ratelimit.client_of(user, request.META.get("REMOTE_ADDR", "")))
        except Refused as refused:
            return await sync_to_async(rate_limited_page)(request, refused.retry_after)
        await executor.release_connection()
        return await view(request, *args, **kwargs)

    return on_loop if iscoroutinefunction(view) else in_thread


def rate_limited_page(request: HttpRequest, retry_after: float | None) -> HttpResponse:
    """The page (429) for too many requests. Visitors can sign in instead, because the limit of a guest is that of an
    address.
    """
    sign_in = "" if request.user.is_authenticated else sign_in_url(request)
    return rate_limited_response(request, retry_after, sign_in)


def rate_limited_response(request: HttpRequest, retry_after: float | None, sign_in: str = "") -> HttpResponse:
    """The page (429) that says how many seconds to wait. It holds the text of a message that was not posted, and a link
    to the address `sign_in` if there is one.
    """
    wait = math.ceil(retry_after or 1)
    context = {"seconds": wait, "text": request.POST.get("text", ""), "sign_in": sign_in}
    response = render(request, "nous_chat/rate_limited.html", context, status=ErrorCode.RATE_LIMITED.http_status)
    response["Retry-After"] = str(wait)
    return response
