"""A daphne whose sockets hold no more than a reader takes and no more than the chat hears: `install()` makes daphne's
command use it.

daphne alone writes into memory whatever an application sends (its issue 170), and keeps in memory whatever a browser
sends until the application asks for it. uvicorn bounds both by itself.
"""

import asyncio
import sys
from typing import Any

from ..protocol.commands import MAX_FRAME_CHARS

MAX_FRAME_BYTES = 4 * MAX_FRAME_CHARS
"""What UTF-8 may make of the longest frame. More is not read: the connection ends with 1009."""

MAX_WAITING = 32
"""Frames of one browser that may wait for the chat; while there are more, nothing is read from it."""


def install() -> None:
    """Does nothing unless daphne's command is what runs."""
    cli = sys.modules.get("daphne.cli")
    if cli is not None:
        cli.CommandLineInterface.server_class = _server_class()


def _server_class() -> type:
    from daphne.server import Server  # importing it installs Twisted's reactor

    class BoundedServer(Server):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            for name in ("websocket_max_message_size", "websocket_max_frame_size"):
                options[name] = min(options.get(name, MAX_FRAME_BYTES), MAX_FRAME_BYTES)
            super().__init__(*args, **options)

        def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
            queue = super().create_application(protocol, scope)
            if queue is None or scope["type"] != "websocket":
                return queue
            protocol.outflow = Outflow(protocol.transport)
            return Inflow(queue, protocol.transport)

        async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
            if message["type"] != "websocket.send":
                await super().handle_reply(protocol, message)
                return
            protocol.maxMessagePayloadSize = 0  # else what is longer is not sent either, and nobody is told
            try:
                await super().handle_reply(protocol, message)
            finally:
                protocol.maxMessagePayloadSize = self.websocket_max_message_size
            if not protocol.outflow.open.is_set():
                await protocol.outflow.open.wait()

    return BoundedServer


class Outflow:
    """A producer, as Twisted calls what writes to a transport: it is told when the transport has enough (64 KiB), and
    when there is room again.
    """

    def __init__(self, transport: Any) -> None:
        self.open = asyncio.Event()
        self.open.set()
        transport.unregisterProducer()  # that of the HTTP request which the socket began as
        transport.registerProducer(self, True)

    def pauseProducing(self) -> None:  # noqa: N802  Twisted's names
        self.open.clear()

    def resumeProducing(self) -> None:  # noqa: N802
        self.open.set()

    def stopProducing(self) -> None:  # noqa: N802
        """The reader is gone: nothing waits for him."""
        self.open.set()


class Inflow:
    """What daphne puts its messages into: the application's queue, behind which reading stops while it is long."""

    def __init__(self, queue: "asyncio.Queue[Any]", transport: Any) -> None:
        self._queue, self._transport, self._paused = queue, transport, False

    def put_nowait(self, message: Any) -> None:
        self._queue.put_nowait(message)
        if self._queue.qsize() > MAX_WAITING and not self._paused:
            self._paused = True
            self._transport.pauseProducing()
            self._look_again()

    def _look_again(self) -> None:
        if self._queue.qsize() > MAX_WAITING // 2:
            asyncio.get_running_loop().call_later(0.05, self._look_again)
        else:
            self._paused = False
            self._transport.resumeProducing()
