"""What this process has counted since it began: `metrics.read()`. docs/reliability.md says what each counter means."""

from collections import Counter

COUNTERS = (
    "gaps_total",
    "frames_withheld",
    "frames_not_taken",
    "sockets_renewed",
    "sockets_too_slow",
    "commands_refused",
    "commands_rate_limited",
    "runs_reaped",
    "runs_taken_up",
    "database_away",
    "layer_away",
)

_counted: Counter[str] = Counter()


def count(name: str, number: int = 1) -> None:
    """Add to one of COUNTERS."""
    assert name in COUNTERS, name
    _counted[name] += number


def read() -> dict[str, int]:
    """Every counter by its name."""
    return {name: _counted[name] for name in COUNTERS}
