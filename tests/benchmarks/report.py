"""The report: results to tables and verdicts, in Markdown that reads well in a terminal. Pure.

The windows of one kind are merged: medians of costs, the worst of failures. CPU time is scaled by the machine's speed
during the window, so that ratios compare servers and not moments.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .engine import EngineCosts
from .measure import median, percentile
from .page import PageCosts
from .room import Room
from .targets import RELAY
from .windows import Burst, Stops, Texts, Window

MAX_LAG = 150.0
MAX_REACH = 100.0
MAX_RATIO = 1.3
MAX_PACED, MAX_UNPACED, MAX_LINEAR = 150.0, 50.0, 2.2
LATE = 20.0  # ms between frames: at 60 per second, one was missed
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


@dataclass
class Results:
    machine: list[str]
    windows: list[Window] = field(default_factory=list)
    fan_out: list[Window] = field(default_factory=list)
    bursts: list[Burst] = field(default_factory=list)
    stops: list[Stops] = field(default_factory=list)
    rooms: list[Room] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    engine: EngineCosts | None = None
    page: PageCosts | None = None
    missing: dict[str, str] = field(default_factory=dict)
    busy: float = 0.0
    """Share of a core that other processes took before the run."""


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
        self.texts = Texts(
            expected=sum(w.texts.expected for w in windows),
            delivered=sum(w.texts.delivered for w in windows),
            equal=all(w.texts.equal for w in windows),
            gaps=sum(w.texts.gaps for w in windows),
            failures=sorted({failure for w in windows for failure in w.texts.failures}),
        )
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
            _delivered(self.texts),
            *(f"{share:.0%}" for share in self.shares),
        ]


def merge(windows: Sequence[Window], par: float) -> list[Merged]:
    """Merge the windows of each server and load, in the order of their first measurement."""
    kinds: dict[tuple[int, str], list[Window]] = {}
    for w in windows:
        kinds.setdefault((w.streams, w.target), []).append(w)
    return [Merged(same, par) for same in kinds.values()]


def render(results: Results) -> str:
    par = median([w.pace for w in [*results.windows, *results.fan_out]])
    merged = merge(results.windows, par)
    parts = ["\n".join(results.machine)]
    if results.busy > 0.25:
        parts.append(f"The machine was busy before the run: other processes took {results.busy:.0%} of a core.")
    if merged:
        parts += ["## Streams", _streams(merged, results.missing)]
    if results.fan_out:
        rows = [m.cells(f"{m.streams} x {m.viewers}", "") for m in merge(results.fan_out, par)]
        parts += ["## Fan-out, per delta and viewer", _table(HEADER, rows)]
    if results.bursts:
        parts += ["## Started at once", _bursts(results.bursts)]
    if results.stops:
        parts += ["## Stop", _stops(results.stops)]
    if results.rooms:
        parts += [
            "## A conversation over two processes: ms from sending a message until everybody has it",
            _rooms(results.rooms),
        ]
    if results.memory:
        parts += ["## Memory", _memory(results.memory)]
    if results.engine:
        parts += ["## The engine alone", _engine(results.engine)]
    if results.page:
        parts += ["## A page", _page(results.page)]
    goals = [*_goals(merged, results.engine), *_room_goals(results.rooms), *_page_goals(results.page)]
    parts += ["## Goals", "\n".join(goals)]
    if doubts := _doubts([*results.windows, *results.fan_out]):
        parts += ["## Doubtful windows", "\n".join(doubts)]
    return "\n\n".join(parts)


def ratio(one: Merged, merged: Iterable[Merged]) -> float:
    """CPU of a server divided by the relay's under the same load. 0 if the relay was not measured."""
    relay = next((m.cpu for m in merged if m.target == RELAY and m.streams == one.streams), 0.0)
    return one.cpu / relay if relay else 0.0


def _streams(merged: list[Merged], missing: dict[str, str]) -> str:
    rows = [m.cells(str(m.streams), f"{ratio(m, merged):.2f}") for m in merged]
    rows += [[name, f"not available: {why}", *[""] * 15] for name, why in missing.items()]
    return _table(HEADER, rows)


def _bursts(bursts: Iterable[Burst]) -> str:
    return _table(
        "server, streams started at once, first delta +ms median, max, delivered",
        [(b.target, b.streams, f"{b.first_median:.0f}", f"{b.first_max:.0f}", _delivered(b.texts)) for b in bursts],
    )


def _stops(stops: Iterable[Stops]) -> str:
    return _table(
        "server, stops, upstream closed after ms median, max, never",
        [(s.target, s.stops, f"{s.median:.1f}", f"{s.max:.1f}", s.missed) for s in stops],
    )


def _rooms(rooms: Iterable[Room]) -> str:
    return _table(
        "server, sockets, messages, ack, half have it, all have it, p95, worst, missed, CPU ms/message, others",
        [
            (
                r.target,
                r.sockets,
                r.posts,
                *(f"{ms:.0f}" for ms in (r.ack, r.half, r.all, r.all_p95, r.worst)),
                r.missed,
                f"{r.server_ms:.0f}",
                f"{r.others:.0%}",
            )
            for r in rooms
        ],
    )


def _room_goals(rooms: Iterable[Room]) -> list[str]:
    return [
        _goal(
            f"{r.target}: a message reaches {r.sockets} sockets of two processes in under {MAX_REACH:.0f} ms (p95)",
            r.all_p95 < MAX_REACH and not r.missed,
            f"{r.all_p95:.0f} ms",
        )
        for r in rooms
    ]


