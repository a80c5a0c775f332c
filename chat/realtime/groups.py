"""Group names, publish() and mailboxes: the only module that knows channel layers.

A layer loses messages by design: it may be full, or Redis may be away. So nothing here raises for that, and nothing
that must arrive depends on it (docs/decisions/0002-the-row-is-the-truth.md). Its messages are dicts whose `type` is:

    frame                     text                  an encoded event, to every socket of a conversation or a person;
                              [, run, seq; , over]  of a run that goes on, or is over
    renew                                           to the same: frames were lost, begin anew
    who                                             to the same: every process is to tell of its people
    roll_call                                       who is reading? answered by `present`
    echo                      number                from a process to itself: does the layer still pass on?
    look; signed_out          session               to every socket of a person: may it stay?
    stop, sync, left, present                       to the process that owns the conversation's active run
"""

import asyncio
import hashlib
import logging
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar
from uuid import UUID, uuid4

from channels.layers import get_channel_layer
from django.core.exceptions import ImproperlyConfigured

from .. import metrics
from ..protocol import events

logger = logging.getLogger("nous_chat.groups")

LayerMessage = dict[str, Any]
T = TypeVar("T")

PATIENCE = 1.0
"""Seconds that a layer may take for one operation."""

REST = 5.0
"""Seconds for which a layer that failed is left alone, unless a `probe` finds it well before that."""

MAKE_UP = 3.0
"""Seconds after which a group that missed a frame is told so: by then other processes are subscribed again, too."""

_untold: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, float]]" = weakref.WeakKeyDictionary()
"""Groups for which a frame was not taken that leaves no gap behind, and when."""

_left_alone: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, float]" = weakref.WeakKeyDictionary()
"""Until when, by the loop's clock."""


def conversation(conversation_id: UUID) -> str:
    """Every socket of a conversation."""
    return f"nous_chat.conversation.{conversation_id.hex}"


def owner(conversation_id: UUID) -> str:
    """The process that owns the conversation's active run."""
    return f"nous_chat.owner.{conversation_id.hex}"


def person(user_id: Any) -> str:
    """Every inbox of a person. A primary key may be anything; a group name may not."""
    return f"nous_chat.person.{_digest(user_id)}"


def account(user_id: Any) -> str:
    """Every socket of a person, to see whether he may still be there."""
    return f"nous_chat.account.{_digest(user_id)}"


def _digest(user_id: Any) -> str:
    return hashlib.sha256(str(user_id).encode()).hexdigest()[:32]


async def publish(group: str, event: events.Event) -> None:
    """Send an event to every socket in a group."""
    message: LayerMessage = {"type": "frame", "text": events.encode(event)}
    if isinstance(event, (events.RunDelta, events.RunTool)):
        message |= {"run": event.run.hex, "seq": event.seq}
    elif isinstance(event, events.RunFinished):
        message["over"] = event.run.hex
    await tell(group, message)


async def reply(channel: str, event: events.Event) -> None:
    """Send an event to one socket, wherever it is served."""
    await _deliver(lambda: _layer().send(channel, {"type": "frame", "text": events.encode(event)}))


async def tell(group: str, message: LayerMessage) -> None:
    """Send any of the messages above to a group."""
    taken = await _deliver(lambda: _layer().group_send(group, message))
    if not taken and message["type"] == "frame" and "run" not in message:
        loop = asyncio.get_running_loop()
        _untold.setdefault(loop, {})[group] = loop.time()


async def probe(channel: str, message: LayerMessage) -> None:
    """Send a message to a channel even while the layer is left alone; if that is taken, it no longer is, and who missed
    something is told so.
    """
    if await _attempt(lambda: _layer().send(channel, message)):
        await _make_up()


async def _make_up() -> None:
    loop = asyncio.get_running_loop()
    untold = _untold.get(loop, {})
    for group in [group for group, at in untold.items() if loop.time() - at > MAKE_UP]:
        if not await _attempt(lambda group=group: _layer().group_send(group, {"type": "renew"})):  # type: ignore[misc]
            return
        del untold[group]


