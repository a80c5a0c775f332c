"""Mailboxes: a channel on the channel layer with the groups it is in. One per socket, and one per process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar
from uuid import uuid4
from weakref import WeakKeyDictionary

from ..concurrency import fair_timeout
from .layer import TIMEOUT, LayerMessage, attempt, channel_layer

T = TypeVar("T")


class Away(Exception):
    """The layer failed at an operation that its caller cannot do without."""


OPEN_AT_ONCE = 16
"""How many mailboxes are opened at the same time. A layer does one operation after another: what is published in the
middle of streams would otherwise wait for all sockets that come back after a restart.
"""


@asynccontextmanager
async def mailbox(*joined: str, away: bool = False) -> AsyncIterator["Mailbox"]:
    """A Mailbox in these groups, which is closed when the block ends. Raises Away.

    `away`: the layer is known to be away, so open one that receives nothing instead of raising Away.
    """
    if away:
        yield DeadMailbox()
        return
    loop = asyncio.get_running_loop()
    if (gate := _gates.get(loop)) is None:
        gate = _gates[loop] = Gate()
    layer, box = channel_layer(), None
    try:
        async with gate.turn():
            box = Mailbox(layer, await _require(_new_channel(layer)))
            for group in joined:
                await box.join(group)
        yield box
    finally:
        if box is not None:
            await box.close()


class Gate:
    """Admits OPEN_AT_ONCE tasks. Waiting here is not waiting for the layer: TIMEOUT does not count yet."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(OPEN_AT_ONCE)
        self._failures = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Raises Away if the layer failed for somebody else meanwhile: else the last one would wait once for each."""
        failures = self._failures
        async with self._turns:
            if self._failures != failures:
                raise Away("It has just failed for another mailbox.")
            try:
                yield
            except Away:
                self._failures += 1
                raise


_gates: "WeakKeyDictionary[asyncio.AbstractEventLoop, Gate]" = WeakKeyDictionary()


class Mailbox:
    """A channel and the groups it is in. Made by `mailbox()`."""

    def __init__(self, layer: Any, name: str) -> None:
        self.name = name
        self._layer = layer
        self._groups: set[str] = set()
        self._unsubscribed = False

    async def join(self, group: str) -> None:
        """Join a group. Raises Away."""
        self._groups.add(group)
        await _require(self._layer.group_add(group, self.name))

    async def leave(self, group: str) -> None:
        """Leave a group, if the layer can be reached."""
        self._groups.discard(group)
        await attempt(lambda: self._layer.group_discard(group, self.name))

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
    """Stands in while the layer is known to be away: it is in no group and receives nothing. Its owner opens a real one
    when the layer is back.
    """

    def __init__(self) -> None:
        super().__init__(None, f"nous_chat.dead.{uuid4().hex}")

    async def join(self, group: str) -> None:
        pass

    async def leave(self, group: str) -> None:
        pass

    async def receive(self) -> LayerMessage:
        return await asyncio.Future()

    async def close(self) -> None:
        pass


async def _require(operation: Awaitable[T]) -> T:
    """Do an operation within TIMEOUT. Raises Away."""
    try:
        async with fair_timeout(TIMEOUT):
            return await operation
    except Exception as error:  # a layer may raise anything its server or client library does
        raise Away(f"{type(error).__name__}: {error}") from error


async def _new_channel(layer: Any) -> str:
    mark = f"{uuid4().hex[:12]}."
    try:
        name: str = await layer.new_channel(mark)
    except BaseException:
        # channels_redis stores a channel before Redis has taken it, and keeps it if Redis never does.
        for forgotten in [name for name in layer.channels if mark in name]:
            del layer.channels[forgotten]
        raise
    return name
