"""Passwords are checked one at a time: checking one is slow by design, and takes a whole core.

Without this, thirty people who sign in at once take the processor from every stream, and the database's connections
from every request.
"""

import functools
import os
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from chat.turns import Crowded, Turns, give_up_turn
from chat.views.rate_limit import rate_limited_response

AT_ONCE = max(1, (os.cpu_count() or 1) // 2)
"""How many passwords a process checks at the same time."""

MAX_WAITING = 10
"""How many more requests of one client may wait for that. Clients take turns, so a crowd at one address does not keep
others from signing in.
"""

ATTEMPTS = 20
"""How many attempts in a row may fail for one username, or in one session, in one process."""

ATTEMPT_EVERY = 5.0
"""Seconds after which one more attempt is accepted."""

MAX_NAMES = 10_000
"""How many of them are remembered: the last ones."""


class Attempts:
    """A token bucket for each username: ATTEMPTS, one more every ATTEMPT_EVERY seconds."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, now: float) -> float:
        """Count an attempt. Returns 0, or the seconds to wait."""
        tokens, then = self._names.pop(name, (float(ATTEMPTS), now))
        tokens = min(ATTEMPTS, tokens + (now - then) / ATTEMPT_EVERY)
        allowed = tokens >= 1
        self._names[name] = (tokens - 1 if allowed else tokens, now)
        if len(self._names) > MAX_NAMES:
            self._names.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) * ATTEMPT_EVERY

    def succeeded(self, name: str) -> None:
        """The last attempt was right: none of them counts any more."""
        self._names.pop(name, None)


_turns = Turns(AT_ONCE, 1, MAX_WAITING)
_attempts = Attempts()


def throttled(view: Callable[..., HttpResponseBase]) -> Callable[..., Coroutine[Any, Any, HttpResponseBase]]:
    """Wrap a synchronous view whose POST requests check or hash a password. What is too much gets 429."""

    @functools.wraps(view)
    async def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        call = functools.partial(view, request, *args, **kwargs)
        if request.method != "POST":
            return await sync_to_async(call)()
        # Django's form calls it so, whatever the user model. Whoever changes a password has a session.
        who = _account_name(request.POST.get("username", "")) or request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
        give_up_turn()  # of HTTP requests: those who only wait here, or compute outside of the interpreter, need none
        try:
            async with _turns.turn():
                wait = _attempts.take(who, monotonic()) if who else 0.0
                if not wait:
                    response = await sync_to_async(call)()
                    if response.status_code == 302:
                        _attempts.succeeded(who)
                    return response
        except Crowded:
            wait = ATTEMPT_EVERY
        return await sync_to_async(rate_limited_response)(request, wait)

    return wrapped


def _account_name(given: str) -> str:
    """The username that Django's form makes of what was typed, of which there are many spellings, without its case."""
    return unicodedata.normalize("NFKC", given.strip()[:150]).casefold()
