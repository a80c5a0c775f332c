"""Channel layers that lose, duplicate and delay messages on purpose."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from channels.layers import InMemoryChannelLayer

from chat.channel_layer import RedisLayer

Send = Callable[[str, dict[str, Any]], Awaitable[None]]


class Loss:
    """Probabilities (0 to 1) for each message, drawn with a seed. `counts` says how many of each happened."""

    def __init__(self, seed: int = 0, drop: float = 0, double: float = 0, delay: float = 0) -> None:
        self._random = random.Random(seed)
        self._chances = {"drop": drop, "double": double, "delay": delay}
        self.counts = dict.fromkeys(self._chances, 0)
        self._late: set[asyncio.Task[None]] = set()

    async def carry(self, send: Send, target: str, message: dict[str, Any]) -> None:
        if self._hit("drop"):
            return
        if self._hit("double"):
            await send(target, message)
        if self._hit("delay"):
            late = asyncio.create_task(_later(send, target, message))
            self._late.add(late)
            late.add_done_callback(self._late.discard)
            return
        await send(target, message)

    def _hit(self, what: str) -> bool:
        hit = self._random.random() < self._chances[what]
        self.counts[what] += hit
        return hit


async def _later(send: Send, target: str, message: dict[str, Any]) -> None:
    await asyncio.sleep(0.05)
    await send(target, message)


class LossyChannelLayer(InMemoryChannelLayer):  # type: ignore[misc]  # channels has no types
    """An in-memory layer that harms frames to groups, but never the end of a run: tests wait for it."""

    def __init__(
        self, seed: int = 0, drop: float = 0.2, double: float = 0.2, delay: float = 0.2, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._loss = Loss(seed, drop, double, delay)

    @property
    def counts(self) -> dict[str, int]:
        return self._loss.counts

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        if message["type"] != "frame" or '"run.finished"' in message["text"]:
            await super().group_send(group, message)
        else:
            await self._loss.carry(super().group_send, group, message)


class LossyRedisLayer(RedisLayer):
    """A Redis layer that harms all messages as `loss` says. By default it harms none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.loss = Loss()

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        await self.loss.carry(self._get_layer().group_send, group, message)

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        await self.loss.carry(self._get_layer().send, channel, message)
