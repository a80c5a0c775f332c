"""Faults on the way to servers: a TCP proxy that can hold or cut connections, and a lock on an SQLite file."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Self

from ..support.servers import free_port


class Proxy:
    """Forwards 127.0.0.1:`port` to 127.0.0.1:`target`. An async context manager."""

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
        self._reset_all()
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
        """Forward nothing; keep connections open and accept new ones."""
        self._flowing.clear()
        try:
            yield
        finally:
            self._flowing.set()

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Reset every connection, new ones too."""
        self._refusing = True
        self._reset_all()
        try:
            yield
        finally:
            self._refusing = False

    def _reset_all(self) -> None:
        for end in self._ends:
            end.transport.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends, tasks = {writer}, set()
        self._ends |= ends
        try:
            if self._refusing:
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            ends.add(far_writer)
            self._ends |= ends
            directions = self._forward(reader, far_writer), self._forward(far_reader, writer)
            tasks = {asyncio.create_task(direction) for direction in directions}
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass
        finally:
            self._ends -= ends
            for end in ends:
                end.transport.abort()
            if tasks:
                await asyncio.wait(tasks)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()


class LockedFile:
    """The same faults for an SQLite file: it is locked, so that other writers wait until their timeout."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def hold(self, seconds: float) -> None:
        """Lock the file for writing."""
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=20)
        try:
            connection.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(seconds)
            connection.execute("ROLLBACK")
        finally:
            connection.close()

    cut = hold
