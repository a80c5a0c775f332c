"""A consumer over HTTP: its frames as server-sent events (docs/api.md, "Streams").

To the reader, `EventStream` is an HTTP response, which has no way back. So a `LocalClient` is the socket to the
consumer, and what the transport has taken counts as read.
"""

import asyncio
import math
import re
from contextlib import suppress
from typing import Any

import msgspec
from django.utils.translation import gettext as _

from ..concurrency import cancel_and_wait
from ..node.bearer import challenge, read_bearer
from ..node.http import ASGIApplication, Receive, Send
from ..protocol import events
from ..protocol.errors import ErrorCode, Refused, database_unavailable
from ..ratelimit import too_many_requests
from .follower import Follower
from .local_client import LocalClient

RETRY_AFTER = 2.0
"""Seconds after which a client connects again."""

RETRY_CROWDED = 10.0
"""The same for a client that has opened too many streams."""

END_TIMEOUT = 1.0
"""Seconds that the end of a response may wait for a reader who takes nothing."""

HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would gather events
    (b"x-content-type-options", b"nosniff"),
]


class EventStream:
    """One response. `consumer` is an ASGI application for sockets."""

    def __init__(self, consumer: ASGIApplication, follower: Follower | None = None) -> None:
        self._follower = follower
        self._client = LocalClient(consumer, follower)
        self._lock = asyncio.Lock()
        """Held while an event is written, so that they are written in the order of their ids."""
        self._held: list[str] = []
        """Frames from before the snapshot. They follow it, or tell why there is none."""
        self._has_started = self._has_ended = False
        self._position = Position()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        self._send_http = send
        self._has_token = read_bearer(scope["headers"]) is not None
        self._position = Position.parse(headers.get(b"last-event-id", b"").decode("latin-1"))
        if self._follower is not None:
            self._follower.newest = self._position.seq
        watching = asyncio.create_task(self._watch_reader(receive))
        try:
            await self._client.run(scope, self._send)
            with suppress(TimeoutError):
                async with asyncio.timeout(END_TIMEOUT):
                    await self._end()
        finally:
            await cancel_and_wait(watching)

    async def _watch_reader(self, receive: Receive) -> None:
        """Tell the consumer when the reader is gone. Started and cancelled by `__call__`; nothing escapes."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._client.disconnect()

    async def _send(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "websocket.send":
                async with self._lock:
                    if not self._has_ended:
                        await self._take(message["text"])
            case "websocket.close":
                async with self._lock:
                    if not self._has_ended:
                        await self._close(message.get("code"))
                self._client.disconnect()

    async def _take(self, text: str) -> None:
        """Pass a frame on. Nothing is sent before the snapshot, because the status of the response depends on it."""
        kind = events.kind_of(text)
        if not self._has_started:
            if kind != "snapshot":
                self._held.append(text)
                return
            self._has_started = True
            await self._send_http({"type": "http.response.start", "status": 200, "headers": HEADERS})
            await self._write(f"retry: {RETRY_AFTER * 1000:.0f}\n\n")
        await self._pass_on(kind, text)
        while self._held:
            held = self._held.pop(0)
            await self._pass_on(events.kind_of(held), held)

    async def _pass_on(self, kind: str, text: str) -> None:
        is_wanted = self._client.take(kind, text)
        if self._follower is not None:
            self._position.seq = self._follower.known
        if kind == "pong":
            await self._write(": still here\n\n")
        elif is_wanted:
            await self._write_event(text)
            self._client.taken(text)

    async def _write_event(self, text: str, retry: str = "") -> None:
        await self._write(f"{retry}id: {self._position.next()}\ndata: {text}\n\n")  # JSON of msgspec has no line breaks

    async def _write(self, text: str) -> None:
        """Return when the transport has taken it: servers have write backpressure."""
        await self._send_http({"type": "http.response.body", "body": text.encode(), "more_body": True})

    async def _close(self, code: int | None) -> None:
        """End the response: with a status if nothing was sent yet, else with a last event."""
        error = self._explain(code)
        if self._has_started:
            retry = f"retry: {(error.retry_after or RETRY_AFTER) * 1000:.0f}\n"
            await self._write_event(events.encode(error), retry)
        else:
            await self._refuse(error)
        await self._end()

    def _explain(self, code: int | None) -> events.Error:
        """What a close code means. Before the snapshot, the consumer may have said it itself."""
        said = next((text for text in self._held if events.kind_of(text) == "error"), None)
        if said is not None:
            return msgspec.json.decode(said, type=events.Error)
        why = reason(code)
        return events.Error(ref=None, code=why.code, message=str(why), retry_after=why.retry_after)

    async def _refuse(self, error: events.Error) -> None:
        self._has_started = self._has_ended = True
        body = msgspec.json.encode({"code": error.code, "message": error.message})
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"private, no-store"),
        ]
        if error.code == ErrorCode.UNAUTHORIZED:
            headers.append((b"www-authenticate", challenge(self._has_token).encode()))
        if error.retry_after is not None:
            headers.append((b"retry-after", b"%d" % math.ceil(error.retry_after)))
        status = ErrorCode(error.code).http_status
        await self._send_http({"type": "http.response.start", "status": status, "headers": headers})
        await self._send_http({"type": "http.response.body", "body": body})

    async def _end(self) -> None:
        if self._has_started and not self._has_ended:
            self._has_ended = True
            await self._send_http({"type": "http.response.body", "body": b""})


def reason(code: int | None) -> Refused:
    """Why a socket is closed with this code (docs/protocol.md, "The socket"); None: it was not accepted."""
    match code:
        case None | 4403:
            return Refused(ErrorCode.FORBIDDEN, _("You can't read this."))
        case 4401:
            return Refused(ErrorCode.UNAUTHORIZED, _("Sign in first."))
        case 4404:
            return Refused(ErrorCode.NOT_FOUND, _("This conversation does not exist, or you are not in it."))
        case 4429:
            return too_many_requests(RETRY_CROWDED)
        case 1012 | 4012:
            return Refused(ErrorCode.UNAVAILABLE, _("The server is restarting."), retry_after=RETRY_AFTER)
        case 4408:
            return Refused(ErrorCode.UNAVAILABLE, _("The connection is too slow."), retry_after=RETRY_AFTER)
        case _:
            return database_unavailable()


class Position:
    """The id of an event: the number of the newest message up to which the reader knows all, and a number of its own,
    so that no two events of a reader have the same id.
    """

    def __init__(self, seq: int = 0, number: int = 0) -> None:
        self.seq, self._number = seq, number

    @classmethod
    def parse(cls, text: str) -> "Position":
        """A `Last-Event-ID`. What is none counts as the beginning."""
        found = re.fullmatch(r"([0-9]{1,10})\.([0-9]{1,15})", text)
        return cls(int(found[1]), int(found[2])) if found else cls()

    def next(self) -> str:
        self._number += 1
        return f"{self.seq}.{self._number}"
