"""Sockets and streams that note when each frame came."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import aiohttp
import msgspec

Frame = dict[str, Any]

ACKNOWLEDGE_EVERY = 1.0
"""Seconds."""


class Listener:
    """Reads frames until the connection ends. Subclasses have the connection."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, Frame]] = []
        """Each frame, with the time of its arrival by the clock `time.monotonic`."""
        self.opened_at = time.monotonic()
        self.ended_at: float | None = None
        self._changed = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    def start(self) -> Self:
        """Begin to read, in a task that `close` cancels; nothing escapes."""
        self._reading = asyncio.create_task(self._read())
        return self

    async def close(self) -> None:
        """End the connection."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    async def until(self, found: Callable[[], Any], seconds: float) -> Any:
        """What `found` returns as soon as that is true; its last value if the time is over or the connection ends."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not found() and self.ended_at is None:
                    self._changed.clear()
                    await self._changed.wait()
        return found()

    async def hear(self, seconds: float, **fields: Any) -> tuple[float, Frame] | None:
        """`first`, waiting at most so long for it."""
        found: tuple[float, Frame] | None = await self.until(lambda: self.first(**fields), seconds)
        return found

    def first(self, **fields: Any) -> tuple[float, Frame] | None:
        """The first frame with these fields, and when it came."""
        return next(((at, frame) for at, frame in self.heard if fields.items() <= frame.items()), None)

    def deltas(self) -> dict[tuple[str, int], float]:
        """When each piece of an answer came."""
        return {(frame["run"], frame["seq"]): at for at, frame in self.heard if frame.get("type") == "run.delta"}

    async def _read(self) -> None:
        try:
            async for text in self._texts():
                with contextlib.suppress(msgspec.MsgspecError):
                    frame = msgspec.json.decode(text, type=Frame)
                    self.heard.append((time.monotonic(), frame))
                    self._changed.set()
                    await self._acknowledge(frame)
        except (aiohttp.ClientError, OSError, TimeoutError):
            pass
        finally:
            self.ended_at = time.monotonic()
            self._changed.set()

    async def _acknowledge(self, frame: Frame) -> None:
        """Tell the site that this was read, if it wants to know."""

    def _texts(self) -> AsyncIterator[str | bytes]:
        raise NotImplementedError


class SocketListener(Listener):
    """A WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        super().__init__()
        self.socket = socket
        self._acknowledged_at = 0.0

    async def send(self, **command: Any) -> None:
        """Send a command. Nothing happens if the socket is closed."""
        with contextlib.suppress(aiohttp.ClientError, OSError):
            await self.socket.send_str(msgspec.json.encode(command).decode())

    async def round_trip(self, seconds: float) -> float | None:
        """How long a ping takes until its answer; None if there is none in this time."""
        ref, at = f"{len(self.heard)}-{time.monotonic()}", time.monotonic()
        await self.send(type="ping", ref=ref)
        found = await self.hear(seconds, type="pong", ref=ref)
        return found[0] - at if found else None

    async def _acknowledge(self, frame: Frame) -> None:
        """Once a second, or the site takes this reader for one that is too slow (docs/protocol.md, flow control)."""
        if frame.get("type") == "run.delta" and time.monotonic() - self._acknowledged_at >= ACKNOWLEDGE_EVERY:
            self._acknowledged_at = time.monotonic()
            await self.send(type="run.ack", run=frame["run"], seq=frame["seq"])

    async def close(self) -> None:
        await super().close()
        with contextlib.suppress(aiohttp.ClientError, OSError):
            await self.socket.close()

    async def _texts(self) -> AsyncIterator[str | bytes]:
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                yield message.data


class StreamListener(Listener):
    """A stream of server-sent events over HTTP."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        super().__init__()
        self._http = http
        self._url = url
        self.status: int | None = None
        """Of the response; None before it begins."""

    async def _texts(self) -> AsyncIterator[str | bytes]:
        timeout = aiohttp.ClientTimeout(total=None)
        headers = {"Accept": "text/event-stream"}
        async with self._http.get(self._url, headers=headers, timeout=timeout) as response:
            self.status = response.status
            rest = b""
            async for piece in response.content.iter_any():
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    if line.startswith(b"data:"):
                        yield line.removeprefix(b"data:").strip()
