"""Streams, fan-out, stops, memory: windows of one kind are merged, medians of costs, the worst of failures. CPU time is
scaled by the machine's speed during the window, so that ratios compare servers and not moments.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..measure import median
from ..targets import RELAY, SITES
from ..windows import Stops, Window
from .tables import delivered, goal, table

MAX_LAG = 150.0
MAX_RATIO = 1.3
GOAL_STREAMS = 50
"""The number of streams to which the goals apply."""

HEADER = (
    "server, streams, CPU us/delta, lowest, highest, x relay, deltas/frame, lag p50 ms, lag p99 ms, worst, "
    "first delta +ms, delivered, server, Redis+DB, upstream, clients, others"
)


@dataclass
class Memory:
    """Resident memory in MiB, after warming up and at the end."""

    target: str
    warm: float
    end: float


class Merged:
    """The windows of one server under one load. CPU times are scaled to the pace `par`."""

    def __init__(self, windows: Sequence[Window], par: float) -> None:
        first = windows[0]
        self.target, self.streams, self.viewers = first.target, first.streams, first.viewers
        costs = sorted(w.cpu_us * par / w.pace if w.pace else w.cpu_us for w in windows)
        self.cpu, self.lowest, self.highest = median(costs), costs[0], costs[-1]
        self.deltas_per_frame = median([w.deltas_per_frame for w in windows])
        self.lag_p50 = median([w.lag_p50 for w in windows])
        self.lag_p99 = median([w.lag_p99 for w in windows])
        self.worst_p99 = max(w.lag_p99 for w in windows)
        self.first = median([w.first_ms for w in windows])
        self.texts = first.texts.plus(*(w.texts for w in windows[1:]))
        names = ("server", "aux", "upstream", "clients", "others")
        self.shares = [median([getattr(w.shares, name) for w in windows]) for name in names]

    def cells(self, load: str, ratio: str) -> list[str]:
        return [
            self.target,
            load,
            f"{self.cpu:.0f}",
            f"{self.lowest:.0f}",
            f"{self.highest:.0f}",
            ratio,
            f"{self.deltas_per_frame:.1f}",
            f"{self.lag_p50:.0f}",
            f"{self.lag_p99:.0f}",
            f"{self.worst_p99:.0f}",
            f"{self.first:.0f}",
            delivered(self.texts),
            *(f"{share:.0%}" for share in self.shares),
        ]


def merge(windows: Sequence[Window], par: float) -> list[Merged]:
    """Merge the windows of each server and load, in the order of their first measurement."""
    kinds: dict[tuple[int, str], list[Window]] = {}
    for w in windows:
        kinds.setdefault((w.streams, w.target), []).append(w)
    return [Merged(same, par) for same in kinds.values()]


def ratio(one: Merged, merged: Iterable[Merged]) -> float:
    """CPU of a server divided by the relay's under the same load. 0 if the relay was not measured."""
    relay = next((m.cpu for m in merged if m.target == RELAY and m.streams == one.streams), 0.0)
    return one.cpu / relay if relay else 0.0


def streams(merged: list[Merged]) -> str:
    rows = [m.cells(str(m.streams), f"{ratio(m, merged):.2f}") for m in merged]
    return table(HEADER, rows)


def fan_out(merged: list[Merged]) -> str:
    return table(HEADER, [m.cells(f"{m.streams} x {m.viewers}", "") for m in merged])


def stops(measured: Iterable[Stops]) -> str:
    return table(
        "server, stops, upstream closed after ms median, max, never",
        [(s.target, s.stops, f"{s.median:.1f}", f"{s.max:.1f}", s.missed) for s in measured],
    )


def memory(measured: Iterable[Memory]) -> str:
    return table(
        "server, RSS MiB when warm, at the end, growth",
        [(m.target, f"{m.warm:.0f}", f"{m.end:.0f}", f"{m.end - m.warm:+.0f}") for m in measured],
    )


def goals(merged: list[Merged]) -> list[str]:
    found = []
    for m in merged:
        if m.streams == GOAL_STREAMS and m.target in SITES:
            cpu_ratio = ratio(m, merged)
            found += [
                goal(f"{m.target}: every delta delivered, byte-equal", m.texts.whole, delivered(m.texts)),
                goal(f"{m.target}: p99 lag under {MAX_LAG:.0f} ms", m.lag_p99 < MAX_LAG, f"{m.lag_p99:.0f} ms"),
                goal(f"{m.target}: CPU at most {MAX_RATIO} x the relay's", cpu_ratio <= MAX_RATIO, f"{cpu_ratio:.2f}"),
            ]
    return found
