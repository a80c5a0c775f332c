"""The HTTP server of the provider: it knows when a client closes, and can break off anywhere."""

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from .service import Service


class Gone(Exception):
    """The client closed the connection."""


class Cut(Exception):
    """The provider closes the connection."""


class Connection(asyncio.Protocol):
    """One connection: a minimal HTTP/1.1 with keep-alive. `gone` is set the moment the client closes."""

    def __init__(self, service: "Service") -> None:
        self.service = service
        self.gone = asyncio.Event()
        self._buffer = bytearray()
        self._writable = asyncio.Event()
        self._writable.set()
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.service.stats["connections"] += 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._task is None:
            self._next()

    def eof_received(self) -> None:
        self.gone.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.gone.set()
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def write(self, data: bytes) -> None:
        await self._writable.wait()
        if self.gone.is_set() or self.transport.is_closing():  # asyncio notices first, and takes no more
            raise Gone
        self.transport.write(data)

    async def pause(self, milliseconds: float) -> None:
        if milliseconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.gone.wait(), milliseconds / 1000)
        if self.gone.is_set():
            raise Gone

    async def silence(self) -> None:
        await self.gone.wait()
        raise Gone

    def _next(self) -> None:
        head, end, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if not end:
            return
        lines = head.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ", 2)
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        self._buffer = bytearray(rest[length:])
        self._task = asyncio.ensure_future(self._answer(method, path, headers, rest[:length]))

    async def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        try:
            await self.service.answer(self, method, path, headers, body)
        except (Gone, Cut):
            self.transport.abort()
        finally:
            self._task = None
        self._next()

    async def whole(
        self, status: int, content: object, headers: str = "", content_type: str = "application/json"
    ) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
        await self.write(head.encode() + body)
