"""HTTP requests of a process take turns, by ASGI middleware around the site's application (`take_turns`).

Django answers each request in a thread, and all threads of a process share one interpreter lock. Fifty requests at once
leave a fiftieth of the time to the thread that serves every socket. Here only some requests are answered at once, few
of them for one client; the others wait on the event loop, where waiting costs nothing.

A turn begins when the request's body has been received: a slow upload has none. It ends when the response begins: what
follows waits for the network, or reads a file.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

import msgspec

from ..ratelimit import network_of, too_many_requests
from ..store import executor
from ..turns import Crowded, Stranger, Turns, client, current
from . import bearer, sessions
from .http import ASGIApplication, Receive, Send, find_user

AT_ONCE = 4
"""How many requests a process answers at the same time. Those that wait for a lock, a file, a password, or others that
do the same work do not count: they give up their turn.
"""

SHORT = 2
"""How many of them may be in the first moment of their turn (`turns.SHORT`): of two threads that compute, the event
loop gets the interpreter back sooner than of four.
"""

PER_CLIENT = 1
"""How many of them are of one client. A second busy thread more than doubles the time that a message takes; one fits
next to the event loop.
"""

STRANGERS_AT_ONCE = 4
"""The same for requests of people who are not signed in, guests included. They have a line of their own, so that
signed-in users do not wait for strangers, however many addresses these have.
"""

STRANGERS_SHORT = 1
"""How many requests of strangers may be in the first moment of their turn (`turns.SHORT`). Three that compute at the
same time end later than one after another, and whatever else the process does meanwhile takes several times as long. A
slow page holds up the next request for no longer than that moment.
"""

PAUSE = 1.0
"""How long a client that is signed in pauses after a short turn, as a multiple of the turn: one who asks all the time
has half of the time of one thread.
"""

MAX_WAITING = 200
"""How many more requests of one client may wait. A browser that loads the page without a cache asks for a hundred
files.
"""

LOOKUPS_AT_ONCE = 2
"""How many sessions are looked up at the same time, one of each address."""

MAX_SESSIONS = 10_000
"""How many tokens and sessions are remembered with their users: those that were seen last."""

_turns = Turns(AT_ONCE, PER_CLIENT, MAX_WAITING, SHORT, PAUSE)
_strangers = Turns(STRANGERS_AT_ONCE, PER_CLIENT, MAX_WAITING, STRANGERS_SHORT)
_lookups = Turns(LOOKUPS_AT_ONCE, PER_CLIENT, MAX_WAITING)
_users: OrderedDict[str, Hashable] = OrderedDict()
"""By token or session cookie."""


def take_turns(application: ASGIApplication, strangers: float = 1.0) -> ASGIApplication:
    """The application, with few requests at once. Further ones wait for their turn, or get 429 if too many wait.

    `strangers` is the part of the time, above 0 and up to 1, in which requests of people who are not signed in may be
    answered: while a thread computes all the time, every statement of another one waits for the interpreter.
    """
    _strangers.pause = 1 / strangers - 1

    async def wrapped(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        try:
            user = await _find_user(scope)
            client.set(_stranger_of(scope) if user is None else user)
            await Exchange(receive, send, _strangers if user is None else _turns).run(application, scope)
        except Crowded:
            await _refuse(send)

    return wrapped


def _stranger_of(scope: dict[str, Any]) -> Stranger:
    address: str = (scope.get("client") or ("",))[0]
    return Stranger(network_of(address))


async def _find_user(scope: dict[str, Any]) -> Hashable:
    """The user of the request's token or session; None if there is none: an invented one is nobody's. Lookups take
    turns of their own, so that a user whose session is new waits for no page of a stranger at the same address.
    """
    token, cookie = bearer.read_bearer(scope["headers"]), sessions.read_cookie(scope)
    credential = cookie if token is None else f"Bearer {token}"
    if not credential:
        return None
    if credential not in _users:
        client.set(_stranger_of(scope))
        async with _lookups.turn():
            user = await _look_up_user(scope)
        if user is None:
            return None
        _users[credential] = user
        if len(_users) > MAX_SESSIONS:
            _users.popitem(last=False)
    _users.move_to_end(credential)
    return _users[credential]


async def _look_up_user(scope: dict[str, Any]) -> Hashable:
    try:
        return await executor.run_request(find_user, scope)
    except Exception:  # whatever the site's sessions raise: the view that reads this one reports it
        return None


class Exchange:
    """A request and its response, in a turn of the current client."""

    def __init__(self, receive: Receive, send: Send, turns: Turns) -> None:
        self._receive, self._send = receive, send
        self._turn = turns.turn()
        self._after_body: asyncio.Future[dict[str, Any]] | None = None
        """The server's message after the request's body: the client is gone."""
        self._has_started = False
        self._may_end_early = asyncio.Event()
        """Whether the application may be cancelled, or learn that its client is gone. Not while it makes the response:
        its threads cannot be cancelled. They would go on without a turn, and a client that hangs up at once could have
        any number of them.
        """
        self._may_end_early.set()

    async def run(self, application: ASGIApplication, scope: dict[str, Any]) -> None:
        """Raises Crowded before the application has seen the whole request."""
        current.set(self._turn)
        task = asyncio.ensure_future(application(scope, self._receive_in_turn, self._send_out_of_turn))
        try:
            while not task.done():
                try:
                    await asyncio.wait([task])
                except asyncio.CancelledError:
                    if self._may_end_early.is_set():  # else it comes again: daphne repeats it every second
                        task.cancel()
            task.result()
        finally:
            self._turn.close()
            if self._after_body is not None:
                self._after_body.cancel()

    async def _receive_in_turn(self) -> dict[str, Any]:
        if self._after_body is not None:
            await self._may_end_early.wait()
            return await asyncio.shield(self._after_body)
        message = await self._receive()
        if message["type"] != "http.request" or message.get("more_body", False):
            return message
        self._after_body = asyncio.ensure_future(self._receive())
        if not self._has_started and not await self._begin(self._after_body):
            return self._after_body.result()
        return message

    async def _begin(self, client_gone: "asyncio.Future[Any]") -> bool:
        """Wait for the turn. Returns False if the client goes meanwhile. Raises Crowded."""
        beginning = asyncio.ensure_future(self._turn.begin())
        try:
            await asyncio.wait([beginning, client_gone], return_when=asyncio.FIRST_COMPLETED)
        finally:
            beginning.cancel()
        if not beginning.done():
            return False
        beginning.result()
        self._may_end_early.clear()
        return True

    async def _send_out_of_turn(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._has_started = True
            self._turn.close()
            self._may_end_early.set()
        await self._send(message)


async def _refuse(send: Send) -> None:
    refused = too_many_requests(1.0)
    body = msgspec.json.encode({"code": refused.code, "message": str(refused)})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"retry-after", b"1"),
        (b"cache-control", b"private, no-store"),
    ]
    await send({"type": "http.response.start", "status": refused.code.http_status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
