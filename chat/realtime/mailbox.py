"""Mailboxes: a channel on the channel layer with the groups it is in. One per socket, and one per process."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4
from weakref import WeakKeyDictionary

from ..concurrency import fair_timeout
from . import servers
from .layer import TIMEOUT, LayerMessage, attempt, probe
from .servers import channel_layer

T = TypeVar("T")


class Away(Exception):
    """A server of the layer failed at an operation that its caller cannot do without."""

    def __init__(self, why: str, server: int = 0) -> None:
        super().__init__(why)
        self.server = server


OPEN_AT_ONCE = 16
"""How many mailboxes are opened at the same time. A layer does one operation after another: what is published in the
middle of streams would otherwise wait for all sockets that come back after a restart.
"""


@asynccontextmanager
async def mailbox(*joined: str, away: Collection[int] = ()) -> AsyncIterator["Mailbox"]:
    """A Mailbox in these groups, which is closed when the block ends. Raises Away.

    `away`: servers that are known to be away. It receives nothing from the groups there before `renew`.
    """
    homes = _find_homes(joined, away)
    if not homes:
        yield DeadMailbox()
        return
    loop = asyncio.get_running_loop()
    if (gate := _gates.get(loop)) is None:
        gate = _gates[loop] = Gate()
    layer, box = channel_layer(), None
    try:
        async with gate.turn({servers.of_group(group) for group in joined}):
            box = Mailbox(layer, await _new_channel(layer, homes))
            for group in joined:
                await box.join(group, away)
        yield box
    finally:
        if box is not None:
            await box.close()


class Gate:
    """Admits OPEN_AT_ONCE tasks. Waiting here is not waiting for the layer: TIMEOUT does not count yet."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(OPEN_AT_ONCE)
        self._failures: Counter[int] = Counter()

    @asynccontextmanager
    async def turn(self, needed: Collection[int]) -> AsyncIterator[None]:
        """Raises Away if a server that is needed failed for somebody else meanwhile: else the last one would wait once
        for each.
        """
        failures = self._failures.copy()
        async with self._turns:
            for server in needed:
                if self._failures[server] != failures[server]:
                    raise Away("It has just failed for another mailbox.", server)
            try:
                yield
            except Away as error:
                self._failures[error.server] += 1
                raise


_gates: "WeakKeyDictionary[asyncio.AbstractEventLoop, Gate]" = WeakKeyDictionary()


class Mailbox:
    """A channel and the groups it is in. Made by `mailbox()`."""

    def __init__(self, layer: Any, name: str) -> None:
        self.name = name
        self._layer = layer
        self._groups: set[str] = set()
        self._renewing = asyncio.Lock()
        self._unsubscribed = False

    async def join(self, group: str, away: Collection[int] = ()) -> None:
        """Join a group; later, with `renew`, if its server is one of those away. Raises Away."""
        self._groups.add(group)
        if (server := servers.of_group(group)) not in away:
            await _require(self._layer.group_add(group, self.name), server)

    async def renew(self, away: Collection[int]) -> None:
        """Join its groups again, where their servers can be reached: one may have been away, or a layer may forget its
        groups after some time.
        """
        async with self._renewing:
            for group in list(self._groups):
                if (server := servers.of_group(group)) not in away:
                    await attempt(partial(self._layer.group_add, group, self.name), server)

    async def leave(self, group: str) -> None:
        """Leave a group, if the layer can be reached."""
        self._groups.discard(group)
        await attempt(lambda: self._layer.group_discard(group, self.name), servers.of_group(group))

    async def probe(self, group: str, message: LayerMessage) -> None:
        """Send a message to itself, through a group that nobody else is in.

        Started by `Heartbeat._tick`, cancelled by `Node.drain`; nothing escapes.
        """
        self._groups.add(group)
        await probe(group, message, partial(self._layer.group_add, group, self.name))

    async def receive(self) -> LayerMessage:
        """The next message."""
        try:
            message: LayerMessage = await self._layer.receive(self.name)
        except asyncio.CancelledError:
            self._unsubscribed = True  # cancelling a `receive` is the only way to make a layer forget a channel
            raise
        return message

    async def close(self) -> None:
        """Leave every group, and make the layer forget the channel."""
        async with self._renewing:
            for group in list(self._groups):
                await self.leave(group)
        while not self._unsubscribed:  # receiving once more after that would subscribe again
            receiving = asyncio.ensure_future(self._layer.receive(self.name))
            await asyncio.sleep(0)
            if not receiving.done():
                receiving.cancel()
                with suppress(asyncio.CancelledError):
                    await receiving
                self._unsubscribed = True
            elif receiving.exception() is not None:
                self._unsubscribed = True


class DeadMailbox(Mailbox):
    """Stands in while every server of the layer is known to be away: it is in no group and receives nothing. Its owner
    opens a real one when the layer is back.
    """

    def __init__(self) -> None:
        super().__init__(None, f"nous_chat.dead.{uuid4().hex}")

    async def join(self, group: str, away: Collection[int] = ()) -> None:
        pass

    async def renew(self, away: Collection[int]) -> None:
        pass

    async def leave(self, group: str) -> None:
        pass

    async def receive(self) -> LayerMessage:
        return await asyncio.Future()

    async def close(self) -> None:
        pass


async def _require(operation: Awaitable[T], server: int) -> T:
    """Do an operation at a server within TIMEOUT. Raises Away."""
    try:
        async with fair_timeout(TIMEOUT):
            return await operation
    except Exception as error:  # a layer may raise anything its server or client library does
        raise Away(f"{type(error).__name__}: {error}", server) from error


def _find_homes(joined: Sequence[str], away: Collection[int]) -> list[int]:
    """The servers on which a mailbox can have its channel: where its last group is, if that is not away."""
    alive = [server for server in range(servers.count()) if server not in away]
    home = servers.of_group(joined[-1]) if joined else None
    return [home] if home in alive else alive


async def _new_channel(layer: Any, homes: Sequence[int]) -> str:
    """A new channel on the first of these servers that takes it. Raises Away."""
    for home in homes:
        mark = f"{uuid4().hex[:12]}."
        try:
            return await _require(servers.new_channel(mark, home), home)
        except BaseException as error:
            # channels_redis stores a channel before Redis has taken it, and keeps it if Redis never does.
            for forgotten in [name for name in layer.channels if mark in name]:
                del layer.channels[forgotten]
            if home == homes[-1] or not isinstance(error, Away):
                raise
    raise AssertionError("no server")
