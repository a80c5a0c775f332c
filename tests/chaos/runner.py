"""Play seeds in a World, one after another, and say what came of it."""

import time
from collections import Counter
from dataclasses import dataclass, field

from . import checks
from .cluster import World
from .faults import FAULTS
from .schedule import schedule
from .trial import Stage


@dataclass
class Outcome:
    """Of one seed."""

    seed: int
    faults: Counter[str]
    violations: list[checks.Violation]
    seconds: float


@dataclass
class Report:
    """Of all of them; `str` is the table of docs/reliability.md."""

    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def failed(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.violations]

    def __str__(self) -> str:
        faults = sum((outcome.faults for outcome in self.outcomes), Counter[str]())
        violations = Counter(violation.check for outcome in self.outcomes for violation in outcome.violations)
        seconds = sum(outcome.seconds for outcome in self.outcomes)
        lines = [f"{len(self.outcomes)} schedules in {seconds / 60:.0f} min; {len(self.failed)} of them violated."]
        lines += ["", "| fault | injected |", "|---|---:|"]
        lines += [f"| {name} | {number} |" for name, number in sorted(faults.items())]
        lines += ["", "| what has to be true | violations |", "|---|---:|"]
        lines += [f"| {name}: {promise} | {violations[name]} |" for name, promise in checks.CHECKS.items()]
        return "\n".join(lines)


async def play(world: World, seed: int) -> Outcome:
    """One schedule from its seed to its violations."""
    began = time.monotonic()
    stage = Stage(world, schedule(seed))
    try:
        await stage.open()
        faults = await stage.play(FAULTS)
        violations = await checks.after(stage)
    finally:
        await stage.close()
    return Outcome(seed, faults, violations, time.monotonic() - began)
