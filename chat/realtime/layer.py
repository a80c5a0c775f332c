"""Sending through the channel layer, whose servers may be full, slow or away. Nothing raises then, or waits beyond
TIMEOUT, and no server is judged by another one.

A group that missed a frame without a sequence number is told so later, because clients cannot notice that gap.
"""

import asyncio
import logging
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from .. import metrics
from ..concurrency import fair_timeout
from . import servers
from .servers import channel_layer

logger = logging.getLogger("nous_chat.realtime")

LayerMessage = dict[str, Any]

TIMEOUT = 1.0
"""Seconds that a layer may take for one operation."""

COOL_DOWN = 5.0
"""Seconds without attempts at a server after a failed one, unless a `probe` succeeds earlier."""

REPAIR_AFTER = 3.0
"""Seconds before a group that missed a frame is told so, in which other processes can subscribe again."""

_missed: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, float]]" = weakref.WeakKeyDictionary()
"""Groups that lost a frame without a sequence number, and when, by the loop's clock."""

_cooling_until: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, float]]" = weakref.WeakKeyDictionary()
"""When the next attempt may be made at a server that has failed, by the loop's clock."""


async def send(channel: str, message: LayerMessage) -> None:
    """Send a message to one channel."""
    await _unless_cooling(lambda: channel_layer().send(channel, message), servers.of_channel(channel))


async def send_to_group(group: str, message: LayerMessage) -> None:
    """Send a message to every channel in a group."""
    taken = await _unless_cooling(lambda: channel_layer().group_send(group, message), servers.of_group(group))
    if not taken and message["type"] == "frame" and "run" not in message:
        loop = asyncio.get_running_loop()
        _missed.setdefault(loop, {})[group] = loop.time()


async def probe(group: str, message: LayerMessage, join: Callable[[], Awaitable[None]]) -> None:
    """Join a group again, because its server may have been away, and send a message to it, even during the cool-down.
    Success ends the cool-down and repairs what was missed.
    """
    server = servers.of_group(group)

    async def send() -> None:
        await join()
        await channel_layer().group_send(group, message)

    if await attempt(send, server):
        await _repair(server)


def is_cooling(*groups: str) -> bool:
    """Whether the server of one of these groups has just failed."""
    now, cooling_until = asyncio.get_running_loop().time(), _cooling()
    return any(cooling_until.get(servers.of_group(group), 0) > now for group in groups)


async def attempt(operation: Callable[[], Awaitable[None]], server: int) -> bool:
    """Try an operation at a server for at most TIMEOUT, even during its cool-down. Returns whether the server took it,
    which ends the cool-down.
    """
    try:
        async with fair_timeout(TIMEOUT):
            await operation()
    except Exception as error:  # a layer may raise anything its server or client library does
        _cooling()[server] = asyncio.get_running_loop().time() + COOL_DOWN
        metrics.count("frames_dropped_total")
        logger.warning("The channel layer did not take a message: %s: %s", type(error).__name__, error)
        return False
    _cooling().pop(server, None)
    return True


async def _repair(server: int) -> None:
    """Tell the groups of a server that they missed frames while it was away."""
    loop = asyncio.get_running_loop()
    missed = _missed.get(loop, {})
    for group in [group for group, at in missed.items() if loop.time() - at > REPAIR_AFTER]:
        if servers.of_group(group) != server:
            continue
        if not await attempt(partial(channel_layer().group_send, group, {"type": "resnapshot"}), server):
            return
        missed.pop(group, None)


def _cooling() -> dict[int, float]:
    return _cooling_until.setdefault(asyncio.get_running_loop(), {})


async def _unless_cooling(operation: Callable[[], Awaitable[None]], server: int) -> bool:
    if _cooling().get(server, 0) > asyncio.get_running_loop().time():
        metrics.count("frames_dropped_total")
        return False
    return await attempt(operation, server)
