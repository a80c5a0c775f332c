"""A client of the event streams, by hand: bytes in, events out.

The rules: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

import asyncio
import json
from typing import Any, Self

from .protocol_client import Reader
from .servers import Site


class EventParser:
    """Bytes to events. A cut event is dropped, and `last_id` stays that of the last whole one."""

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self.ids: list[str] = []
        self.retry: int | None = None
        self.comments = 0
        self._rest = b""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        frames = []
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        for block in blocks:
            lines = []
            for line in block.decode().split("\n"):
                name, _, value = line.partition(": ")
                if name == "data":
                    lines.append(value)
                elif name == "id":
                    self.last_id = value
                    self.ids.append(value)
                elif name == "retry":
                    self.retry = int(value)
                else:
                    assert line.startswith(":"), line
                    self.comments += 1
            if lines:
                frames.append(json.loads("\n".join(lines)))
        return frames


class Stream(Reader):
    """A stream over a connection of its own, whose frames a Reader follows: it never has to ask for a lost delta.

    `open` connects, and again after `cut_after`.
    """

    def __init__(self, site: Site, path: str, **headers: str) -> None:
        super().__init__()
        self._site, self._path, self._headers = site, path, headers
        self.parser = EventParser()
        self.head: dict[str, str] = {}
        self.body = b""
        self.ended = False

    async def open(self, **headers: str) -> int:
        """Connect, again if it was cut. Returns the status; if it is not 200, `body` is the whole answer."""
        self.ended = False
        if self.parser.last_id:
            headers["Last-Event-ID"] = self.parser.last_id
            self.parser = _continued(self.parser)
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._site.port, limit=2**24)
        lines = [f"GET {self._path} HTTP/1.1", f"Host: 127.0.0.1:{self._site.port}", "Accept-Encoding: gzip"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in (self._headers | headers).items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.head = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:]) if name}
        status = int(head[0].split()[1])
        if status != 200:
            self.body = await self._reader.readexactly(int(self.head["content-length"]))
        return status

    async def __aenter__(self) -> Self:
        assert await self.open() == 200, self.body
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._writer.close()

    async def receive(self, most: int | None = None) -> int:
        """Receive a piece of the body, and follow the frames in its first `most` bytes. Returns its length."""
        size = int(await self._reader.readline(), 16)
        data = await self._reader.readexactly(size)
        await self._reader.readline()
        self.ended = not size
        for frame in self.parser.feed(data if most is None else data[:most]):
            commands = self.apply(frame)
            if frame["type"] in ("run.delta", "run.tool"):
                assert not commands, "the stream itself asks for what is lost"
        return size

    async def hear(self, name: str, number: int = 1, seconds: float = 60) -> dict[str, Any]:
        """Wait for the `number`th event of that type."""
        async with asyncio.timeout(seconds):
            while len(self.of_type(name)) < number:
                assert not self.ended, f"the stream has ended without {name}"
                await self.receive()
        return self.of_type(name)[number - 1]

    async def end(self, seconds: float = 60) -> dict[str, Any]:
        """Wait for the end of the stream; returns its last event."""
        async with asyncio.timeout(seconds):
            while not self.ended:
                await self.receive()
        return self.events[-1]

    async def cut_after(self, number: int, seconds: float = 60) -> None:
        """Receive so many bytes, then break the connection off, in the middle of whatever comes."""
        async with asyncio.timeout(seconds):
            while number > 0:
                number -= await self.receive(number)
        self._writer.transport.abort()


def _continued(parser: EventParser) -> EventParser:
    """For the next connection: what was cut is lost, the ids go on."""
    fresh = EventParser(parser.last_id)
    fresh.ids = parser.ids
    return fresh
