"""The decorator of the pages that guests can use, and the page for visitors who are not guests yet."""

import functools
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ..conf import conf
from ..node import visitors


def guests_allowed(view: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a view, synchronous or asynchronous, in the place of `login_required`: guests pass as well. Others
    are sent to the page for guests if the site has one and they ask for the chat itself, else to sign in.
    """

    @login_not_required
    @functools.wraps(view)
    def in_thread(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if visitors.find_visitor(request) is None:
            return _ask_to_sign_in(request, kwargs)
        return view(request, *args, **kwargs)

    @login_not_required
    @functools.wraps(view)
    async def on_loop(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if await sync_to_async(visitors.find_visitor)(request) is None:
            return await sync_to_async(_ask_to_sign_in)(request, kwargs)
        return await view(request, *args, **kwargs)

    return on_loop if iscoroutinefunction(view) else in_thread


def _ask_to_sign_in(request: HttpRequest, kwargs: dict[str, Any]) -> HttpResponse:
    if conf.GUESTS is not None and not kwargs:
        return welcome(request)
    return redirect_to_login(request.get_full_path())


def sign_in_url(request: HttpRequest) -> str:
    """The page to sign in, which leads back to this one."""
    return redirect_to_login(request.get_full_path()).url


def welcome(request: HttpRequest, problem: str = "", draft: str = "", status: int = 200) -> HttpResponse:
    """The page for visitors without an account: a form for the first message, and a link to sign in."""
    context = {"problem": problem, "draft": draft, "client_id": uuid4(), "sign_in": sign_in_url(request)}
    return render(request, "nous_chat/welcome.html", context, status=status)
