"""Results in, tables and verdicts out, as Markdown that also reads well in a terminal. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .engine import EngineCosts
from .targets import RELAY
from .windows import Burst, Stops, Texts, Window

MOST_LAG = 150.0
MOST_RATIO = 1.3
MOST_PACED, MOST_UNPACED, MOST_LINEAR = 150.0, 50.0, 2.2
AT = 50
"""Streams at which the goals count."""


@dataclass
class Memory:
    """MiB resident: when it was warm, and after everything."""

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
    memory: list[Memory] = field(default_factory=list)
    engine: EngineCosts | None = None
    missing: dict[str, str] = field(default_factory=dict)
    busy: float = 0.0
    """Part of a core that something else took before the run began."""

    def relay_cpu(self, streams: int) -> float:
        """The relay is measured before the sites and again after them: the mean of both."""
        costs = [w.cpu_us for w in self.windows if w.target == RELAY and w.streams == streams]
        return sum(costs) / len(costs) if costs else 0.0


def render(results: Results) -> str:
    parts = ["\n".join(results.machine)]
    if results.busy > 0.25:
        parts.append(f"The machine was busy before the run: {results.busy:.0%} of a core went elsewhere.")
    if results.windows:
        parts += ["## Streams", _windows(results)]
    if results.fan_out:
        parts += ["## Fan-out", _fan_out(results.fan_out)]
    if results.bursts:
        parts += ["## All at once", _bursts(results.bursts)]
    if results.stops:
        parts += ["## Stop", _stops(results.stops)]
    if results.memory:
        parts += ["## Memory", _memory(results.memory)]
    if results.engine:
        parts += ["## The engine alone", _engine(results.engine)]
    parts += ["## Goals", "\n".join(_goals(results))]
    doubts = [
        f"- {w.target}, {w.streams} streams: {doubt}"
        for w in [*results.windows, *results.fan_out]
        for doubt in w.shares.doubts
    ]
    if doubts:
        parts += ["## Doubtful windows", "\n".join(doubts)]
    return "\n\n".join(parts)


def _windows(results: Results) -> str:
    rows = []
    for w in results.windows:
        relay = results.relay_cpu(w.streams)
        rows.append(
            (
                w.target,
                w.streams,
                f"{w.cpu_us:.0f}",
                f"{w.cpu_us / relay:.2f}" if relay else "",
                f"{w.lag_p50:.0f}",
                f"{w.lag_p99:.0f}",
                f"{w.first_ms:.1f}",
                _delivered(w.texts),
                *(f"{share:.0%}" for share in _shares(w)),
            )
        )
    rows += [(name, f"not available: {why}", *[""] * 11) for name, why in results.missing.items()]
    return _table(
        "server, streams, CPU us/delta, x relay, lag p50 ms, lag p99 ms, first delta +ms, delivered, "
        "server, Redis+DB, upstream, clients, others",
        rows,
    )


def _shares(w: Window) -> tuple[float, ...]:
    return w.shares.server, w.shares.aux, w.shares.upstream, w.shares.clients, w.shares.others


def _fan_out(windows: Iterable[Window]) -> str:
    return _table(
        "server, streams x viewers, CPU us/delivery, lag p50 ms, lag p99 ms, delivered, server, Redis+DB, upstream, "
        "clients, others",
        [
            (
                w.target,
                f"{w.streams} x {w.viewers}",
                f"{w.cpu_us:.0f}",
                f"{w.lag_p50:.0f}",
                f"{w.lag_p99:.0f}",
                _delivered(w.texts),
                *(f"{share:.0%}" for share in _shares(w)),
            )
            for w in windows
        ],
    )


def _bursts(bursts: Iterable[Burst]) -> str:
    return _table(
        "server, asked in one moment, first delta +ms median, max, delivered",
        [(b.target, b.streams, f"{b.first_median:.0f}", f"{b.first_max:.0f}", _delivered(b.texts)) for b in bursts],
    )


def _stops(stops: Iterable[Stops]) -> str:
    return _table(
        "server, stops, upstream closed after ms median, max, never",
        [(s.target, s.stops, f"{s.median:.1f}", f"{s.max:.1f}", s.missed) for s in stops],
    )


def _memory(memory: Iterable[Memory]) -> str:
    return _table(
        "server, RSS MiB warm, at the end, growth",
        [(m.target, f"{m.warm:.0f}", f"{m.end:.0f}", f"{m.end - m.warm:+.0f}") for m in memory],
    )


def _engine(costs: EngineCosts) -> str:
    rows = [
        ("50 streams of 50 deltas/s, CPU us/delta", f"{costs.paced:.0f}", f"{costs.paced_httpx:.0f}"),
        ("unpaced, CPU us/delta", f"{costs.unpaced:.1f}", f"{costs.unpaced_httpx:.1f}"),
        ("1 MB in 20,000 deltas, times half of it", f"{costs.linear:.2f}", ""),
    ]
    return _table(", engine, plain httpx", rows)


def _goals(results: Results) -> list[str]:
    goals = []
    for w in results.windows:
        if w.streams == AT and w.target != RELAY:
            ratio = w.cpu_us / relay if (relay := results.relay_cpu(AT)) else 0.0
            goals += [
                _goal(f"{w.target}: every delta delivered, byte-equal", w.texts.whole, _delivered(w.texts)),
                _goal(f"{w.target}: p99 lag under {MOST_LAG:.0f} ms", w.lag_p99 < MOST_LAG, f"{w.lag_p99:.0f} ms"),
            ]
            if ratio:
                goals.append(
                    _goal(f"{w.target}: CPU at most {MOST_RATIO} x the relay's", ratio <= MOST_RATIO, f"{ratio:.2f}")
                )
    if costs := results.engine:
        goals += [
            _goal(f"engine, paced: at most {MOST_PACED:.0f} us", costs.paced <= MOST_PACED, f"{costs.paced:.0f} us"),
            _goal(
                f"engine, unpaced: at most {MOST_UNPACED:.0f} us",
                costs.unpaced <= MOST_UNPACED,
                f"{costs.unpaced:.1f} us",
            ),
            _goal(
                f"engine, long answer: at most {MOST_LINEAR} times", costs.linear <= MOST_LINEAR, f"{costs.linear:.2f}"
            ),
        ]
    return goals or [f"They count at {AT} streams, which this run did not measure."]


def _goal(what: str, met: bool, found: str) -> str:
    return f"- {'met' if met else 'NOT MET'}: {what} ({found})"


def _delivered(texts: Texts) -> str:
    said = f"{texts.delivered}/{texts.expected}"
    if not texts.equal:
        said += " TEXT DIFFERS"
    if texts.gaps:
        said += f" {texts.gaps} gaps"
    return " ".join([said, *texts.failures])


def _table(header: str, rows: Sequence[Sequence[object]]) -> str:
    lines = [[name.strip() for name in header.split(",")], *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    padded = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |" for line in lines]
    return "\n".join([padded[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *padded[1:]])
