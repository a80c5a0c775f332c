"""What stands in the way to Redis and the database: a TCP proxy whose cable can be pulled and whose bytes can be held,
and for a database that is a file, somebody else's transaction.
"""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Self

from ..support.servers import free_port


class Proxy:
    """127.0.0.1:`port` leads to 127.0.0.1:`target`. An async context manager."""

    def __init__(self, target: int) -> None:
        self.port, self._target = free_port(), target
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refusing = False
        self._ends: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._break()
        if self._serving:
            await asyncio.wait(self._serving)

    async def hold(self, seconds: float) -> None:
        with self.held():
            await asyncio.sleep(seconds)

    async def cut(self, seconds: float) -> None:
        with self.cut_off():
            await asyncio.sleep(seconds)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing comes through, nothing is refused."""
        self._flowing.clear()
        try:
            yield
        finally:
            self._flowing.set()

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Every connection is reset, new ones too."""
        self._refusing = True
        self._break()
        try:
            yield
        finally:
            self._refusing = False

    def _break(self) -> None:
        for end in self._ends:
            end.transport.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends, ways = {writer}, set()
        self._ends |= ends
        try:
            if self._refusing:
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            ends.add(far_writer)
            self._ends |= ends
            both = self._pass(reader, far_writer), self._pass(far_reader, writer)
            ways = {asyncio.create_task(way) for way in both}
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass
        finally:
            self._ends -= ends
            for end in ends:
                end.transport.abort()
            if ways:
                await asyncio.wait(ways)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()


class LockedFile:
    """The same for an SQLite file, as far as a file can be away: others wait until they lose patience."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def hold(self, seconds: float) -> None:
        """Nobody else writes meanwhile."""
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=20)
        try:
            connection.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(seconds)
            connection.execute("ROLLBACK")
        finally:
            connection.close()

    cut = hold
