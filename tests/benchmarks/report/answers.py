"""Whole answers, arrivals, reconnects, startup. Rounds are merged like the windows of streams."""

from collections.abc import Iterable, Sequence

from ..answers import Answers, Counts, Shape
from ..arrivals import Arrivals
from ..measure import median
from ..reconnects import Reconnects
from ..startup import Startup
from ..targets import PEER, RELAY, SITES
from .tables import delivered, goal, table

GOAL_ASKERS = 50
MAX_CPU, MAX_STATEMENTS, MAX_TRANSACTIONS = 8.0, 12.0, 2.0
"""Of an answer of one delta: milliseconds, and counts per answer."""

MAX_RATIOS = {RELAY: 0.75, PEER: 0.25}
"""CPU of an answer of 200 deltas, divided by that of these."""

MAX_FIRST, MAX_WORST, MAX_LAG = 400.0, 1000.0, 150.0
RATES = {1: 40, 2: 70}
"""Answers a second that one process and two sustain."""

MAX_RECONNECT, MAX_KIB, MAX_STARTUP = 10.0, 40.0, 1.5
POSTGRES = "PostgreSQL"
TWO = "2 processes"


class Merged:
    """The rounds of one server and shape. CPU times are scaled to the pace `par`."""

    def __init__(self, rounds: Sequence[Answers], counts: Counts | None, par: float) -> None:
        first = rounds[0]
        self.target, self.shape, self.streams, self.counts = first.target, first.shape, first.streams, counts
        self.cpu = median([a.cpu_ms * par / a.pace if a.pace else a.cpu_ms for a in rounds])
        self.first_p50 = median([a.first_p50 for a in rounds])
        self.first_p99 = median([a.first_p99 for a in rounds])
        self.first_worst = max(a.first_worst for a in rounds)
        self.lag_p50 = median([a.lag_p50 for a in rounds])
        self.lag_p99 = median([a.lag_p99 for a in rounds])
        self.texts = first.texts.plus(*(a.texts for a in rounds[1:]))


def merge(measured: Iterable[Answers], counts: Iterable[Counts], par: float) -> list[Merged]:
    """Merge the rounds of each server and shape, in the order of their first measurement."""
    kinds: dict[tuple[Shape, str], list[Answers]] = {}
    for a in measured:
        kinds.setdefault((a.shape, a.target), []).append(a)
    counted = {(c.shape, c.target): c for c in counts}
    return [Merged(rounds, counted.get(kind), par) for kind, rounds in kinds.items()]


def ratio(one: Merged, merged: Iterable[Merged], to: str = RELAY) -> float:
    """CPU of a server divided by that of another for answers of that length. 0 if the other was not measured."""
    others = [m for m in merged if m.target == to and m.shape.deltas == one.shape.deltas]
    return one.cpu / others[0].cpu if others and others[0].cpu else 0.0


def answers(merged: list[Merged]) -> str:
    return table(
        "server, askers, deltas, earlier messages, CPU ms/answer, x relay, statements alone, at once, "
        "transactions alone, at once, checks alone, at once, "
        "first delta +ms p50, p99, worst, lag of streams p50 ms, p99, delivered",
        [
            (
                m.target,
                m.shape.askers,
                m.shape.deltas,
                m.shape.history,
                f"{m.cpu:.1f}",
                f"{ratio(m, merged):.2f}",
                *_counts(m.counts),
                *(f"{ms:.0f}" for ms in (m.first_p50, m.first_p99, m.first_worst, m.lag_p50, m.lag_p99)),
                delivered(m.texts),
            )
            for m in merged
        ],
    )


def _counts(counts: Counts | None) -> list[str]:
    if counts is None:
        return [""] * 6
    return [
        f"{getattr(count, name):.1f}" if count else ""
        for name in ("statements", "transactions", "checks")
        for count in (counts.alone, counts.at_once)
    ]


def arrivals(measured: Iterable[Arrivals]) -> str:
    return table(
        "server, starts a second, starts, answered, first delta +ms p50, of the second half, p99, worst, "
        "CPU ms/answer, server, sustained",
        [
            (
                a.target,
                a.rate,
                a.starts,
                a.answered,
                *(f"{ms:.0f}" for ms in (a.first_p50, a.late_p50, a.first_p99, a.first_worst)),
                f"{a.cpu_ms:.1f}",
                f"{a.shares.server:.0%}",
                "yes" if a.sustained else "no",
            )
            for a in measured
        ],
    )


