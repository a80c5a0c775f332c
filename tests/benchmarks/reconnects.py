"""Sockets that come back at once after a restart of the site, while streams go on; and what an idle one costs."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle

from .load import Clocks, streaming
from .measure import median, percentile
from .targets import Bench, SiteTarget

TABS = 5
"""Sockets of each user, who may open 25 at once."""

REST = 3.0
"""Seconds until everybody has the presence events."""


@dataclass(frozen=True)
class Reconnects:
    """Seconds from the opening of all sockets until half, 99 %, and all of them have their snapshot."""

    target: str
    sockets: int
    half: float
    most: float
    all: float
    missed: int
    attempts: float
    """Per socket: a socket that fails, or is closed before its snapshot, is opened again."""
    cpu_ms: float
    """CPU of the site's processes per socket."""
    streams: int
    """Streams that go on, and the lag of their deltas until all have their snapshot, in milliseconds."""
    lag_p50: float
    lag_p99: float
    kib: float
    """Memory of an idle socket, after garbage was collected and free memory given back."""


async def reconnects(bench: Bench, target: SiteTarget, sockets: int, streams: int) -> Reconnects:
    await target.restart()
    async with _storm() as storm:
        async with streaming(target, streams) as tally:
            await target.probe("trim")
            empty = target.resident_mib()
            clocks = Clocks(bench, target)
            tally.recording = True
            arrivals = await storm(_sockets(target, sockets))
            tally.recording = False
            spent = clocks.since()
        await asyncio.sleep(REST)
        await target.probe("trim")
        took = [seconds for seconds, _ in arrivals if seconds]
        kib = (target.resident_mib() - empty) * 1024 / max(1, len(took))
    return Reconnects(
        target=target.name,
        sockets=sockets,
        half=median(took),
        most=percentile(took, 99),
        all=max(took, default=0.0),
        missed=sockets - len(took),
        attempts=sum(attempts for _, attempts in arrivals) / sockets,
        cpu_ms=spent["server"] * 1000 / sockets,
        streams=streams,
        lag_p50=percentile(tally.lags, 50),
        lag_p99=percentile(tally.lags, 99),
        kib=kib,
    )


def _sockets(target: SiteTarget, number: int) -> list[tuple[str, str]]:
    """Their addresses and cookies, spread over users and processes."""
    seats = target.cast.returning
    return [(target.address(seat, turn), seat.cookie) for turn, seat in zip(range(number), cycle(seats), strict=False)]


@asynccontextmanager
async def _storm() -> AsyncIterator[Callable[[list[tuple[str, str]]], Awaitable[list[tuple[float, int]]]]]:
    """The process of storm.py, until the end of the block. Yields a function that opens sockets. It returns for each
    the seconds until its snapshot, and how often it was opened.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.storm", stdin=PIPE, stdout=PIPE, limit=2**24
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    async def open_sockets(sockets: list[tuple[str, str]]) -> list[tuple[float, int]]:
        stdin.write(json.dumps(sockets).encode() + b"\n")
        arrivals: list[tuple[float, int]] = json.loads(await stdout.readline())
        return arrivals

    try:
        yield open_sockets
    finally:
        process.kill()
        await process.wait()
