"""What the measurements share: sockets on conversations, orders for them, clocks, and the comparison of the texts."""

import asyncio
import gc
import hashlib
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from .clients import SiteViewer, Tally, Viewer, acknowledge
from .measure import Pace, cpu_seconds, family_cpu_seconds, machine_cpu_seconds, wait_until_quiet
from .targets import Bench, Target
from .wire import RATE, Order

WARM = 1.0
"""Seconds that every stream runs before it is measured."""

LONGEST = 120.0
"""Seconds after which a stream ends that nobody stops."""

STAGGER = 1.02 / RATE
"""Seconds between two starts, which spreads the streams evenly over the time between two deltas."""

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

    def plus(self, *others: "Texts") -> "Texts":
        """All of them together."""
        every = (self, *others)
        return Texts(
            expected=sum(texts.expected for texts in every),
            delivered=sum(texts.delivered for texts in every),
            equal=all(texts.equal for texts in every),
            gaps=sum(texts.gaps for texts in every),
            failures=sorted({failure for texts in every for failure in texts.failures}),
        )


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


class Orders:
    """An endless supply of orders with unique names."""

    def __init__(self, target: Target, deltas: int) -> None:
        self._prefix = f"{target.ports[0]}-{uuid.uuid4().hex[:8]}"
        self.deltas = deltas
        self.names: list[str] = []

    def __next__(self) -> Order:
        self.names.append(f"{self._prefix}-{len(self.names)}")
        return Order(self.names[-1], self.deltas)


class Clocks:
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
            "server": self._target.cpu_seconds(),
            "upstream": cpu_seconds(self._bench.upstream.process.pid),
            "clients": cpu_seconds(os.getpid()),
            "aux": family_cpu_seconds(self._target.aux),
            "machine": machine_cpu_seconds(),
        }


@asynccontextmanager
async def seated(
    target: Target, streams: int, tally: Tally, viewers: int = 1, history: int = 0
) -> AsyncIterator[list[list[Viewer]]]:
    """Open the sockets of all audiences, and acknowledge for them until the block ends."""
    audiences = [target.audience(tally, viewers, history) for _ in range(streams)]
    everybody = [viewer for audience in audiences for viewer in audience]
    for at in range(0, len(everybody), 10):
        await asyncio.gather(*(viewer.open() for viewer in everybody[at : at + 10]))
    await wait_for_all(viewer.ready.wait() for viewer in everybody)
    acknowledging = asyncio.create_task(acknowledge(everybody))
    try:
        yield audiences
    finally:
        acknowledging.cancel()
        await asyncio.gather(acknowledging, *(viewer.close() for viewer in everybody), return_exceptions=True)


@asynccontextmanager
async def streaming(target: Target, streams: int) -> AsyncIterator[Tally]:
    """Streams that go on until the block ends. Yields the Tally of their readers, when all are under way."""
    tally = Tally()
    orders = Orders(target, int(LONGEST * RATE))
    async with seated(target, streams, tally) as audiences:
        readers = [audience[0] for audience in audiences]
        await ask_in_turn(readers, orders)
        await asyncio.sleep(WARM)
        yield tally
        for reader in readers:
            await reader.stop()
        await wait_for_all(reader.over.wait() for reader in readers)


async def ask_in_turn(askers: Iterable[Viewer], orders: Orders) -> None:
    """Start a stream for each, evenly spread over the time between two deltas, and wait for their first deltas."""
    for asker in askers:
        await asker.ask(next(orders))
        await asyncio.sleep(STAGGER)
    await wait_for_all(asker.begun.wait() for asker in askers)


@asynccontextmanager
async def pacing() -> AsyncIterator[Pace]:
    """Observe the speed of the machine until the block ends, without pauses of the garbage collector in the clients."""
    pace = Pace()
    gc.collect()
    gc.disable()
    gathering = asyncio.create_task(pace.run())
    try:
        yield pace
    finally:
        gathering.cancel()
        gc.enable()


async def settle(bench: Bench) -> None:
    """Wait until other processes leave the machine alone."""
    ours = [os.getpid(), bench.upstream.process.pid, *(pid for target in bench.targets for pid in target.pids)]
    await wait_until_quiet(ours, bench.patience)


async def wait_for_all(waits: Iterable[Awaitable[Any]], seconds: float = PATIENCE) -> None:
    """Wait for all, at most `seconds`: whatever is missing then is counted as not delivered."""
    waiting = [asyncio.ensure_future(wait) for wait in waits]
    _, pending = await asyncio.wait(waiting, timeout=seconds) if waiting else (None, [])
    for task in pending:
        task.cancel()


async def compare(
    bench: Bench, orders: Orders, audiences: list[list[Viewer]]
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


def first_deltas(starts: Iterable[tuple[float, float]], facts: Iterable[dict[str, Any]]) -> list[float]:
    """Milliseconds to the first delta, minus the upstream's own. `starts` are the times of asking and of the delta."""
    return [
        (first - asked - (fact["first"] - fact["received"])) * 1000
        for (asked, first), fact in zip(starts, facts, strict=True)
        if first and fact
    ]


def starts(askers: Iterable[Viewer]) -> list[tuple[float, float]]:
    return [(asker.asked, asker.first) for asker in askers]


def shares(spent: dict[str, float], late_ms: float) -> Shares:
    """Shares of a core, from the seconds of Clocks."""
    return Shares(**{name: value / spent["time"] for name, value in spent.items() if name != "time"}, late_ms=late_ms)
