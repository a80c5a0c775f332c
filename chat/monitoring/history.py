"""The last hour of this process, minute by minute, in memory: what a watcher sees of the time before they came."""

import time
from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from ..metrics import METRICS, OTHER, Series

MINUTES = 60
"""How many minutes are kept."""

SAMPLE_EVERY = 5.0
"""Seconds between two looks at the gauges while nobody watches."""

MAX_LABELS = 20
"""Series of one metric in a minute. The others are summed as OTHER."""

ADDED = (
    *("streamed_characters_total", "runs_total", "run_errors_total", "first_token_seconds", "delta_lag_seconds"),
    *("syncs_total", "sockets_too_slow_total"),
)
"""Counters and histograms of which a minute holds what was added."""

HIGHEST = ("runs_active", "runs_queued", "sockets", "database_queue", "run_silence_seconds")
"""Gauges of which a minute holds the highest sum over their labels."""


class Minute(Struct, frozen=True):
    """What a process measured in one minute, or in the part of it that has passed."""

    at: int
    """When it began, as Unix time by the clock of its server: a multiple of 60."""
    seconds: float
    """How much of it was measured."""
    series: tuple[Series, ...]
    """ADDED without what is zero, and HIGHEST without labels."""


class History:
    """The last MINUTES minutes. `note` is called with everything that the process measures, now and then."""

    def __init__(self) -> None:
        self._past: deque[Minute] = deque(maxlen=MINUTES)
        self._at: int | None = None
        """When the current minute began. None before the first `note`."""
        self._since = 0.0
        self._noted_at = 0.0
        self._base: dict[tuple[str, tuple[str, ...]], Series] = {}
        """The counters and histograms when the current minute began."""
        self._latest: dict[tuple[str, tuple[str, ...]], Series] = {}
        self._highest: dict[str, float] = {}

    def note(self, series: Iterable[Series]) -> None:
        """Take what the process measures right now."""
        at, found = time.time(), list(series)
        minute = int(at // 60) * 60
        latest = {(each.name, each.labels): each for each in found if each.name in ADDED}
        self._noted_at, self._latest = at, latest
        if minute != self._at:  # also if the clock was set back
            if self._at is not None:
                self._past.append(self._current())
            self._at, self._since, self._base, self._highest = minute, at, latest, {}
        sums: dict[str, float] = dict.fromkeys(HIGHEST, 0.0)
        for each in found:
            if each.name in sums:
                sums[each.name] += each.value
        self._highest = {name: max(value, self._highest.get(name, 0.0)) for name, value in sums.items()}

    def newest(self) -> tuple[Minute, ...]:
        """The current minute as far as it is noted, and the one before."""
        return () if self._at is None else (*list(self._past)[-1:], self._current())

    def all(self) -> tuple[Minute, ...]:
        """Everything that is kept, the oldest first."""
        return () if self._at is None else (*self._past, self._current())

    def _current(self) -> Minute:
        assert self._at is not None
        added: dict[str, list[Series]] = {}
        for key, series in self._latest.items():
            if (difference := _subtract(series, self._base.get(key))) is not None:
                added.setdefault(series.name, []).append(difference)
        highest = [Series(name, (), value) for name, value in self._highest.items()]
        bounded = [each for of in added.values() for each in _bounded(of)]
        return Minute(self._at, round(max(0.0, self._noted_at - self._since), 1), (*bounded, *highest))


def _subtract(series: Series, base: Series | None) -> Series | None:
    """What was added since `base`. None if nothing was."""
    if base is None:
        return series if series.value or any(series.counts) else None
    if series == base:
        return None
    counts = tuple(now - before for now, before in zip(series.counts, base.counts, strict=True))
    return Series(series.name, series.labels, round(series.value - base.value, 6), counts)


def _bounded(found: list[Series]) -> list[Series]:
    """At most MAX_LABELS series of one metric: the largest, and the sum of the others."""
    if len(found) <= MAX_LABELS:
        return found
    found = sorted(found, key=lambda series: -series.value)
    kept, others = found[: MAX_LABELS - 1], found[MAX_LABELS - 1 :]
    counts = tuple(map(sum, zip(*(series.counts for series in others), strict=True)))
    name = others[0].name
    labels = (OTHER,) * len(METRICS[name].labels)
    return [*kept, Series(name, labels, sum(series.value for series in others), counts)]
