"""Paced streams in a window of time, and stops. Called by `__main__`.

A window counts the CPU time of the server and the deltas that its clients receive; streams start before it and end
after it. Every text is compared byte for byte with what the upstream sent and what the site stored.
"""

import asyncio
from dataclasses import dataclass

from .clients import Tally, Viewer
from .load import (
    PATIENCE,
    STAGGER,
    WARM,
    Clocks,
    Orders,
    Shares,
    Texts,
    ask_in_turn,
    compare,
    first_deltas,
    pacing,
    seated,
    settle,
    shares,
    starts,
    wait_for_all,
)
from .measure import median, percentile
from .targets import Bench, Target
from .wire import RATE, Order

START = 0.1
"""Seconds that a site may take for each start. Starts wait for one another, and the first stream must outlast the
window.
"""


@dataclass(frozen=True)
class Window:
    target: str
    streams: int
    viewers: int
    cpu_us: float
    """CPU of the server per delta and viewer."""
    deltas_per_frame: float
    lag_p50: float
    lag_p99: float
    first_ms: float
    """Median time to the first delta, minus the upstream's own."""
    pace: float
    """The speed of the machine in the window (measure.Pace)."""
    ended: int
    """Streams that ended within the window, so that its CPU time includes their ends."""
    texts: Texts
    shares: Shares

    @property
    def doubts(self) -> list[str]:
        return [*self.shares.doubts, *([f"{self.ended} of its streams had ended"] if self.ended else [])]


async def window(bench: Bench, target: Target, streams: int, seconds: float, viewers: int = 1) -> Window:
    """Measure `streams` paced streams, each read by `viewers`, for `seconds`."""
    tally = Tally()
    length = streams * (STAGGER + START) + WARM + seconds + 1
    order = Orders(target, int(length * RATE))
    async with seated(target, streams, tally, viewers) as audiences:
        askers = [audience[0] for audience in audiences]
        await settle(bench)
        async with pacing() as pace:
            await ask_in_turn(askers, order)
            await asyncio.sleep(WARM)
            clocks = Clocks(bench, target)
            delivered, frames = tally.delivered, tally.frames
            pace.restart()
            tally.recording = True
            await asyncio.sleep(seconds)
            tally.recording = False
            spent = clocks.since()
            ended = sum(asker.over.is_set() for asker in askers)
        delivered, frames = tally.delivered - delivered, tally.frames - frames
        await wait_for_all((viewer.over.wait() for audience in audiences for viewer in audience), seconds + PATIENCE)
        texts, facts, late = await compare(bench, order, audiences)
        return Window(
            target=target.name,
            streams=streams,
            viewers=viewers,
            cpu_us=spent["server"] * 1e6 / max(1, delivered),
            deltas_per_frame=delivered / max(1, frames),
            lag_p50=percentile(tally.lags, 50),
            lag_p99=percentile(tally.lags, 99),
            first_ms=median(first_deltas(starts(askers), facts)),
            pace=pace.microseconds,
            ended=ended,
            texts=texts,
            shares=shares(spent, late),
        )


@dataclass(frozen=True)
class Stops:
    """Milliseconds from the client's command until the upstream sees its connection closed."""

    target: str
    stops: int
    median: float
    max: float
    missed: int
    """Streams whose connection the upstream never saw closed."""


async def stops(bench: Bench, target: Target, number: int) -> Stops:
    """Start `number` streams, and stop each a second after its first delta, while others continue."""
    order = Orders(target, 60 * RATE)
    async with seated(target, number, Tally()) as audiences:
        askers = [audience[0] for audience in audiences]
        await settle(bench)
        stopped = await asyncio.gather(*(_stopped(viewer, next(order), i) for i, viewer in enumerate(askers)))
        await asyncio.sleep(0.5)
        streams = (await asyncio.to_thread(bench.report))["streams"]
    took = []
    for name, at in zip(order.names, stopped, strict=True):
        closed = streams.get(name, {}).get("closed")
        if closed is not None:
            took.append((closed - at) * 1000)
    return Stops(target.name, number, median(took), max(took, default=0.0), number - len(took))


async def _stopped(viewer: Viewer, order: Order, place: int) -> float:
    await asyncio.sleep(place * 0.033)
    await viewer.ask(order)
    await asyncio.wait_for(viewer.begun.wait(), PATIENCE)
    await asyncio.sleep(1)
    at = asyncio.get_running_loop().time()
    await viewer.stop()
    await asyncio.wait_for(viewer.over.wait(), PATIENCE)
    return at
