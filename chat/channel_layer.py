"""A channel layer for Redis: the pub/sub layer of channels_redis, made for streams (`RedisLayer`).

Needs the extra `redis`. The chat works with other layers as well.
"""

import asyncio
from contextvars import Context
from typing import Any

from channels_redis.pubsub import RedisPubSubChannelLayer, RedisSingleShardConnection

from .concurrency import fair_timeout

TIMEOUT = 1.0
"""Seconds that a server may take for the publications of one round trip."""

Publication = tuple[str, bytes, "asyncio.Future[None]"]
"""Channel, message, and what its sender waits for."""


class RedisLayer(RedisPubSubChannelLayer):  # type: ignore[misc]  # channels_redis has no types
    """The pub/sub layer of channels_redis, with the same CONFIG, except that publications share round trips.

    channels_redis makes a round trip for each, one after another, and a round trip takes some turns of the event loop.
    When the process is busy, the streams of thirty conversations are enough to fill the line, and everything that is
    published waits in it.
    """

    def _get_layer(self) -> Any:
        layer = super()._get_layer()
        if not isinstance(layer._shards[0], Server):
            layer._shards = [Server(shard.host, layer) for shard in layer._shards]
        return layer


class Server(RedisSingleShardConnection):  # type: ignore[misc]
    """The connections to one Redis server. What is published during a round trip shares the next one, in order.

    Publications do not wait for subscriptions, which have a connection of their own.
    """

    def __init__(self, host: Any, channel_layer: Any) -> None:
        super().__init__(host, channel_layer)
        self._waiting: list[Publication] = []
        self._publishing: asyncio.Task[None] | None = None

    async def publish(self, channel: str, message: bytes) -> None:
        """Returns when the server has taken the message. Raises what redis-py raises, and TimeoutError."""
        published: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((channel, message, published))
        if self._publishing is None:
            # In nobody's name, because the first to publish may be cancelled.
            self._publishing = asyncio.create_task(self._publish_waiting(), context=Context())
        await published

    async def _publish_waiting(self) -> None:
        """Started by `publish`, ends when nothing waits. Never cancelled; errors go to the senders."""
        while self._waiting:
            together, self._waiting = self._waiting, []
            error = None
            try:
                async with fair_timeout(TIMEOUT):
                    await self._publish_together(together)
            except Exception as raised:  # whatever redis-py raises
                error = raised
            for _, _, published in together:
                if published.done():  # its sender was cancelled
                    continue
                if error is None:
                    published.set_result(None)
                else:
                    published.set_exception(error)
        self._publishing = None

    async def _publish_together(self, together: list[Publication]) -> None:
        self._ensure_redis()
        if len(together) == 1:  # for which a pipeline would cost more
            ((channel, message, _),) = together
            await self._redis.publish(channel, message)
            return
        pipeline = self._redis.pipeline(transaction=False)
        for channel, message, _ in together:
            pipeline.publish(channel, message)
        await pipeline.execute()
