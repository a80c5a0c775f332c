"""The verdict on an attack: what the bystander noticed, what is left, and what the attacker was told."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..benchmarks.measure import percentile
from .attackers import ATTACKS
from .bystander import KINDS

MAX_RATIO = 3.0
"""How much worse the bystander's p99 may be with the attack than without."""

FLOOR = 15.0
"""Milliseconds. A p99 without an attack that is lower counts as this: three times 4 ms is still nothing that anybody
notices, and less than the noise of a shared machine.
"""

MAX_MEMORY = 1.2
"""How much more memory the site's processes may have after an attack than before."""


@dataclass
class Result:
    """Everything measured of one attack in one configuration. Latencies are p99 in milliseconds, memory is in MiB."""

    attack: str
    configuration: str
    seconds: float
    before: dict[str, float]
    during: dict[str, float]
    trouble: list[str]
    acknowledged: int
    answers: dict[str, int]
    failure: str
    memory: float
    peak: float
    left: float
    log: list[str]
    died: int
    problems: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.problems = list(self._find_problems())

    @property
    def ratios(self) -> dict[str, float]:
        return {kind: self.during[kind] / max(FLOOR, self.before[kind]) for kind in KINDS}

    @property
    def worst(self) -> tuple[str, float]:
        """The measure that suffered most, and its ratio."""
        return max(self.ratios.items(), key=lambda item: item[1])

    def _find_problems(self) -> "Sequence[str]":
        found = [
            f"{kind} {self.before[kind]:.0f} -> {self.during[kind]:.0f} ms"
            for kind, ratio in self.ratios.items()
            if ratio >= MAX_RATIO
        ]
        found += [f"bystander: {what} x {number}" for what, number in Counter(self.trouble).most_common(5)]
        found += [f"answer: {wrong}" for wrong in ATTACKS[self.attack].verdict(Counter(self.answers))]
        if self.failure:
            found.append(f"attack: {self.failure}")
        if self.left > self.memory * MAX_MEMORY:
            found.append(f"memory {self.memory:.0f} -> {self.left:.0f} MiB")
        found += [f"log: {line[:200]} x {number}" for line, number in Counter(self.log).most_common(3)]
        if self.died > ATTACKS[self.attack].kills:
            found.append(f"{self.died} processes ended")
        return found

    def __str__(self) -> str:
        kind, ratio = self.worst
        told = ", ".join(f"{name} x {number}" for name, number in sorted(self.answers.items()))
        return (
            f"| {self.attack} | {self.configuration} | {ratio:.1f} ({kind} {self.during[kind]:.0f} ms) "
            f"| {self.memory:.0f}, {self.peak:.0f}, {self.left:.0f} | {told} "
            f"| {'; '.join(self.problems).replace('|', '/') or 'held'} |"
        )


HEADER = """\
| attack | configuration | worst p99 ratio | MiB before, peak, after | answers | verdict |
|---|---|---|---|---|---|"""


def p99(samples: dict[str, list[float]]) -> dict[str, float]:
    """The p99 of each measure."""
    return {kind: percentile(samples.get(kind, []), 99) for kind in KINDS}