def _memory(memory: Iterable[Memory]) -> str:
    return _table(
        "server, RSS MiB when warm, at the end, growth",
        [(m.target, f"{m.warm:.0f}", f"{m.end:.0f}", f"{m.end - m.warm:+.0f}") for m in memory],
    )


def _engine(costs: EngineCosts) -> str:
    rows = [
        ("50 streams of 50 deltas/s: CPU us/delta", f"{costs.paced:.0f}", f"{costs.paced_httpx:.0f}"),
        ("unpaced: CPU us/delta", f"{costs.unpaced:.1f}", f"{costs.unpaced_httpx:.1f}"),
        ("1 MB in 20,000 deltas, compared with half of it: times", f"{costs.linear:.2f}", ""),
    ]
    return _table("cost, engine, plain httpx", rows)


def _goals(merged: list[Merged], costs: EngineCosts | None) -> list[str]:
    goals = []
    for m in merged:
        if m.streams == GOAL_STREAMS and m.target != RELAY:
            cpu_ratio = ratio(m, merged)
            goals += [
                _goal(f"{m.target}: every delta delivered, byte-equal", m.texts.whole, _delivered(m.texts)),
                _goal(f"{m.target}: p99 lag under {MAX_LAG:.0f} ms", m.lag_p99 < MAX_LAG, f"{m.lag_p99:.0f} ms"),
                _goal(f"{m.target}: CPU at most {MAX_RATIO} x the relay's", cpu_ratio <= MAX_RATIO, f"{cpu_ratio:.2f}"),
            ]
    if costs:
        limits = [
            ("paced: at most {} us", MAX_PACED, costs.paced),
            ("unpaced: at most {} us", MAX_UNPACED, costs.unpaced),
            ("long answer: at most {} times half of it", MAX_LINEAR, costs.linear),
        ]
        goals += [_goal(f"engine, {goal.format(limit)}", cost <= limit, f"{cost:.2f}") for goal, limit, cost in limits]
    return goals or [f"The goals apply to {GOAL_STREAMS} streams, which this run did not measure."]


def _page(costs: PageCosts) -> str:
    first, last = costs.tenths[0], costs.tenths[-1]
    rows = [
        (f"{costs.characters:,} characters streamed: s", f"{costs.seconds:.1f}"),
        ("main thread busy during that time", f"{costs.share:.0%}"),
        ("first tenth, last tenth: ms busy", f"{first.busy * 1000:.0f}, {last.busy * 1000:.0f}"),
        ("scripts, layout and style: ms", f"{costs.script * 1000:.0f}, {costs.layout * 1000:.0f}"),
        ("tasks over 50 ms", len(costs.long_tasks)),
        ("longest task: ms", f"{max(costs.long_tasks, default=0):.0f}"),
        (f"{costs.messages:,} messages opened: s", f"{costs.opened:.2f}"),
        ("loading the older messages, longest task: ms", f"{max(costs.load_tasks, default=0):.0f}"),
        (f"scrolling, late frames of {len(costs.frames)}", sum(frame > LATE for frame in costs.frames)),
        ("scrolling, ms between frames: p50, p95", f"{_frame(costs, 50):.1f}, {_frame(costs, 95):.1f}"),
    ]
    return _table("cost, page", rows)


def _frame(costs: PageCosts, percent: float) -> float:
    return percentile(costs.frames, percent)


def _page_goals(costs: PageCosts | None) -> list[str]:
    if costs is None:
        return []
    return [
        _goal("page: shows the whole answer", costs.whole, f"{costs.characters:,} characters"),
        _goal("page: no task over 50 ms", not costs.long_tasks, str([round(task) for task in costs.long_tasks])),
        _goal("page: the last tenth costs at most 1.3 times the first", costs.growth <= 1.3, f"{costs.growth:.2f}"),
        _goal("page: main thread busy less than 25 %", costs.share < 0.25, f"{costs.share:.0%}"),
        _goal(f"page: {costs.messages:,} messages open in under 1 s", costs.opened < 1, f"{costs.opened:.2f} s"),
        _goal("page: scrolls at 60 frames per second", _frame(costs, 95) < 17.5, f"p95 {_frame(costs, 95):.1f} ms"),
    ]


def _goal(goal: str, met: bool, result: str) -> str:
    return f"- {'met' if met else 'NOT MET'}: {goal} ({result})"


def _doubts(windows: Iterable[Window]) -> list[str]:
    """Windows that other work disturbed: one line for each server and load."""
    doubts: dict[str, list[str]] = {}
    for w in windows:
        for doubt in w.doubts:
            doubts.setdefault(f"{w.target}, {w.streams} x {w.viewers}", []).append(doubt)
    return [f"- {kind}: {'; '.join(found)}" for kind, found in doubts.items()]


def _delivered(texts: Texts) -> str:
    cell = f"{texts.delivered}/{texts.expected}"
    if not texts.equal:
        cell += " TEXT DIFFERS"
    if texts.gaps:
        cell += f" {texts.gaps} gaps"
    return " ".join([cell, *texts.failures])


def _table(header: str, rows: Sequence[Sequence[object]]) -> str:
    lines = [[name.strip() for name in header.split(",")], *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    padded = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |" for line in lines]
    return "\n".join([padded[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *padded[1:]])
