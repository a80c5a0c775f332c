"""Group names, publish() and mailboxes: the only module that knows channel layers.

A layer loses messages by design: it may be full, or Redis may be away. So nothing here raises for that, and nothing
that must arrive depends on it (docs/design.md, "Lossy group, exact text"). Its messages are dicts whose `type` is:

    frame                     text [, run, seq]     an encoded event, to every socket of a conversation or a person
    roll_call                                       who is reading? answered by `present`
    stop, sync, left, present                       to the process that owns the conversation's active run
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

from channels.layers import get_channel_layer
from django.core.exceptions import ImproperlyConfigured

from . import events

logger = logging.getLogger("nous_chat.groups")

LayerMessage = dict[str, Any]


def conversation(conversation_id: UUID) -> str:
    """Every socket of a conversation."""
    return f"nous_chat.conversation.{conversation_id.hex}"


def owner(conversation_id: UUID) -> str:
    """The process that owns the conversation's active run."""
    return f"nous_chat.owner.{conversation_id.hex}"


def person(user_id: Any) -> str:
    """Every inbox of a person. A primary key may be anything; a group name may not."""
    return f"nous_chat.person.{hashlib.sha256(str(user_id).encode()).hexdigest()[:32]}"


async def publish(group: str, event: events.Event) -> None:
    """Send an event to every socket in a group."""
    message: LayerMessage = {"type": "frame", "text": events.encode(event)}
    if isinstance(event, (events.RunDelta, events.RunTool)):
        message |= {"run": event.run.hex, "seq": event.seq}
    await tell(group, message)


async def reply(channel: str, event: events.Event) -> None:
    """Send an event to one socket, wherever it is served."""
    await _deliver(_layer().send(channel, {"type": "frame", "text": events.encode(event)}))


async def tell(group: str, message: LayerMessage) -> None:
    """Send any of the messages above to a group."""
    await _deliver(_layer().group_send(group, message))


async def _deliver(sending: Awaitable[None]) -> None:
    try:
        await sending
    except Exception as error:  # a layer may raise anything its server or client library does
        logger.warning("The channel layer did not take a message: %s: %s", type(error).__name__, error)


class Mailbox:
    """A channel of one's own, and the groups it is in. Made by `mailbox()`."""

    def __init__(self, layer: Any, name: str) -> None:
        self.name = name
        self._layer = layer
        self._groups: set[str] = set()
        self._forgotten = False

    async def join(self, group: str) -> None:
        self._groups.add(group)
        await self._layer.group_add(group, self.name)

    async def leave(self, group: str) -> None:
        self._groups.discard(group)
        await _deliver(self._layer.group_discard(group, self.name))

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


@asynccontextmanager
async def mailbox() -> AsyncIterator[Mailbox]:
    """A Mailbox that is gone when the block ends."""
    layer = _layer()
    box = Mailbox(layer, await layer.new_channel())
    try:
        yield box
    finally:
        await box.close()


def _layer() -> Any:
    layer = get_channel_layer()
    if layer is None:
        raise ImproperlyConfigured("The chat needs a channel layer: set CHANNEL_LAYERS (docs/embedding.md).")
    return layer
