"""What monitoring costs while nobody watches, and while somebody does; what a flood of log lines does to streams; and
what traces cost. Called by `__main__`.

The states that are compared take turns in windows of a few seconds, in the same processes and under the same load, so
that changes of the machine's speed affect all of them. What a state costs is the mean difference to the window next to
it without monitoring.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from statistics import fmean, stdev

import msgspec

from .answers import ask_at_once
from .clients import QUIET, Tally, connect
from .load import PATIENCE, Clocks, Orders, Shares, pacing, seated, settle, shares, streaming
from .measure import Pace, percentile
from .targets import Bench, SiteTarget

PING_EVERY = 2.0
"""Seconds between two pings of a page of the dashboard."""

BEGIN = 1.0
"""Seconds from a change of the state to its window, and from the last answer to the end of a round of answers."""


@dataclass(frozen=True)
class Effort:
    rounds: int = 4
    seconds: float = 5.0
    """Of a window."""
    streams: int = 50
    """Next to monitoring."""
    flooded: int = 10
    """Streams next to the flood."""
    askers: int = 20
    deltas: int = 20
    """Of each traced answer."""


@dataclass(frozen=True)
class Difference:
    """How much more one state takes than another: the mean over the rounds, and its standard error."""

    mean: float
    error: float

    @classmethod
    def between(cls, more: Sequence[float], less: Sequence[float]) -> "Difference":
        found = [one - other for one, other in zip(more, less, strict=True)]
        return cls(fmean(found), stdev(found) / len(found) ** 0.5 if len(found) > 1 else 0.0)


@dataclass(frozen=True)
class Watching:
    """Shares of one core, per process."""

    target: str
    streams: int
    base: float
    """What a process takes without monitoring."""
    unwatched: Difference
    watched: Difference
    reports: float
    """Reports that the watcher got, per process and second."""
    shares: Shares


@dataclass(frozen=True)
class Flood:
    """A flood of log lines next to streams, in three states: none, one that nobody keeps or reads, one that is read."""

    target: str
    streams: int
    cpu: dict[str, float]
    """Shares of one core."""
    lag_p50: dict[str, float]
    """Milliseconds."""
    lag_p99: dict[str, float]
    lines: int
    """Lines that the reader got in all, and how many they were told that are left out."""
    dropped: int
    warm: float
    """MiB of the process after the first round, and after the last one."""
    end: float
    shares: Shares


@dataclass(frozen=True)
class Tracing:
    """CPU of the site per answer, in milliseconds."""

    target: str
    deltas: int
    off: float
    traced: Difference
    shares: Shares


class _Frame(msgspec.Struct):
    type: str
    lines: list[msgspec.Raw] = []
    dropped: int = 0


_decode = msgspec.json.Decoder(_Frame).decode


@dataclass
class Watcher:
    """What somebody with a page of the dashboard has got."""

    reports: int = 0
    lines: int = 0
    dropped: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, frame: _Frame) -> None:
        self.ready.set()
        self.reports += frame.type == "report"
        self.lines += len(frame.lines)
        self.dropped += frame.dropped


@asynccontextmanager
async def watching(target: SiteTarget, page: str, watcher: Watcher) -> AsyncIterator[None]:
    """Have a page of the dashboard open, which reads everything and pings."""
    address = f"ws://127.0.0.1:{target.ports[0]}/ws/chat/{page}/"
    socket = await connect(address, {"Cookie": target.cast.staff})

    async def read() -> None:
        with suppress(*QUIET):
            while True:
                watcher.hear(_decode(await socket.recv(decode=False)))

    async def ping() -> None:
        while True:
            await asyncio.sleep(PING_EVERY)
            with suppress(*QUIET):
                await socket.send('{"type":"ping"}')

    tasks = [asyncio.create_task(read()), asyncio.create_task(ping())]
    try:
        await asyncio.wait_for(watcher.ready.wait(), PATIENCE)
        yield
    finally:
        tasks[1].cancel()
        await socket.close()
        await asyncio.gather(*tasks, return_exceptions=True)


class Windows:
    """Windows of several states, in turn."""

    def __init__(self, target: SiteTarget, effort: Effort, pace: Pace, tally: Tally) -> None:
        self._target, self._effort, self._pace, self._tally = target, effort, pace, tally
        self.cpu: dict[str, list[float]] = {}
        """Shares of one core per process and window, at the mean speed of the machine."""
        self.lags: dict[str, list[float]] = {}
        self._paces: dict[str, list[float]] = {}

    async def measure(self, state: str) -> None:
        """One window, in the state in which the target is."""
        await asyncio.sleep(BEGIN)
        clock, tally = asyncio.get_running_loop().time, self._tally
        self._pace.restart()
        tally.recording, before = True, len(tally.lags)
        began, spent = clock(), self._target.cpu_seconds()
        await asyncio.sleep(self._effort.seconds)
        spent, took = self._target.cpu_seconds() - spent, clock() - began
        tally.recording = False
        self.lags.setdefault(state, []).extend(tally.lags[before:])
        self.cpu.setdefault(state, []).append(spent / took / len(self._target.processes))
        self._paces.setdefault(state, []).append(self._pace.microseconds)

    def scale(self) -> None:
        """Take the changes of the machine's speed out of `cpu`."""
        par = fmean(pace for paces in self._paces.values() for pace in paces)
        for state, paces in self._paces.items():
            self.cpu[state] = [cpu * par / pace for cpu, pace in zip(self.cpu[state], paces, strict=True)]

    def lag(self, percent: float) -> dict[str, float]:
        return {state: percentile(lags, percent) for state, lags in self.lags.items()}


