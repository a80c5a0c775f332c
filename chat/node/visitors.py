"""Who a request is from: the user who is signed in, or the guest whom its session names (`GUESTS`).

Django's `request.user` stays anonymous for a guest, except in the chat's own endpoints: the rest of the site knows
nothing of them.
"""

import asyncio
from typing import Any
from uuid import UUID

from django.http import HttpRequest

from .. import store
from ..conf import GuestConf, conf
from ..models import Guest
from ..ratelimit import too_many_requests
from ..turns import Turns, give_up_turn

BEGIN_WITHIN = 10.0
"""Seconds that a visitor may wait until they begin as a guest."""

_beginnings = Turns(1, 1)
"""Each turn lasts until the next guest may begin. Addresses take turns."""


def find_visitor(request: HttpRequest) -> Any | None:
    """The row of the user, or of the guest. None if there is neither. Looked up once for a request."""
    if request.user.is_authenticated:
        return request.user
    if not hasattr(request, "_nous_chat_guest"):
        session = getattr(request, "session", None)
        guest = None if session is None else store.find_guest(session.get(Guest.SESSION_KEY))
        request._nous_chat_guest = guest  # type: ignore[attr-defined]
    return request._nous_chat_guest  # type: ignore[attr-defined]


def visitor_of(request: HttpRequest) -> Any:
    """The same, or Django's anonymous user."""
    return find_visitor(request) or request.user


async def wait_to_begin() -> None:
    """Wait until a guest may begin (`GuestConf.per_second`): the first message of each starts an answer, and many at
    once would be noticed by everybody. Raises Refused if that takes too long.
    """
    give_up_turn()
    turn = _beginnings.turn()
    try:
        async with asyncio.timeout(BEGIN_WITHIN):
            await turn.begin()
    except TimeoutError:
        raise too_many_requests(BEGIN_WITHIN) from None
    asyncio.get_running_loop().call_later(1 / (conf.GUESTS or GuestConf()).per_second, turn.end)


def begin_guest(request: HttpRequest) -> UUID:
    """Make the visitor a guest. Returns the id of their conversation. Raises Refused.

    The session gets a new key, as at a sign-in: somebody else may have planted the old one.
    """
    guest, conversation_id = store.begin_guest()
    request.session[Guest.SESSION_KEY] = guest._meta.pk.value_to_string(guest)
    request.session.cycle_key()
    request._nous_chat_guest = guest  # type: ignore[attr-defined]
    return conversation_id
