"""What monitoring costs."""

from collections.abc import Iterable

from ..monitoring import Difference, Flood, Tracing, Watching
from .tables import goal, table

MAX_UNWATCHED, MAX_WATCHED = 0.005, 0.05
"""Shares of a core."""
MAX_LAG_RATIO = 1.25
"""Of the lag of streams next to a flood of log lines that somebody reads, to that without the flood."""
MAX_GROWTH = 2.0
"""MiB."""


def watching(measured: Iterable[Watching]) -> str:
    return table(
        "server, streams, % of a core without, nobody watches, of its CPU, one watches, of its CPU, reports/s, others",
        [
            (
                w.target,
                w.streams,
                f"{w.base:.1%}",
                _share(w.unwatched),
                f"{w.unwatched.mean / w.base:+.1%}",
                _share(w.watched),
                f"{w.watched.mean / w.base:+.1%}",
                f"{w.reports:.2f}",
                f"{w.shares.others:.0%}",
            )
            for w in measured
        ],
    )


def _share(found: Difference) -> str:
    return f"{found.mean:+.2%} ± {found.error:.2%}"


FLOODS = {"none": "no flood", "unread": "nobody keeps the lines", "read": "kept and read"}


def floods(measured: Iterable[Flood]) -> str:
    return table(
        "server, streams, 10 000 lines/s, % of a core, lag p50 ms, lag p99 ms, lines read, left out, MiB",
        [
            (
                f.target,
                f.streams,
                name,
                f"{f.cpu[state]:.1%}",
                f"{f.lag_p50[state]:.0f}",
                f"{f.lag_p99[state]:.0f}",
                *((f.lines, f"{f.dropped:,}", f"{f.warm:.0f} to {f.end:.0f}") if state == "read" else ("", "", "")),
            )
            for f in measured
            for state, name in FLOODS.items()
        ],
    )


def tracing(measured: Iterable[Tracing]) -> str:
    return table(
        "server, deltas, CPU ms/answer without traces, with traces, x, others",
        [
            (
                t.target,
                t.deltas,
                f"{t.off:.2f}",
                f"{t.traced.mean:+.2f} ± {t.traced.error:.2f}",
                f"{1 + t.traced.mean / t.off:.3f}",
                f"{t.shares.others:.0%}",
            )
            for t in measured
        ],
    )


def goals(watched: Iterable[Watching], flooded: Iterable[Flood]) -> list[str]:
    """Next to streams, what monitoring takes while nobody watches is less than the error, so the idle site decides."""
    found = []
    for w in watched:
        name = f"{w.target}, {w.streams} streams: monitoring takes at most"
        if not w.streams:
            nobody = w.unwatched.mean + w.unwatched.error <= MAX_UNWATCHED
            found.append(goal(f"{name} {MAX_UNWATCHED:.1%} of a core, nobody watches", nobody, _share(w.unwatched)))
        one = w.watched.mean + w.watched.error <= MAX_WATCHED
        found.append(goal(f"{name} {MAX_WATCHED:.0%} of a core, one person watches", one, _share(w.watched)))
    for f in flooded:
        ratio = f.lag_p99["read"] / f.lag_p99["none"] if f.lag_p99["none"] else 0.0
        found += [
            goal(
                f"{f.target}: next to 10,000 log lines a second, p99 lag at most {MAX_LAG_RATIO} times",
                ratio <= MAX_LAG_RATIO,
                f"{ratio:.2f}",
            ),
            goal(
                f"{f.target}: that flood adds at most {MAX_GROWTH:.0f} MiB of memory",
                f.end - f.warm <= MAX_GROWTH,
                f"{f.end - f.warm:+.1f} MiB",
            ),
        ]
    return found