async def watch(bench: Bench, target: SiteTarget, effort: Effort, streams: int) -> Watching:
    """Measure monitoring next to so many streams: without it, with nobody watching, with somebody on the dashboard."""
    watcher = Watcher()
    watched = 0.0
    await settle(bench)
    async with _streaming(target, streams) as tally, pacing() as pace:
        windows, clocks = Windows(target, effort, pace, tally), Clocks(bench, target)
        for state in _in_turn(("off", "unwatched", "watched"), effort.rounds):
            await target.probe("blind" if state == "off" else "see")
            began = asyncio.get_running_loop().time()
            async with watching(target, "dashboard", watcher) if state == "watched" else nullcontext():
                await windows.measure(state)
            if state == "watched":
                watched += asyncio.get_running_loop().time() - began
        spent = clocks.since()
        await target.probe("see")
    windows.scale()
    off = windows.cpu["off"]
    return Watching(
        target=target.name,
        streams=streams,
        base=fmean(off),
        unwatched=Difference.between(windows.cpu["unwatched"], off),
        watched=Difference.between(windows.cpu["watched"], off),
        reports=watcher.reports / watched / len(target.processes),
        shares=shares(spent, await _lateness(bench)),
    )


async def flood(bench: Bench, target: SiteTarget, effort: Effort) -> Flood:
    """Measure streams next to a flood of log lines, which every process of the site logs."""
    watcher = Watcher()
    warm = 0.0
    await settle(bench)
    async with _streaming(target, effort.flooded) as tally, pacing() as pace:
        windows, clocks = Windows(target, effort, pace, tally), Clocks(bench, target)
        for _ in range(effort.rounds):
            await target.probe("see")
            await windows.measure("none")
            await target.probe("deafen")
            await target.probe("flood")
            await windows.measure("unread")
            await target.probe("hear")
            async with watching(target, "dashboard/log", watcher):
                await windows.measure("read")
            await target.probe("stop-flood")
            await target.probe("trim")
            warm = warm or target.resident_mib()
        spent = clocks.since()
        await target.probe("see")
    windows.scale()
    return Flood(
        target=target.name,
        streams=effort.flooded,
        cpu={state: fmean(cpu) for state, cpu in windows.cpu.items()},
        lag_p50=windows.lag(50),
        lag_p99=windows.lag(99),
        lines=watcher.lines,
        dropped=watcher.dropped,
        warm=warm,
        end=target.resident_mib(),
        shares=shares(spent, await _lateness(bench)),
    )


async def trace(bench: Bench, target: SiteTarget, effort: Effort) -> Tracing:
    """Measure answers with and without spans and metrics of OpenTelemetry."""
    costs: dict[str, list[float]] = {"trace-nothing": [], "trace-runs": []}
    orders = Orders(target, effort.deltas)
    async with seated(target, effort.askers, Tally()) as audiences, pacing() as pace:
        askers = [audience[0] for audience in audiences]
        await target.probe("trace-runs")
        await ask_at_once(askers, orders, PATIENCE)  # warm
        await settle(bench)
        clocks = Clocks(bench, target)
        for state in _in_turn(tuple(costs), effort.rounds):
            await target.probe(state)
            pace.restart()
            before = target.cpu_seconds()
            await ask_at_once(askers, orders, PATIENCE)
            await asyncio.sleep(BEGIN)
            costs[state].append((target.cpu_seconds() - before) * 1000 / effort.askers / pace.microseconds)
        spent = clocks.since()
        await target.probe("trace-nothing")
    off, on = ([cost * pace.microseconds for cost in found] for found in costs.values())
    return Tracing(
        target=target.name,
        deltas=effort.deltas,
        off=fmean(off),
        traced=Difference.between(on, off),
        shares=shares(spent, await _lateness(bench)),
    )


def _in_turn(states: Sequence[str], rounds: int) -> Iterator[str]:
    """Each state in each round, and each as often as possible in each place of a round."""
    for number in range(rounds):
        place = number % len(states)
        yield from (*states[place:], *states[:place])


def _streaming(target: SiteTarget, streams: int) -> AbstractAsyncContextManager[Tally]:
    return streaming(target, streams) if streams else nullcontext(Tally())


async def _lateness(bench: Bench) -> float:
    late: float = (await asyncio.to_thread(bench.report))["late_ms"]
    return late
