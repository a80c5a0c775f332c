"""`python -m tests.benchmarks.floor`: the CPU time that an answer takes in programs that do only what they must.

The *bare relay* sends each delta by itself. The *gathering relay* reads like the chat next to fifty streams: every
100 ms, over aiohttp's parser, with what arrives meanwhile left in the system; it sends one frame for each read. The
third also publishes each frame through Redis, with the chat's layer, and sends what it receives, as processes that
share conversations have to. None stores anything, knows a user, or numbers a frame. docs/performance.md has the
results.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack, aclosing
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec
import uvicorn

from chat.channel_layer import RedisLayer
from chat.engine.connections import MAX_PAUSE, unread

from ..support import servers
from ..support.servers import Server, free_port, running
from . import load
from .answers import AFTERMATH, Shape, ask_at_once
from .clients import Tally
from .people import Sizes
from .relay import Relay
from .targets import Bench, Target

ASKERS, ROUNDS = 50, 3


class Delta(msgspec.Struct):
    content: str | None = None


class Choice(msgspec.Struct):
    delta: Delta


class Chunk(msgspec.Struct):
    choices: list[Choice]


class Gathering:
    """The upstream, read every MAX_PAUSE."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v1/chat/completions"
        self._session: aiohttp.ClientSession | None = None
        self._decode = msgspec.json.Decoder(Chunk).decode

    async def stream(self, order: str) -> AsyncGenerator[str, None]:
        self._session = self._session or aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        body = {"model": "bench", "messages": [{"role": "user", "content": order}], "stream": True}
        rest = b""
        async with self._session.post(self._url, json=body) as response:
            connection = response.connection
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                deltas = (self._decode(line[6:]) for line in lines if line.startswith(b"data: {"))
                if text := "".join(d.choices[0].delta.content or "" for d in deltas if d.choices):
                    yield text
                with unread(None if connection is None else connection.transport):
                    await asyncio.sleep(MAX_PAUSE)


class GatheringRelay(Relay):
    """The ASGI application. `redis` is the URL of the server that frames are published through; "" for none."""

    def __init__(self, upstream: str, redis: str) -> None:
        super().__init__(upstream)
        self._gathering = Gathering(upstream)
        self._layer: Any = RedisLayer(hosts=[redis]) if redis else None

    async def _relay(self, order: str, send: Callable[[Any], Awaitable[None]]) -> None:
        frames = self._frames(order) if self._layer is None else self._published(order)
        async with aclosing(frames):
            async for text in frames:
                await send({"type": "websocket.send", "text": text})

    async def _frames(self, order: str) -> AsyncGenerator[str, None]:
        """Ends with an empty one, like the bare relay's."""
        async with aclosing(self._gathering.stream(order)) as texts:
            async for text in texts:
                yield text
        yield ""

    async def _published(self, order: str) -> AsyncGenerator[str, None]:
        """The same, by way of Redis."""
        channel, group = await self._layer.new_channel(), uuid4().hex
        await self._layer.group_add(group, channel)

        async def publish() -> None:
            async for text in self._frames(order):
                await self._layer.group_send(group, {"text": text})

        publishing = asyncio.create_task(publish())
        text = None
        while text != "":
            text = (await self._layer.receive(channel))["text"]
            yield text
        await publishing
        await self._layer.group_discard(group, channel)


def serve(port: str, upstream: str, redis: str) -> None:
    uvicorn.run(
        GatheringRelay(upstream, redis),
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        lifespan="off",
        log_level="warning",
        ws_per_message_deflate=False,
    )


async def cost(bench: Bench, target: Target, deltas: int) -> float:
    """CPU of the server in milliseconds for each of ASKERS answers: the least of ROUNDS."""
    shape, costs = Shape(ASKERS, deltas, 0), []
    for _ in range(ROUNDS):
        async with load.seated(target, ASKERS, Tally()) as audiences:
            await load.settle(bench)
            before = target.cpu_seconds()
            await ask_at_once([audience[0] for audience in audiences], load.Orders(target, deltas), shape.seconds)
            await asyncio.sleep(AFTERMATH)
            costs.append((target.cpu_seconds() - before) * 1000 / ASKERS)
    return min(costs)


def main() -> None:
    redis = servers.start_redis()
    with running(redis), Bench([], Sizes({0: 0})) as bench, ExitStack() as stack:
        targets = list(bench.targets)
        for name, url in (("gathering relay", ""), ("... over Redis", f"redis://127.0.0.1:{redis.port}/0")):
            port = free_port()
            command = [sys.executable, "-m", "tests.benchmarks.floor", str(port), bench.upstream_url, url]
            server = Server(command, port, plain=True)
            stack.enter_context(running(server))
            targets.append(Target(name, [server]))
        print("| server | 1 delta, ms | 200 deltas, ms |\n|---|---|---|")
        for target in targets:
            one, many = (asyncio.run(cost(bench, target, deltas)) for deltas in (1, 200))
            print(f"| {target.name} | {one:.1f} | {many:.1f} |", flush=True)


if __name__ == "__main__":
    serve(*sys.argv[1:]) if len(sys.argv) > 1 else main()
