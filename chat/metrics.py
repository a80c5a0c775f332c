"""What this process counts and measures, since it started. METRICS lists everything; docs/monitoring.md explains it.

count("frames_withheld_total")                                    adds to a counter
observe("first_token_seconds", 0.8, "openai:gpt-4o", "assistant")  adds to a histogram
read()                                                            the counters, by name
series()                                                          counters and histograms, with their labels

Gauges are read when somebody asks for them (`monitoring/measure.py`). Cheap: about a microsecond each.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeVar

from msgspec import Struct

T = TypeVar("T")


class Metric(NamedTuple):
    """A metric of one process. Its name in Prometheus has the prefix `nous_chat_`."""

    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram, in seconds."""


QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Buckets of what should take no time."""

SLOW = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0)
"""Buckets of what a model, or a queue, takes."""

METRICS: dict[str, Metric] = {
    "runs_total": Metric("counter", "Runs that ended.", ("status", "model", "agent")),
    "run_errors_total": Metric("counter", "Runs that ended with an error.", ("code", "model", "agent")),
    "tokens_total": Metric("counter", "Tokens of runs that ended.", ("kind", "model", "agent")),
    "streamed_characters_total": Metric("counter", "Characters of text and thinking streamed.", ("model", "agent")),
    "runs_active": Metric("gauge", "Runs that this process is making.", ("model", "agent")),
    "runs_queued": Metric("gauge", "Runs that wait in this process."),
    "run_silence_seconds": Metric("gauge", "Longest time since a run in progress last heard from its model."),
    "breaker_open": Metric("gauge", "1 if this process does not ask a model, else 0.", ("provider", "model")),
    "queue_seconds": Metric("histogram", "Time from a question to the start of its run.", (), SLOW),
    "first_token_seconds": Metric(
        "histogram", "Time from the start of a run to its first token.", ("model", "agent"), SLOW
    ),
    "delta_lag_seconds": Metric("histogram", "Time from a delta of the model to a reader's socket.", (), QUICK),
    "sockets": Metric("gauge", "Open sockets and event streams.", ("kind",)),
    "sockets_resynced_total": Metric("counter", "Sockets that got a new snapshot."),
    "sockets_too_slow_total": Metric("counter", "Sockets closed because their reader did not keep up."),
    "sockets_rate_limited_total": Metric("counter", "Sockets closed because of too many sockets or frames."),
    "syncs_total": Metric("counter", "Gaps and silences that clients asked about."),
    "frames_withheld_total": Metric("counter", "Frames not sent to readers who were behind."),
    "frames_dropped_total": Metric("counter", "Messages that the channel layer did not accept."),
    "commands_refused_total": Metric("counter", "Commands answered with an error."),
    "commands_rate_limited_total": Metric("counter", "Commands answered with rate_limited."),
    "runs_reaped_total": Metric("counter", "Runs of dead processes that this process ended."),
    "runs_adopted_total": Metric("counter", "Queued runs without a process that this process adopted."),
    "database_up": Metric("gauge", "1 if the database answers, 0 during an outage."),
    "database_away_total": Metric("counter", "Outages of the database."),
    "database_queue": Metric("gauge", "Units of work that wait for the database thread."),
    "database_queue_seconds": Metric("histogram", "Time that a unit of work waits for the thread.", (), QUICK),
    "layer_up": Metric("gauge", "1 if a server of the channel layer answers, 0 during an outage.", ("server",)),
    "layer_away_total": Metric("counter", "Outages of servers of the channel layer."),
    "event_loop_lag_seconds": Metric("histogram", "How late timers of the event loop are.", (), QUICK),
    "cpu_seconds_total": Metric("counter", "CPU time of the process."),
    "start_time_seconds": Metric("gauge", "When the process started, as Unix time."),
}
"""Everything that a process reports, by name without the prefix."""

GAUGED = ("cpu_seconds_total",)
"""Counters that are read like gauges: the system keeps them."""

COUNTERS = tuple(name for name, metric in METRICS.items() if metric.kind == "counter" and name not in GAUGED)

OTHER = "other"
"""Stands for all values of a label that are not worth a series of their own."""

MAX_SERIES = 500
"""Series of one metric. What would need another one counts as OTHER."""


class Series(Struct, frozen=True, array_like=True):
    """The value of a metric for one set of labels: the sum of what was observed, if it is a histogram."""

    name: str
    labels: tuple[str, ...]
    value: float
    counts: tuple[int, ...] = ()
    """Of a histogram: how many observations each bucket has alone, and in the end how many exceed all buckets."""


_counted: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in COUNTERS}
_observed: dict[str, dict[tuple[str, ...], list[float]]] = {
    name: {} for name, metric in METRICS.items() if metric.kind == "histogram"
}
"""By labels: the count of each bucket, of what exceeds all, and the sum."""


def count(name: str, number: int = 1, *labels: str) -> None:
    """Add `number` to a counter, one of COUNTERS. `labels` are the values of its labels, in their order."""
    counted = _counted[name]
    if labels not in counted:
        labels = _admit(name, labels, len(counted))
    counted[labels] += number


def observe(name: str, value: float, *labels: str) -> None:
    """Add a value, in seconds, to a histogram."""
    observed = _observed[name]
    buckets = METRICS[name].buckets
    counts = observed.get(labels)
    if counts is None:
        labels = _admit(name, labels, len(observed))
        counts = observed.setdefault(labels, [0] * (len(buckets) + 2))
    counts[bisect_left(buckets, value)] += 1
    counts[-1] += value


def _admit(name: str, labels: tuple[str, ...], series: int) -> tuple[str, ...]:
    assert len(labels) == len(METRICS[name].labels), f"{name} needs {METRICS[name].labels}"
    return labels if series < MAX_SERIES else (OTHER,) * len(labels)


def read() -> dict[str, int]:
    """The value of every counter, by name, summed over its labels."""
    return {name: counted.total() for name, counted in _counted.items()}


def series() -> Iterator[Series]:
    """All counters and histograms. Those without labels are there from the start."""
    for name, counted in _counted.items():
        for labels, value in (counted or _initial(name, 0)).items():
            yield Series(name, labels, value)
    for name, observed in _observed.items():
        nothing = [0.0] * (len(METRICS[name].buckets) + 2)
        for labels, counts in (observed or _initial(name, nothing)).items():
            yield Series(name, labels, counts[-1], tuple(int(number) for number in counts[:-1]))


def _initial(name: str, value: T) -> dict[tuple[str, ...], T]:
    return {} if METRICS[name].labels else {(): value}
