"""A channel layer that does on purpose what real ones do by accident: loses frames, doubles them, brings them late."""

import asyncio
import random
from typing import Any

from channels.layers import InMemoryChannelLayer


class LossyChannelLayer(InMemoryChannelLayer):
    """In-memory, with chances (0 to 1) for each frame to a group. `counts` tells what was done."""

    def __init__(
        self, seed: int = 0, drop: float = 0.2, double: float = 0.2, delay: float = 0.2, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._random = random.Random(seed)
        self._chances = {"drop": drop, "double": double, "delay": delay}
        self.counts = dict.fromkeys(self._chances, 0)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        if message["type"] != "frame" or '"run.finished"' in message["text"]:
            # The end is lost, too, in test_reliability's own way; here it ends the test.
            await super().group_send(group, message)
            return
        if self._hit("drop"):
            return
        if self._hit("double"):
            await super().group_send(group, message)
        if self._hit("delay"):
            asyncio.get_running_loop().call_later(0.05, self._late, group, message)
            return
        await super().group_send(group, message)

    def _late(self, group: str, message: dict[str, Any]) -> None:
        task = asyncio.ensure_future(super().group_send(group, message))
        self._pending = task

    def _hit(self, what: str) -> bool:
        hit = self._random.random() < self._chances[what]
        self.counts[what] += hit
        return hit
