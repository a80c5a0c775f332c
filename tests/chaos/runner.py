"""Carry out schedules in a Cluster, one after another, and report the outcomes."""

import time
from collections import Counter
from dataclasses import dataclass, field

from . import checks
from .cluster import Cluster
from .faults import FAULTS
from .schedule import Schedule
from .trial import Trial


@dataclass
class Outcome:
    """The outcome of one schedule."""

    seed: int
    faults: Counter[str]
    violations: list[checks.Violation]
    seconds: float


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
