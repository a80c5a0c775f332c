"""WebSocket clients that measure the lag of each delta, assemble the text and acknowledge it.

`SiteViewer` speaks the site's protocol, `RelayViewer` the relay's bare frames. A `Tally` counts for all viewers of a
window. They run in the benchmark's own process, on uvloop.
"""

import asyncio
import json
import time
import uuid
from array import array
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Protocol

import msgspec
import websockets

from .wire import WIDTH, Order, lags, microseconds

OPENING = 120
"""Seconds that opening a socket may take."""

QUIET = (websockets.ConnectionClosed, OSError)


async def connect(
    address: str, headers: dict[str, str] | None, open_timeout: float = OPENING
) -> websockets.ClientConnection:
    """Open a socket that adds nothing of its own to what is measured: no compression, no pings. Raises TimeoutError
    after `open_timeout` seconds.
    """
    return await websockets.connect(
        address,
        additional_headers=headers,
        compression=None,
        max_size=None,
        ping_interval=None,
        open_timeout=open_timeout,
        proxy=None,
    )


class Tally:
    """What all viewers of a window have received. While `recording`, `lags` gathers milliseconds."""

    def __init__(self) -> None:
        self.delivered = self.frames = 0
        self.recording = False
        self.lags = array("d")


class Viewer:
    """One connection. `ask` orders a stream, and another one after its end; viewers that do not ask only watch."""

    def __init__(self, address: str, tally: Tally, headers: dict[str, str] | None = None) -> None:
        self._address, self._headers, self._tally = address, headers, tally
        self.ready = asyncio.Event()
        self._renew()

    def _renew(self) -> None:
        """Forget the last stream."""
        self._text: list[str] = []
        self.deltas = 0
        """How many arrived as deltas, and not in a stored text."""

        self.asked = self.first = 0.0
        """Seconds of the monotonic clock: when the stream was ordered, and when its first text arrived."""

        self.begun = asyncio.Event()
        self.over = asyncio.Event()
        self.end = ""
        """How the stream ended, in the server's words."""

    async def open(self) -> None:
        self._socket = await connect(self._address, self._headers)
        self._reading = asyncio.create_task(self._read())

    async def settled(self) -> bool:
        """Wait until this socket is ready, or closed. Returns whether it is ready."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self.ready, self.over)]
        _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in pending:
            wait.cancel()
        return self.ready.is_set()

    async def ask(self, order: Order) -> None:
        self._renew()
        self.asked = time.monotonic()
        await self._send(self._asking(order))

    async def stop(self) -> None:
        raise NotImplementedError

    async def acknowledge(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        await self._socket.close()
        await self._reading

    @property
    def text(self) -> str:
        """The text at the end."""
        return "".join(self._text)

    @property
    def sound(self) -> bool:
        """Whether the stored text, if any, equals the one assembled from deltas."""
        return True

    def _asking(self, order: Order) -> str:
        raise NotImplementedError

    def _hear(self, frame: bytes) -> None:
        raise NotImplementedError

    def _take(self, text: str) -> None:
        now = microseconds()
        self._begin()
        self._text.append(text)
        self.deltas += len(text) // WIDTH
        self._tally.delivered += len(text) // WIDTH
        self._tally.frames += 1
        if self._tally.recording:
            self._tally.lags.extend(lags(text, now))

    def _begin(self) -> None:
        if not self.begun.is_set():
            self.first = time.monotonic()
            self.begun.set()

    async def _send(self, text: str) -> None:
        with suppress(*QUIET):
            await self._socket.send(text)

    async def _read(self) -> None:
        try:
            while True:
                self._hear(await self._socket.recv(decode=False))
        except QUIET:
            self.end = self.end or f"closed with {self._socket.close_code}"
            self.over.set()


class RelayViewer(Viewer):
    """A frame is the text of a delta; an empty one is the end. Deltas are acknowledged like the site's, so that both
    servers receive as much.
    """

    async def open(self) -> None:
        await super().open()
        self.ready.set()

    async def stop(self) -> None:
        self._socket.transport.close()

    async def acknowledge(self) -> None:
        if self.begun.is_set():
            await self._send('{"type":"run.ack"}')

    def _asking(self, order: Order) -> str:
        return str(order)

    def _hear(self, frame: bytes) -> None:
        if frame:
            self._take(frame.decode())
        else:
            self.end = "completed"
            self.over.set()


class _Frame(msgspec.Struct):
    type: str
    run: str | None = None
    seq: int = 0
    text: str = ""
    message: Any = None
    status: str = ""
    error: Any = None


_decode = msgspec.json.Decoder(_Frame).decode


class SiteViewer(Viewer):
    """Follows a conversation by the rules of docs/protocol.md."""

    def __init__(self, address: str, tally: Tally, headers: dict[str, str] | None = None) -> None:
        super().__init__(address, tally, headers)
        self.gaps = 0

    def _renew(self) -> None:
        super()._renew()
        self._run: str | None = None
        self._seq = self._acknowledged = 0
        self._lost = False
        self._stored: str | None = None

    async def stop(self) -> None:
        await self._send(json.dumps({"type": "run.stop", "run": self._run}))

    async def acknowledge(self) -> None:
        if self._seq > self._acknowledged:
            self._acknowledged = self._seq
            await self._send(json.dumps({"type": "run.ack", "run": self._run, "seq": self._seq}))

    @property
    def text(self) -> str:
        return super().text if self._stored is None else self._stored

    @property
    def sound(self) -> bool:
        return self._lost or self._stored == super().text

    def _asking(self, order: Order) -> str:
        return json.dumps({"type": "message.send", "client_id": str(uuid.uuid4()), "text": str(order)})

    def _hear(self, frame: bytes) -> None:
        heard = _decode(frame)
        match heard.type:
            case "run.delta":
                self._delta(heard)
            case "snapshot":
                self.ready.set()
            case "run.started":
                self._run, self._seq, self._acknowledged = heard.run, 0, 0
            case "run.state" if heard.seq >= self._seq:
                self._seq, self._text, self._lost = heard.seq, [heard.message["text"]], False
            case "run.finished":
                if heard.status == "completed":
                    self._begin()  # in case it brings the whole text
                self._stored = heard.message["text"] if heard.message else ""
                self.end = f"{heard.status}: {heard.error}" if heard.error else heard.status
                self.over.set()
            case "error":
                self.end = f"refused: {heard.message}"
                self.over.set()

    def _delta(self, heard: _Frame) -> None:
        self._run = heard.run  # `run.started` may have been lost
        if heard.seq == self._seq + 1:
            self._seq = heard.seq
            self._take(heard.text)
        elif heard.seq > self._seq and not self._lost:
            self._lost = True
            self.gaps += 1
            asyncio.ensure_future(self._send(json.dumps({"type": "run.sync", "run": heard.run})))  # noqa: RUF006


class Acknowledging(Protocol):
    """Who reads a stream, and tells the server how far."""

    async def acknowledge(self) -> None: ...


async def acknowledge(viewers: Iterable[Acknowledging]) -> None:
    """Have each acknowledge once a second, one after another. Started and cancelled by `seated` and `writing`."""
    viewers = list(viewers)
    while True:
        for viewer in viewers:
            await asyncio.sleep(1 / len(viewers))
            await viewer.acknowledge()
