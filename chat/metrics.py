"""Counters of this process, since it started: `metrics.read()`. docs/reliability.md says what each one counts."""

from collections import Counter

COUNTERS = (
    "syncs_total",
    "frames_withheld",
    "frames_dropped",
    "sockets_resynced",
    "sockets_too_slow",
    "sockets_rate_limited",
    "commands_refused",
    "commands_rate_limited",
    "runs_reaped",
    "runs_adopted",
    "database_away",
    "layer_away",
)

_counted: Counter[str] = Counter()


def count(name: str, number: int = 1) -> None:
    """Add `number` to a counter, one of COUNTERS."""
    assert name in COUNTERS, name
    _counted[name] += number


def read() -> dict[str, int]:
    """The value of every counter, by name."""
    return {name: _counted[name] for name in COUNTERS}
