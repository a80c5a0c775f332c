"""Carry out schedules in a Cluster, one after another or side by side, and report the outcomes."""

import asyncio
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from . import checks
from .cluster import Cluster, start_cluster
from .faults import FAULTS
from .schedule import Schedule
from .trial import Trial


@dataclass(frozen=True)
class Terms:
    """What all schedules have in common."""

    make: Callable[[int], Schedule]
    """Makes the schedule of a seed."""
    patience: float
    sqlite: bool
    log: Path | None


@dataclass
class Outcome:
    """The outcome of one schedule."""

    seed: int
    faults: Counter[str]
    violations: list[checks.Violation]
    seconds: float

    @property
    def writing(self) -> str:
        """How much was written in a document. On a machine that is too busy, people write little."""
        written = {who: self.faults[f"change by {who}"] for who in ("a person", "an agent")}
        return f", changes: {written['a person']} + {written['an agent']}" if any(written.values()) else ""

    def __str__(self) -> str:
        verdict = "VIOLATED" if self.violations else "ok"
        lines = [f"seed {self.seed}: {verdict}, {self.seconds:.1f} s{self.writing}"]
        return "\n".join([*lines, *(f"    {violation}" for violation in self.violations)])


@dataclass
class Report:
    """The outcomes of all schedules. `str` gives the tables of docs/chaos.md."""

    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def failed(self) -> list[Outcome]:
        """The outcomes with violations."""
        return [outcome for outcome in self.outcomes if outcome.violations]

    def __str__(self) -> str:
        faults = sum((outcome.faults for outcome in self.outcomes), Counter[str]())
        violations = Counter(violation.check for outcome in self.outcomes for violation in outcome.violations)
        seconds = sum(outcome.seconds for outcome in self.outcomes)
        lines = [f"{len(self.outcomes)} schedules in {seconds / 60:.0f} min; {len(self.failed)} of them violated."]
        lines += ["", "| fault | injected |", "|---|---:|"]
        lines += [f"| {name} | {number} |" for name, number in sorted(faults.items())]
        lines += ["", "| property | violations |", "|---|---:|"]
        lines += [f"| {name}: {promise} | {violations[name]} |" for name, promise in checks.CHECKS.items()]
        return "\n".join(lines)


async def carry_out(cluster: Cluster, schedule: Schedule, patience: float = 1.0) -> Outcome:
    """Carry out a schedule, and check what must hold."""
    started = time.monotonic()
    trial = Trial(cluster, schedule, patience)
    try:
        await trial.open()
        faults = await trial.take_steps(FAULTS)
        violations = await checks.find_violations(trial)
    finally:
        await trial.close()
    return Outcome(schedule.seed, faults + trial.written, violations, time.monotonic() - started)


def play_side_by_side(terms: Terms, seeds: Sequence[int], jobs: int) -> list[Outcome]:
    """Carry out the schedules in several processes, because most of the time of a schedule is spent waiting. Each has
    its own servers, so that a fault of one schedule is not one of another.
    """

    def forward(number: int, _: object) -> None:
        for child in multiprocessing.active_children():
            child.terminate() if number == signal.SIGTERM else os.kill(child.pid or 0, number)
        if number == signal.SIGTERM:
            sys.exit(143)

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})  # in the children, until they can handle it
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as executor:
        playing = [executor.submit(play, terms, seeds[job::jobs]) for job in range(jobs)]
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, forward)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
        return [outcome for player in playing for outcome in player.result()]


def play(terms: Terms, seeds: Sequence[int]) -> list[Outcome]:
    """Carry out the schedules of the seeds, one after another. After SIGUSR1, no other one begins."""
    stops: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are ended
    signal.signal(signal.SIGUSR1, lambda number, _: stops.append(number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})

    async def run() -> list[Outcome]:
        outcomes: list[Outcome] = []
        async with start_cluster(terms.sqlite, terms.log) as cluster:
            for seed in seeds:
                if stops:
                    break
                outcomes.append(await carry_out(cluster, terms.make(seed), terms.patience))
                print(outcomes[-1], file=sys.stderr, flush=True)
        return outcomes

    return asyncio.run(run())
