"""Reads the gauges of this process, and makes its Report."""

import asyncio
import time

from .. import agents, metrics
from ..concurrency import now
from ..conf import conf
from ..metrics import Series
from ..models import Run
from ..realtime import servers
from ..realtime.hub import SOCKET_KINDS, Hub
from ..realtime.outages import Outages
from ..runs.liveness import Process
from ..runs.run import LiveRun
from ..runs.supervisor import Supervisor
from ..store import executor
from .reports import Report, RunReport

LAG_EVERY = 0.25
"""Seconds between two looks at how late the event loop is."""

_started_at = time.time()

Labels = tuple[str, ...]


class Measure:
    """What this process measures. One per Node."""

    def __init__(self, process: Process, supervisor: Supervisor, hub: Hub, outages: Outages) -> None:
        self._process = process
        self._supervisor = supervisor
        self._hub = hub
        self._outages = outages

    def report(self, with_runs: bool = False) -> Report:
        """Everything, now."""
        runs, at = self._supervisor.runs, now()
        return Report(
            host=self._process.host,
            at=time.time(),
            draining=self._process.draining,
            series=(*_with_known_runs(), *self._gauges(runs, at)),
            runs=tuple(_describe(live, at) for live in runs) if with_runs else (),
            breakers=tuple(agents.breakers().states()),
        )

    def _gauges(self, runs: list[LiveRun], at: float) -> list[Series]:
        gauges: dict[str, dict[Labels, float]] = {
            "runs_active": dict.fromkeys(_known_agents(), 0),
            "breaker_open": {
                (breaker.model.partition(":")[0], breaker.model): breaker.state != "closed"
                for breaker in agents.breakers().states()
            },
            "runs_queued": {(): sum(live.place is not None for live in runs)},
            "run_silence_seconds": {(): max((at - live.heard_at for live in runs if _is_active(live)), default=0)},
            "sockets": {(kind,): 0 for kind in SOCKET_KINDS},
            "database_up": {(): not self._outages.database_away},
            "database_queue": {(): executor.count_waiting()},
            "layer_up": {(str(number),): number not in self._outages.servers_away for number in range(servers.count())},
            "cpu_seconds_total": {(): time.process_time()},
            "start_time_seconds": {(): _started_at},
        }
        for live in runs:
            if _is_active(live):
                active = gauges["runs_active"]
                active[live.labels] = active.get(live.labels, 0) + 1
        for socket in self._hub.sockets:
            gauges["sockets"][socket.kind,] += 1
        return [Series(name, labels, float(value)) for name, of in gauges.items() for labels, value in of.items()]


def _is_active(live: LiveRun) -> bool:
    return live.begun_at is not None


def _known_agents() -> list[Labels]:
    """The labels `model` and `agent` of each agent in the settings."""
    return [agents.labels(slug) for slug in conf.AGENTS]


def _with_known_runs() -> list[Series]:
    """All counters and histograms. Runs are counted from zero, for each agent and end: the rate of what appears with
    its first value has missed that one.
    """
    found = list(metrics.series())
    there = {series.labels for series in found if series.name == "runs_total"}
    ends = [status for status in Run.Status if status not in Run.ACTIVE]
    known = [(str(status), *labels) for labels in _known_agents() for status in ends]
    return found + [Series("runs_total", labels, 0) for labels in known if labels not in there]


def _describe(live: LiveRun, at: float) -> RunReport:
    model, agent = live.labels
    if live.begun_at is None:
        return RunReport(live.id, live.conversation_id, model, agent, queued=True)
    return RunReport(
        live.id,
        live.conversation_id,
        model,
        agent,
        age=round(at - live.begun_at, 1),
        silence=round(at - live.heard_at, 1),
        tokens=live.output_tokens,
    )


class LoopLag:
    """Measures how late the timers of the event loop are: what computes for long holds up every stream."""

    def __init__(self) -> None:
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._schedule()

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()

    def _schedule(self) -> None:
        self._due = self._loop.time() + LAG_EVERY
        self._handle = self._loop.call_at(self._due, self._note)

    def _note(self) -> None:
        metrics.observe("event_loop_lag_seconds", max(0.0, self._loop.time() - self._due))
        self._schedule()
