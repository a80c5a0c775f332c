"""The measurements of streams: paced streams in a window of time, many starts at once, stops. Called by `__main__`.

A window counts the CPU time of the server and the deltas that its clients receive; streams start before it and end
after it. Every text is compared byte for byte with what the upstream sent and what the site stored.
"""

import asyncio
import gc
import hashlib
import os
import uuid
from collections.abc import Awaitable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from .clients import SiteViewer, Tally, Viewer, acknowledge
from .measure import Pace, cpu_seconds, family_cpu_seconds, machine_cpu_seconds, median, percentile, wait_until_quiet
from .targets import Bench, Target
from .wire import RATE, Order

WARM = 1.0
"""Seconds that every stream runs before the window."""

STAGGER = 1.02 / RATE
"""Seconds between two starts, which spreads the streams evenly over the time between two deltas."""

START = 0.1
"""Seconds that a site may take for each start. Starts wait for one another, and the first stream must outlast the
window.
"""

PATIENCE = 30.0
"""Seconds to wait for late starts and ends."""


@dataclass(frozen=True)
class Texts:
    """Whether everything arrived. `gaps` counts the gaps that clients noticed and repaired with `run.sync`."""

    expected: int
    delivered: int
    equal: bool
    gaps: int
    failures: list[str]

    @property
    def whole(self) -> bool:
        return self.delivered == self.expected and self.equal and not self.failures


@dataclass(frozen=True)
class Shares:
    """The shares of one core in a window. `late_ms` is how late the upstream itself sent (p99)."""

    server: float
    upstream: float
    clients: float
    aux: float
    others: float
    late_ms: float

    @property
    def doubts(self) -> list[str]:
        """Reasons to doubt this window: other work may have disturbed it."""
        doubts = []
        if self.upstream > 0.5:
            doubts.append(f"the upstream took {self.upstream:.0%} of a core")
        if self.clients > 0.7:
            doubts.append(f"the clients took {self.clients:.0%} of a core")
        if self.others > 0.25:
            doubts.append(f"other processes took {self.others:.0%} of a core")
        if self.late_ms > 20:
            doubts.append(f"the upstream sent {self.late_ms:.0f} ms late")
        return doubts


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
    order = _Orders(target, int(length * RATE))
    async with _seated(target, streams, tally, viewers) as audiences:
        askers = [audience[0] for audience in audiences]
        await _settle(bench)
        gc.collect()
        gc.disable()
        for asker in askers:
            await asker.ask(next(order))
            await asyncio.sleep(STAGGER)
        await _all(asker.begun.wait() for asker in askers)
        await asyncio.sleep(WARM)
        clocks = _Clocks(bench, target)
        delivered, frames = tally.delivered, tally.frames
        pace = Pace()
        gathering = asyncio.create_task(pace.run())
        tally.recording = True
        await asyncio.sleep(seconds)
        tally.recording = False
        spent = clocks.since()
        ended = sum(asker.over.is_set() for asker in askers)
        gathering.cancel()
        delivered, frames = tally.delivered - delivered, tally.frames - frames
        gc.enable()
        await _all((viewer.over.wait() for audience in audiences for viewer in audience), seconds + PATIENCE)
        texts, facts, late = await _compare(bench, order, audiences)
        return Window(
            target=target.name,
            streams=streams,
            viewers=viewers,
            cpu_us=spent["server"] * 1e6 / max(1, delivered),
            deltas_per_frame=delivered / max(1, frames),
            lag_p50=percentile(tally.lags, 50),
            lag_p99=percentile(tally.lags, 99),
            first_ms=median(_first_deltas(askers, facts)),
            pace=pace.microseconds,
            ended=ended,
            texts=texts,
            shares=Shares(
                **{name: value / spent["time"] for name, value in spent.items() if name != "time"}, late_ms=late
            ),
        )


@dataclass(frozen=True)
class Burst:
    """Streams that all start at once: milliseconds to the first delta."""

    target: str
    streams: int
    first_median: float
    first_max: float
    texts: Texts


