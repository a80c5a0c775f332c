"""Sockets that come back at once after a restart of the site, while streams go on; and what an idle one costs."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from random import uniform

from websockets.exceptions import WebSocketException

from .clients import SiteViewer, Tally
from .load import Clocks, streaming
from .measure import median, percentile
from .people import Seat
from .targets import Bench, SiteTarget

TABS = 5
"""Sockets of each user, who may open 25 at once."""

FIRST_WAIT, LONGEST_WAIT, OPEN_WITHIN = 0.5, 30.0, 20.0
"""Seconds, as in the page (protocol/socket.js): before another attempt, at least and at most, and of an attempt."""

PATIENCE = 90.0
"""Seconds until a socket gives up."""

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
    seats = target.cast.returning
    arrivals: list[Arrival] = []
    try:
        async with streaming(target, streams) as tally:
            await target.probe("trim")
            empty = target.resident_mib()
            clocks = Clocks(bench, target)
            tally.recording = True
            began = time.monotonic()
            arrivals = await asyncio.gather(
                *(_come_back(target, seats[turn % len(seats)], turn, began) for turn in range(sockets))
            )
            tally.recording = False
            spent = clocks.since()
        await asyncio.sleep(REST)
        await target.probe("trim")
        took = [arrival.seconds for arrival in arrivals if arrival.viewer]
        kib = (target.resident_mib() - empty) * 1024 / max(1, len(took))
    finally:
        await asyncio.gather(*(a.viewer.close() for a in arrivals if a.viewer), return_exceptions=True)
    return Reconnects(
        target=target.name,
        sockets=sockets,
        half=median(took),
        most=percentile(took, 99),
        all=max(took, default=0.0),
        missed=sockets - len(took),
        attempts=sum(arrival.attempts for arrival in arrivals) / sockets,
        cpu_ms=spent["server"] * 1000 / sockets,
        streams=streams,
        lag_p50=percentile(tally.lags, 50),
        lag_p99=percentile(tally.lags, 99),
        kib=kib,
    )


@dataclass(frozen=True)
class Arrival:
    """How long a socket took to get its snapshot; without a viewer, it gave up."""

    viewer: SiteViewer | None
    seconds: float
    attempts: int


async def _come_back(target: SiteTarget, seat: Seat, turn: int, began: float) -> Arrival:
    """Open a socket, and try again like the page if it fails or is closed before its snapshot."""
    attempts = 0
    while time.monotonic() < began + PATIENCE:
        viewer = target.viewer(seat, Tally(), turn)
        attempts += 1
        with suppress(OSError, TimeoutError, WebSocketException):
            async with asyncio.timeout(OPEN_WITHIN):
                await viewer.open()
            if await viewer.settled():
                return Arrival(viewer, time.monotonic() - began, attempts)
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempts - 1))
        await asyncio.sleep(wait * uniform(0.5, 1))
    return Arrival(None, 0, attempts)