def reconnects(measured: Iterable[Reconnects]) -> str:
    return table(
        "server, sockets, half have their snapshot after s, 99 %, all, missed, attempts/socket, CPU ms/socket, "
        "lag of streams p50 ms, p99, KiB per idle socket",
        [
            (
                r.target,
                r.sockets,
                *(f"{seconds:.1f}" for seconds in (r.half, r.most, r.all)),
                r.missed,
                f"{r.attempts:.1f}",
                f"{r.cpu_ms:.1f}",
                f"{r.lag_p50:.0f}",
                f"{r.lag_p99:.0f}",
                f"{r.kib:.0f}",
            )
            for r in measured
        ],
    )


def startups(measured: Iterable[Startup]) -> str:
    return table(
        "server, listening after s, CPU s", [(s.target, f"{s.listening:.2f}", f"{s.cpu:.2f}") for s in measured]
    )


def goals(
    merged: list[Merged],
    arrived: Iterable[Arrivals],
    returned: Iterable[Reconnects],
    started: Iterable[Startup],
) -> list[str]:
    found = []
    for m in merged:
        if m.shape.askers == GOAL_ASKERS and m.target in SITES and POSTGRES in m.target and not m.shape.history:
            found += _answer_goals(m, merged)
    sustained: dict[str, int] = {}
    for a in arrived:
        sustained[a.target] = max(sustained.get(a.target, 0), a.rate * a.sustained)
    for target, rate in sustained.items():
        least = RATES[2 if TWO in target else 1]
        if target in SITES:
            found.append(goal(f"{target}: sustains {least} answers a second", rate >= least, f"{rate}"))
    for r in returned:
        back = f"{r.target}: {r.sockets} sockets back within {MAX_RECONNECT:.0f} s"
        found += [
            goal(back, r.all <= MAX_RECONNECT and not r.missed, f"{r.all:.1f} s, {r.missed} missed"),
            goal(f"{r.target}: meanwhile p99 lag under {MAX_LAG:.0f} ms", r.lag_p99 < MAX_LAG, f"{r.lag_p99:.0f} ms"),
            goal(f"{r.target}: an idle socket takes at most {MAX_KIB:.0f} KiB", r.kib <= MAX_KIB, f"{r.kib:.0f}"),
        ]
    for s in started:
        name = f"{s.target}: listens within {MAX_STARTUP} s"
        found.append(goal(name, s.listening <= MAX_STARTUP, f"{s.listening:.2f} s"))
    return found


def _answer_goals(m: Merged, merged: list[Merged]) -> list[str]:
    name = f"{m.target}, {m.shape.askers} answers of {m.shape.deltas}"
    found = [goal(f"{name}: all whole", m.texts.whole, delivered(m.texts))]
    if m.shape.deltas == 1:
        found.append(goal(f"{name}: at most {MAX_CPU:.0f} ms of CPU each", m.cpu <= MAX_CPU, f"{m.cpu:.1f} ms"))
        if m.counts and m.counts.alone:
            statements, transactions = m.counts.alone.statements, m.counts.alone.transactions
            met = statements <= MAX_STATEMENTS and transactions <= MAX_TRANSACTIONS
            counts = f"at most {MAX_STATEMENTS:.0f} statements in {MAX_TRANSACTIONS:.0f} transactions each"
            found.append(goal(f"{name}: {counts}", met, f"{statements:.1f} in {transactions:.1f}"))
    if m.shape.deltas == 200:
        for other, limit in MAX_RATIOS.items():
            if share := ratio(m, merged, other):
                found.append(goal(f"{name}: CPU at most {limit} x that of {other}", share <= limit, f"{share:.2f}"))
    first = f"first delta within {MAX_FIRST:.0f} ms (median) and {MAX_WORST:.0f} ms (worst)"
    return [
        *found,
        goal(
            f"{name}: {first}",
            m.first_p50 <= MAX_FIRST and m.first_worst <= MAX_WORST,
            f"{m.first_p50:.0f}, {m.first_worst:.0f} ms",
        ),
        goal(f"{name}: p99 lag of streams under {MAX_LAG:.0f} ms", m.lag_p99 < MAX_LAG, f"{m.lag_p99:.0f} ms"),
    ]
