"""Sockets that come back at once after a restart of the site, while streams go on; and what an idle one costs."""

import asyncio
import time
from dataclasses import dataclass

from .clients import SiteViewer, Tally
from .load import Clocks, streaming
from .measure import median, percentile
from .targets import Bench, SiteTarget

TABS = 5
"""Sockets of each user, who may open 25 at once."""

PATIENCE = 180.0
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
    viewers = [target.viewer(seats[turn % len(seats)], Tally(), turn) for turn in range(sockets)]
    try:
        async with streaming(target, streams) as tally:
            await target.probe("trim")
            empty = target.resident_mib()
            clocks = Clocks(bench, target)
            tally.recording = True
            began = time.monotonic()
            arriving = asyncio.gather(*(_open(viewer, began) for viewer in viewers))
            took = [seconds for seconds in await arriving if seconds]
            tally.recording = False
            spent = clocks.since()
        await asyncio.sleep(REST)
        await target.probe("trim")
        kib = (target.resident_mib() - empty) * 1024 / max(1, len(took))
    finally:
        await asyncio.gather(*(viewer.close() for viewer in viewers), return_exceptions=True)
    return Reconnects(
        target=target.name,
        sockets=sockets,
        half=median(took),
        most=percentile(took, 99),
        all=max(took, default=0.0),
        missed=sockets - len(took),
        cpu_ms=spent["server"] * 1000 / sockets,
        streams=streams,
        lag_p50=percentile(tally.lags, 50),
        lag_p99=percentile(tally.lags, 99),
        kib=kib,
    )


async def _open(viewer: SiteViewer, began: float) -> float:
    """Seconds until this socket has its snapshot; 0 if it never does."""
    try:
        async with asyncio.timeout(PATIENCE):
            await viewer.open()
            await viewer.ready.wait()
    except (OSError, TimeoutError):
        return 0.0
    return time.monotonic() - began
