"""A client of a consumer in this process, for readers who cannot send commands: event streams, and completions.

It does what the protocol asks of a client. It acknowledges what its reader has taken, pings, and asks for what is lost
(`Follower`).
"""

import asyncio
from typing import Any

import msgspec

from ..concurrency import cancel_and_wait, now
from ..node.http import ASGIApplication, Send
from .follower import Follower

PING_EVERY = 25.0
"""Seconds between two pings. The consumer's answer becomes a comment, which keeps proxies from closing the stream."""

TICK = 5.0
"""How often, in seconds, it looks for runs that have fallen silent."""

ACKNOWLEDGE_EVERY = 1.0
"""Seconds between two acknowledgements, as the page does it."""

ACKNOWLEDGE_CHARS = 64 * 1024
"""Characters that are acknowledged at once: a fast answer would otherwise be withheld (`flow_control.LIMIT`)."""

LOCAL = "nous_chat.local"
"""In the scope of a socket that a client in this process has opened."""

_ANSWERS = {"ack", "conversation.state"}
"""Answers to commands of the client's own, of which the reader knows nothing."""


class LocalClient:
    """One socket to `consumer`, an ASGI application for sockets. Without a follower, nothing is followed: an inbox."""

    def __init__(self, consumer: ASGIApplication, follower: Follower | None = None) -> None:
        self._consumer = consumer
        self._follower = follower
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._incoming.put_nowait({"type": "websocket.connect"})
        self._is_entered = False
        self._unacknowledged: tuple[str, int] | None = None
        self._unacknowledged_chars = 0
        self._acknowledging: asyncio.TimerHandle | None = None

    async def run(self, scope: dict[str, Any], send: Send) -> None:
        """Return when the consumer has ended. `send` gets its messages, and passes frames to `take`."""
        ticking = asyncio.create_task(self._tick())
        try:
            await self._consumer(scope | {"type": "websocket", LOCAL: True}, self._incoming.get, send)
        finally:
            if self._acknowledging is not None:
                self._acknowledging.cancel()
            await cancel_and_wait(ticking)

    def disconnect(self) -> None:
        """Tell the consumer that the reader is gone."""
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1001})

    def take(self, kind: str, text: str) -> bool:
        """Follow a frame. Returns whether the reader needs it."""
        self._is_entered = True
        if self._follower is None:
            return kind not in _ANSWERS
        is_wanted, commands = self._follower.follow(kind, text, now())
        for command in commands:
            self._command(command)
        return is_wanted and kind not in _ANSWERS

    def taken(self, text: str) -> None:
        """The reader has taken the frame that was followed last: acknowledge it, soon."""
        if self._follower is None or self._follower.counted is None:
            return
        self._unacknowledged = self._follower.counted
        self._unacknowledged_chars += len(text)
        if self._unacknowledged_chars >= ACKNOWLEDGE_CHARS:
            self._acknowledge()
        elif self._acknowledging is None:
            self._acknowledging = asyncio.get_running_loop().call_later(ACKNOWLEDGE_EVERY, self._acknowledge)

    async def _tick(self) -> None:
        """Ping, and ask for the state of runs that are silent. Started and cancelled by `run`; nothing escapes."""
        ping_at = now() + PING_EVERY
        while True:
            await asyncio.sleep(TICK)
            if not self._is_entered:
                continue
            if now() >= ping_at:
                ping_at = now() + PING_EVERY
                self._command({"type": "ping"})
            if self._follower is not None:
                for command in self._follower.find_silent(now()):
                    self._command(command)

    def _command(self, command: dict[str, Any]) -> None:
        self._incoming.put_nowait({"type": "websocket.receive", "text": msgspec.json.encode(command).decode()})

    def _acknowledge(self) -> None:
        if self._acknowledging is not None:
            self._acknowledging.cancel()
            self._acknowledging = None
        if self._unacknowledged is not None:
            run, seq = self._unacknowledged
            self._command({"type": "run.ack", "run": run, "seq": seq})
        self._unacknowledged, self._unacknowledged_chars = None, 0