async def burst(bench: Bench, target: Target, streams: int) -> Burst:
    order = _Orders(target, RATE)
    async with _seated(target, streams, Tally()) as audiences:
        askers = [audience[0] for audience in audiences]
        await _settle(bench)
        await asyncio.gather(*(asker.ask(next(order)) for asker in askers))
        await _all((asker.over.wait() for asker in askers), PATIENCE)
        texts, facts, _ = await _compare(bench, order, audiences)
        first = _first_deltas(askers, facts)
        return Burst(target.name, streams, median(first), max(first, default=0.0), texts)


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
    order = _Orders(target, 60 * RATE)
    async with _seated(target, number, Tally()) as audiences:
        askers = [audience[0] for audience in audiences]
        await _settle(bench)
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


class _Orders:
    """An endless supply of orders with unique names."""

    def __init__(self, target: Target, deltas: int) -> None:
        self._prefix = f"{target.port}-{uuid.uuid4().hex[:8]}"
        self.deltas = deltas
        self.names: list[str] = []

    def __next__(self) -> Order:
        self.names.append(f"{self._prefix}-{len(self.names)}")
        return Order(self.names[-1], self.deltas)


class _Clocks:
    """CPU time since its creation, of each kind of process."""

    def __init__(self, bench: Bench, target: Target) -> None:
        self._bench, self._target = bench, target
        self._before = self._read()

    def since(self) -> dict[str, float]:
        now = self._read()
        spent = {name: now[name] - self._before[name] for name in now}
        spent["others"] = max(
            0.0, spent.pop("machine") - sum(spent[n] for n in ("server", "upstream", "clients", "aux"))
        )
        return spent

    def _read(self) -> dict[str, float]:
        return {
            "time": asyncio.get_running_loop().time(),
            "server": cpu_seconds(self._target.pid),
            "upstream": cpu_seconds(self._bench.upstream.process.pid),
            "clients": cpu_seconds(os.getpid()),
            "aux": family_cpu_seconds(self._target.aux),
            "machine": machine_cpu_seconds(),
        }


@asynccontextmanager
async def _seated(target: Target, streams: int, tally: Tally, viewers: int = 1) -> Any:
    """Open the sockets of all audiences, and acknowledge for them until the block ends."""
    audiences = [target.audience(tally, viewers) for _ in range(streams)]
    everybody = [viewer for audience in audiences for viewer in audience]
    for at in range(0, len(everybody), 10):
        await asyncio.gather(*(viewer.open() for viewer in everybody[at : at + 10]))
    await _all(viewer.ready.wait() for viewer in everybody)
    acknowledging = asyncio.create_task(acknowledge(everybody))
    try:
        yield audiences
    finally:
        acknowledging.cancel()
        await asyncio.gather(acknowledging, *(viewer.close() for viewer in everybody), return_exceptions=True)


async def _settle(bench: Bench) -> None:
    """Wait until other processes leave the machine alone."""
    ours = [os.getpid(), bench.upstream.process.pid, *(target.pid for target in bench.targets)]
    await wait_until_quiet(ours, bench.patience)


async def _all(waits: Iterable[Awaitable[Any]], seconds: float = PATIENCE) -> None:
    """Wait for all, at most `seconds`: whatever is missing then is counted as not delivered."""
    _, pending = await asyncio.wait([asyncio.ensure_future(wait) for wait in waits], timeout=seconds)
    for task in pending:
        task.cancel()


async def _compare(
    bench: Bench, orders: _Orders, audiences: list[list[Viewer]]
) -> tuple[Texts, list[dict[str, Any]], float]:
    """Compare what arrived with what the upstream reports to have sent."""
    report = await asyncio.to_thread(bench.report)
    facts = [report["streams"].get(name, {}) for name in orders.names]
    everybody = [viewer for audience in audiences for viewer in audience]
    equal = all(
        viewer.sound and hashlib.sha256(viewer.text.encode()).hexdigest() == fact.get("digest")
        for fact, audience in zip(facts, audiences, strict=True)
        for viewer in audience
    )
    texts = Texts(
        expected=orders.deltas * len(everybody),
        delivered=sum(viewer.deltas for viewer in everybody),
        equal=equal,
        gaps=sum(viewer.gaps for viewer in everybody if isinstance(viewer, SiteViewer)),
        failures=sorted({viewer.end or "did not end" for viewer in everybody} - {"completed"}),
    )
    return texts, facts, report["late_ms"]


def _first_deltas(askers: list[Viewer], facts: list[dict[str, Any]]) -> list[float]:
    return [
        (asker.first - asker.asked - (fact["first"] - fact["received"])) * 1000
        for asker, fact in zip(askers, facts, strict=True)
        if asker.first and fact
    ]
