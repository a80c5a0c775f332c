"""Sending through the channel layer, which may be full, slow or away. Nothing raises then, or waits beyond TIMEOUT.

A group that missed a frame without a sequence number is told so later, because clients cannot notice that gap.
"""

import asyncio
import logging
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from channels.layers import get_channel_layer
from django.core.exceptions import ImproperlyConfigured

from .. import metrics
from ..concurrency import fair_timeout

logger = logging.getLogger("nous_chat.realtime")

LayerMessage = dict[str, Any]

TIMEOUT = 1.0
"""Seconds that a layer may take for one operation."""

COOL_DOWN = 5.0
"""Seconds without attempts after a failed one, unless a `probe` succeeds earlier."""

REPAIR_AFTER = 3.0
"""Seconds before a group that missed a frame is told so, in which other processes can subscribe again."""

_missed: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, float]]" = weakref.WeakKeyDictionary()
"""Groups that lost a frame without a sequence number, and when, by the loop's clock."""

_cooling_until: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, float]" = weakref.WeakKeyDictionary()
"""When the next attempt may be made, by the loop's clock."""


def channel_layer() -> Any:
    """The site's default layer."""
    layer = get_channel_layer()
    if layer is None:
        raise ImproperlyConfigured("The chat needs a channel layer: set CHANNEL_LAYERS (docs/embedding.md).")
    return layer


async def send(channel: str, message: LayerMessage) -> None:
    """Send a message to one channel."""
    await _unless_cooling(lambda: channel_layer().send(channel, message))


async def send_to_group(group: str, message: LayerMessage) -> None:
    """Send a message to every channel in a group."""
    taken = await _unless_cooling(lambda: channel_layer().group_send(group, message))
    if not taken and message["type"] == "frame" and "run" not in message:
        loop = asyncio.get_running_loop()
        _missed.setdefault(loop, {})[group] = loop.time()


async def probe(channel: str, message: LayerMessage) -> None:
    """Send a message to a channel even during the cool-down. Success ends the cool-down and repairs what was missed.

    Started by `Heartbeat._tick`, cancelled by `Node.drain`; nothing escapes.
    """
    if await attempt(lambda: channel_layer().send(channel, message)):
        await _repair()


async def attempt(operation: Callable[[], Awaitable[None]]) -> bool:
    """Try an operation for at most TIMEOUT. Returns whether the layer took it."""
    loop = asyncio.get_running_loop()
    try:
        async with fair_timeout(TIMEOUT):
            await operation()
    except Exception as error:  # a layer may raise anything its server or client library does
        _cooling_until[loop] = loop.time() + COOL_DOWN
        metrics.count("frames_dropped")
        logger.warning("The channel layer did not take a message: %s: %s", type(error).__name__, error)
        return False
    _cooling_until.pop(loop, None)
    return True


async def _unless_cooling(operation: Callable[[], Awaitable[None]]) -> bool:
    loop = asyncio.get_running_loop()
    if _cooling_until.get(loop, 0) > loop.time():
        metrics.count("frames_dropped")
        return False
    return await attempt(operation)


async def _repair() -> None:
    loop = asyncio.get_running_loop()
    missed = _missed.get(loop, {})
    for group in [group for group, at in missed.items() if loop.time() - at > REPAIR_AFTER]:
        if not await attempt(lambda group=group: channel_layer().group_send(group, {"type": "resnapshot"})):  # type: ignore[misc]
            return
        del missed[group]
