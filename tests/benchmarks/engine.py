"""The engine without a site, compared with plain httpx: CPU per delta, and whether a long answer costs linear time.

`python -m tests.benchmarks.engine UPSTREAM STREAMS SECONDS SCALE` prints EngineCosts as JSON, from a process of its own
on uvloop.
"""

import asyncio
import json
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import asdict, dataclass

import uvloop

from chat import engine

from .relay import Upstream
from .wire import RATE, Order

WARM = 1.0
LONG = 20_000
"""Deltas of a long answer. With 50 characters each, they make 1 MB."""


@dataclass(frozen=True)
class EngineCosts:
    """Microseconds of CPU per delta. `linear` is the cost of 1 MB divided by the cost of half of it."""

    paced: float
    paced_httpx: float
    unpaced: float
    unpaced_httpx: float
    linear: float


Reader = Callable[[Order], AsyncIterator[str]]


async def by_engine(order: Order) -> AsyncIterator[str]:
    agent = engine.Agent("custom:bench")
    async with aclosing(engine.run_stream(agent, str(order))) as stream:
        async for event in stream:
            if isinstance(event, engine.TextDelta):
                yield event.text
            elif isinstance(event, engine.Error):
                raise event.error
            elif isinstance(event, engine.Finish):
                assert len(event.result.text) == order.deltas * order.chars


async def paced(read: Reader, streams: int, seconds: float) -> float:
    """CPU microseconds per delta, for streams at RATE."""
    count = 0

    async def follow() -> None:
        nonlocal count
        deltas = int((WARM + seconds + 2) * RATE)
        async for _ in read(Order(uuid.uuid4().hex, deltas)):
            count += 1

    tasks = []
    for _ in range(streams):
        tasks.append(asyncio.create_task(follow()))
        await asyncio.sleep(0.3 / RATE)
    await asyncio.sleep(WARM)
    spent, counted = time.process_time(), count
    await asyncio.sleep(seconds)
    spent, counted = time.process_time() - spent, count - counted
    await asyncio.gather(*tasks)
    return spent * 1e6 / counted


async def unpaced(read: Reader, deltas: int, chars: int) -> float:
    """CPU seconds for one answer that arrives as fast as it is read."""
    before, count = time.process_time(), 0
    async for _ in read(Order(uuid.uuid4().hex, deltas, rate=0, chars=chars)):
        count += 1
    assert count == deltas
    return time.process_time() - before


async def main(upstream: str, streams: int, seconds: float, scale: float) -> EngineCosts:
    os.environ["CUSTOM_BASE_URL"] = f"{upstream}/v1"
    long = int(LONG * scale / 100) * 100
    repeats = range(5 if scale >= 1 else 1)
    plain = Upstream(upstream)

    def by_httpx(order: Order) -> AsyncIterator[str]:
        return plain.stream(str(order))

    async with engine.connections():
        for read in (by_engine, by_httpx):
            await unpaced(read, 1000, 8)
        return EngineCosts(
            paced=await paced(by_engine, streams, seconds),
            paced_httpx=await paced(by_httpx, streams, seconds),
            unpaced=min([await unpaced(by_engine, long, 8) for _ in repeats]) * 1e6 / long,
            unpaced_httpx=min([await unpaced(by_httpx, long, 8) for _ in repeats]) * 1e6 / long,
            linear=min([await unpaced(by_engine, long, 50) for _ in repeats])
            / min([await unpaced(by_engine, long // 2, 50) for _ in repeats]),
        )


if __name__ == "__main__":
    costs = uvloop.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
    print(json.dumps(asdict(costs)))
