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

IDLE = 6.0
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
class Counts:
    """Statements and transactions per answer. `alone_...`: each is asked for after the end of the one before; None if
    that was not counted. The others: all askers ask at once.
    """

    target: str
    shape: Shape
    alone_statements: float | None
    alone_transactions: float | None
    statements: float
    transactions: float


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
        alone: tuple[float | None, float | None] = None, None
        if shape.alone:
            await counter.start()
            for viewer in viewers[: shape.alone]:
                await ask_at_once([viewer], orders, shape.seconds)
            alone = await counter.stop(shape.alone)
        await counter.start()
        await ask_at_once(viewers[shape.alone :], orders, shape.seconds)
        together = await counter.stop(shape.askers)
    return Counts(target.name, shape, *alone, *together)


async def ask_at_once(askers: list[Viewer], orders: Orders, seconds: float) -> None:
    """Have them ask at the same moment, and wait for the ends of their answers."""
    await asyncio.gather(*(asker.ask(next(orders)) for asker in askers))
    await wait_for_all((asker.over.wait() for asker in askers), seconds)


class Counter:
    """Counts statements and transactions of all processes of a site, without those of its idle time."""

    def __init__(self, target: SiteTarget) -> None:
        self._target = target
        self._idle = (0.0, 0.0)
        """Statements and transactions per second."""

    async def calibrate(self) -> None:
        await self.start()
        await asyncio.sleep(IDLE)
        self._idle = await self._read(IDLE)

    async def start(self) -> None:
        await self._target.probe("count")
        self._started = asyncio.get_running_loop().time()

    async def stop(self, answers: int) -> tuple[float, float]:
        """Statements and transactions per answer, since the start."""
        await asyncio.sleep(AFTERMATH)
        seconds = asyncio.get_running_loop().time() - self._started
        counted = await self._read(answers)
        statements, transactions = (n - i * seconds / answers for n, i in zip(counted, self._idle, strict=True))
        return statements, transactions

    async def _read(self, parts: float) -> tuple[float, float]:
        found = await self._target.probe("counts")
        return sum(one["statements"] for one in found) / parts, sum(one["transactions"] for one in found) / parts


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
