"""Whole answers: many askers ask at the same moment. What it costs, how long they wait, and what others notice.

Costs, delays and statements come from three passes. Streams next to the askers would change the cost, because the site
gathers more deltas into a frame when it has more to do; counting statements would change both.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from .clients import Tally, Viewer
from .load import (
    PATIENCE,
    Clocks,
    Orders,
    Shares,
    Texts,
    compare,
    first_deltas,
    pacing,
    seated,
    settle,
    shares,
    starts,
    streaming,
    wait_for_all,
)
from .measure import percentile
from .targets import Bench, SiteTarget, Target
from .wire import RATE

AFTERMATH = 2.0
"""Seconds after the last answer that still belong to it: lists and search index may come later."""

IDLE = 5.0
"""Seconds of counting what a site asks of its database by itself, which is subtracted."""

ALONE = 10
SHORT = 20
"""So many answers are also counted one after another, if they have at most so many deltas: of long ones, there would be
less to count than in the idle time.
"""


@dataclass(frozen=True)
class Shape:
    """`askers` conversations of `history` earlier messages, each with a user of its own; answers of `deltas`."""

    askers: int
    deltas: int
    history: int

    def __str__(self) -> str:
        return f"{self.askers} answers of {self.deltas} after {self.history}"

    @property
    def seconds(self) -> float:
        """How long to wait for all answers."""
        return self.deltas / RATE + PATIENCE

    @property
    def alone(self) -> int:
        """How many answers are counted one after another."""
        return ALONE if self.deltas <= SHORT else 0


@dataclass(frozen=True)
class Answers:
    """One round. `cpu_ms` is CPU of the server per answer; delays are in milliseconds, to the first delta."""

    target: str
    shape: Shape
    cpu_ms: float
    pace: float
    """The speed of the machine in the pass of the costs (measure.Pace)."""
    first_p50: float
    first_p99: float
    first_worst: float
    streams: int
    """Streams next to the askers, and the lag of their deltas from the asking to the last end."""
    lag_p50: float
    lag_p99: float
    texts: Texts
    shares: Shares


@dataclass(frozen=True)
class Count:
    """What the site asks of its database, per answer or per second (tests/support/statements.py)."""

    statements: float
    transactions: float
    checks: float

    def without(self, idle: "Count", times: float) -> "Count":
        """This count without so many times the other."""
        return Count(
            self.statements - idle.statements * times,
            self.transactions - idle.transactions * times,
            self.checks - idle.checks * times,
        )


@dataclass(frozen=True)
class Counts:
    """What an answer takes if it is asked for after the end of the one before, and if all askers ask at once."""

    target: str
    shape: Shape
    alone: Count | None
    at_once: Count


async def answers(bench: Bench, target: Target, shape: Shape, streams: int) -> Answers:
    """Measure the cost, and then the delays with `streams` next to the askers."""
    cpu_ms, pace, cost_texts, part = await _measure_cost(bench, target, shape)
    first, lags, texts = await _measure_delays(bench, target, shape, streams)
    return Answers(
        target=target.name,
        shape=shape,
        cpu_ms=cpu_ms,
        pace=pace,
        first_p50=percentile(first, 50),
        first_p99=percentile(first, 99),
        first_worst=max(first, default=0.0),
        streams=streams,
        lag_p50=percentile(lags.lags, 50),
        lag_p99=percentile(lags.lags, 99),
        texts=cost_texts.plus(texts),
        shares=part,
    )


async def count_statements(target: SiteTarget, shape: Shape) -> Counts:
    """Count, in a pass of its own."""
    async with seated(target, shape.alone + shape.askers, Tally(), history=shape.history) as audiences:
        viewers = [audience[0] for audience in audiences]
        orders = Orders(target, shape.deltas)
        counter = Counter(target)
        await asyncio.sleep(AFTERMATH)
        await counter.calibrate()
        alone = None
        if shape.alone:
            await counter.start()
            for viewer in viewers[: shape.alone]:
                await ask_at_once([viewer], orders, shape.seconds)
            alone = await counter.stop(shape.alone)
        await counter.start()
        await ask_at_once(viewers[shape.alone :], orders, shape.seconds)
        return Counts(target.name, shape, alone, await counter.stop(shape.askers))


async def ask_at_once(askers: list[Viewer], orders: Orders, seconds: float) -> None:
    """Have them ask at the same moment, and wait for the ends of their answers."""
    await asyncio.gather(*(asker.ask(next(orders)) for asker in askers))
    await wait_for_all((asker.over.wait() for asker in askers), seconds)


class Counter:
    """Counts for all processes of a site, without what they ask in idle time."""

    def __init__(self, target: SiteTarget) -> None:
        self._target = target
        self._idle = Count(0, 0, 0)
        """Per second."""

    async def calibrate(self) -> None:
        await self.start()
        await asyncio.sleep(IDLE)
        self._idle = await self._read(IDLE)

    async def start(self) -> None:
        await self._target.probe("count")
        self._started = asyncio.get_running_loop().time()

    async def stop(self, answers: int) -> Count:
        """Per answer, since the start."""
        await asyncio.sleep(AFTERMATH)
        seconds = asyncio.get_running_loop().time() - self._started
        return (await self._read(answers)).without(self._idle, seconds / answers)

    async def _read(self, parts: float) -> Count:
        found = await self._target.probe("counts")
        return Count(*(sum(one[name] for one in found) / parts for name in ("statements", "transactions", "checks")))


async def _measure_cost(bench: Bench, target: Target, shape: Shape) -> tuple[float, float, Texts, Shares]:
    async with seated(target, shape.askers, Tally(), history=shape.history) as audiences:
        askers, orders = [audience[0] for audience in audiences], Orders(target, shape.deltas)
        await settle(bench)
        async with pacing() as pace:
            clocks = Clocks(bench, target)
            await ask_at_once(askers, orders, shape.seconds)
            await asyncio.sleep(AFTERMATH)
            spent = clocks.since()
        texts, _, late = await compare(bench, orders, audiences)
        return spent["server"] * 1000 / shape.askers, pace.microseconds, texts, shares(spent, late)


async def _measure_delays(bench: Bench, target: Target, shape: Shape, streams: int) -> tuple[list[float], Tally, Texts]:
    async with AsyncExitStack() as stack:
        audiences = await stack.enter_async_context(seated(target, shape.askers, Tally(), history=shape.history))
        askers, orders = [audience[0] for audience in audiences], Orders(target, shape.deltas)
        await settle(bench)
        tally = await stack.enter_async_context(streaming(target, streams)) if streams else Tally()
        async with pacing():
            tally.recording = True
            await ask_at_once(askers, orders, shape.seconds)
            tally.recording = False
        texts, facts, _ = await compare(bench, orders, audiences)
        return first_deltas(starts(askers), facts), tally, texts
