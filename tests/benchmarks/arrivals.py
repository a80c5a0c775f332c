"""Starts that are spread evenly: which rate of answers the site sustains, and how long askers wait at each rate."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from .clients import Tally, Viewer
from .load import Clocks, Orders, Shares, first_deltas, seated, settle, shares
from .measure import median, percentile
from .targets import Bench, Target

DELTAS = 20

MAX_FIRST = 1000.0
"""Milliseconds. A rate is sustained if all starts are answered, and if the median first delta of the second half of the
starts, where a backlog shows, came by then.
"""

PATIENCE = 20.0
"""Seconds to wait for the last answers."""


@dataclass(frozen=True)
class Arrivals:
    """One rate of starts a second; milliseconds to the first delta."""

    target: str
    rate: int
    starts: int
    answered: int
    first_p50: float
    first_p99: float
    first_worst: float
    late_p50: float
    """Of the second half of the starts."""
    cpu_ms: float
    """CPU of the server's processes per answer."""
    shares: Shares

    @property
    def sustained(self) -> bool:
        return self.answered == self.starts and self.late_p50 <= MAX_FIRST


async def climb(bench: Bench, target: Target, rates: Sequence[int], seconds: float, sockets: int) -> list[Arrivals]:
    """Raise the rate until the target cannot keep up, or to the last one. Each of `sockets` conversations is asked
    again when it has been answered.
    """
    climbed: list[Arrivals] = []
    async with seated(target, sockets, Tally()) as audiences:
        free = deque(audience[0] for audience in audiences)
        for rate in rates:
            await settle(bench)
            climbed.append(await _arrivals(bench, target, rate, int(rate * seconds), free))
            if not climbed[-1].sustained:
                break
    return climbed


async def _arrivals(bench: Bench, target: Target, rate: int, number: int, free: deque[Viewer]) -> Arrivals:
    orders = Orders(target, DELTAS)
    clocks = Clocks(bench, target)
    loop = asyncio.get_running_loop()
    began = loop.time()
    asking: list[asyncio.Task[tuple[float, float]]] = []
    for start in range(number):
        await asyncio.sleep(began + start / rate - loop.time())
        if not free:
            break  # all are still waiting for an answer
        asking.append(asyncio.create_task(_ask(free.popleft(), orders, free)))
    firsts = await asyncio.gather(*asking)
    spent = clocks.since()
    report = await asyncio.to_thread(bench.report)
    first = first_deltas(firsts, [report["streams"].get(name, {}) for name in orders.names])
    return Arrivals(
        target=target.name,
        rate=rate,
        starts=number,
        answered=len(first),
        first_p50=median(first),
        first_p99=percentile(first, 99),
        first_worst=max(first, default=0.0),
        late_p50=median(first[len(first) // 2 :]),
        cpu_ms=spent["server"] * 1000 / max(1, len(first)),
        shares=shares(spent, report["late_ms"]),
    )


async def _ask(viewer: Viewer, orders: Orders, free: deque[Viewer]) -> tuple[float, float]:
    """The times of asking and of the first delta; 0 if there was no whole answer."""
    await viewer.ask(next(orders))
    try:
        await asyncio.wait_for(viewer.over.wait(), PATIENCE)
    except TimeoutError:
        return viewer.asked, 0.0
    free.append(viewer)
    return viewer.asked, viewer.first if viewer.end == "completed" else 0.0