async def _deliver(send: Callable[[], Awaitable[None]]) -> bool:
    if _left_alone.get(loop := asyncio.get_running_loop(), 0) > loop.time():
        metrics.count("frames_not_taken")
        return False
    return await _attempt(send)


async def _attempt(send: Callable[[], Awaitable[None]]) -> bool:
    """Within PATIENCE, or not at all: nothing waits for a layer that hangs, and the next messages do not even try.

    Returns whether it was taken.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(PATIENCE):
            await send()
    except Exception as error:  # a layer may raise anything its server or client library does
        _left_alone[loop] = loop.time() + REST
        metrics.count("frames_not_taken")
        logger.warning("The channel layer did not take a message: %s: %s", type(error).__name__, error)
        return False
    _left_alone.pop(loop, None)
    return True


class Away(Exception):
    """The layer did not do what nothing can be done without."""


async def _insist(operation: Awaitable[T]) -> T:
    """Within PATIENCE. Raises Away."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await operation
    except Exception as error:  # as above
        raise Away(f"{type(error).__name__}: {error}") from error


class Mailbox:
    """A channel of one's own, and the groups it is in. Made by `mailbox()`."""

    def __init__(self, layer: Any, name: str) -> None:
        self.name = name
        self._layer = layer
        self._groups: set[str] = set()
        self._forgotten = False

    async def join(self, group: str) -> None:
        """Raises Away."""
        self._groups.add(group)
        await _insist(self._layer.group_add(group, self.name))

    async def leave(self, group: str) -> None:
        self._groups.discard(group)
        await _attempt(lambda: self._layer.group_discard(group, self.name))

    async def receive(self) -> LayerMessage:
        """The next message. A layer has no other way to end a channel than to cancel this."""
        try:
            message: LayerMessage = await self._layer.receive(self.name)
        except asyncio.CancelledError:
            self._forgotten = True
            raise
        return message

    async def close(self) -> None:
        """Leave every group, and the layer, where a cancelled `receive` has not done so already: receiving again would
        subscribe again.
        """
        for group in list(self._groups):
            await self.leave(group)
        while not self._forgotten:
            receiving = asyncio.ensure_future(self._layer.receive(self.name))
            await asyncio.sleep(0)
            if not receiving.done():
                receiving.cancel()
                with suppress(asyncio.CancelledError):
                    await receiving
                self._forgotten = True
            elif receiving.exception() is not None:
                self._forgotten = True


class Unheard(Mailbox):
    """One for the time in which the layer is known to be away: it is in no group, and nothing comes. Its owner needs
    another when the layer is back.
    """

    def __init__(self) -> None:
        super().__init__(None, f"nous_chat.unheard.{uuid4().hex}")

    async def join(self, group: str) -> None:
        pass

    async def leave(self, group: str) -> None:
        pass

    async def receive(self) -> LayerMessage:
        return await asyncio.Future()

    async def close(self) -> None:
        pass


@asynccontextmanager
async def mailbox(away: bool = False) -> AsyncIterator[Mailbox]:
    """A Mailbox that is gone when the block ends. Raises Away, but not where it is known that the layer is `away`."""
    if away:
        yield Unheard()
        return
    layer = _layer()
    box = Mailbox(layer, await _insist(_new_channel(layer)))
    try:
        yield box
    finally:
        await box.close()


async def _new_channel(layer: Any) -> str:
    """channels_redis remembers a channel before Redis has taken it, and does not forget it where Redis never does."""
    mark = f"{uuid4().hex[:12]}."
    try:
        name: str = await layer.new_channel(mark)
    except BaseException:
        for forgotten in [name for name in layer.channels if mark in name]:
            del layer.channels[forgotten]
        raise
    return name


def _layer() -> Any:
    layer = get_channel_layer()
    if layer is None:
        raise ImproperlyConfigured("The chat needs a channel layer: set CHANNEL_LAYERS (docs/embedding.md).")
    return layer
