"""Documents that many people write, and documents that agents write."""

from collections.abc import Iterable

from ..typists import Typing
from ..writing import Writing
from .tables import goal, table

MAX_REACH = 150.0
MAX_CPU = 150.0
MAX_FIRST = 15.0
MAX_WIRE = 1.5


def typing(measured: Iterable[Typing]) -> str:
    return table(
        "server, people, changes, all have it, p99, worst, missed, stale, changes/frame, CPU ms/change, others",
        [
            (
                t.target,
                t.people,
                t.changes,
                *(f"{ms:.0f}" for ms in (t.all, t.all_p99, t.worst)),
                t.missed,
                t.stale,
                f"{t.changes_per_frame:.1f}",
                f"{t.server_ms:.1f}",
                f"{t.others:.0%}",
            )
            for t in measured
        ],
    )


def writing(measured: Iterable[Writing]) -> str:
    return table(
        "server, documents, characters, CPU us/delta, frames, first ms, worst, lag p99 ms, bytes/text, equal",
        [
            (
                w.target,
                w.documents,
                f"{w.characters:,}",
                f"{w.cpu_us:.0f}",
                f"{w.frames:.0f}",
                *(f"{ms:.0f}" for ms in (w.first_ms, w.first_worst, w.lag_p99)),
                f"{w.wire:.2f}",
                "yes" if w.equal else "NO",
            )
            for w in measured
        ],
    )


def goals(typed: Iterable[Typing], written: Iterable[Writing]) -> list[str]:
    return [
        *(
            goal(
                f"{t.target}: a change of {t.people} people who type is at all of them within {MAX_REACH:.0f} ms (p99)",
                t.all_p99 <= MAX_REACH and not t.missed,
                f"{t.all_p99:.0f} ms",
            )
            for t in typed
        ),
        *(line for w in written for line in _writing_goals(w)),
    ]


def _writing_goals(w: Writing) -> list[str]:
    return [
        goal(
            f"{w.target}: {w.characters:,} characters arrive and are stored as they were sent",
            w.equal,
            f"lag {w.lag_p99:.0f} ms",
        ),
        goal(f"{w.target}: {MAX_CPU:.0f} us of CPU a delta", w.cpu_us <= MAX_CPU, f"{w.cpu_us:.0f} us"),
        goal(f"{w.target}: first characters in {MAX_FIRST:.0f} ms", w.first_ms <= MAX_FIRST, f"{w.first_ms:.0f} ms"),
        goal(f"{w.target}: {MAX_WIRE} times the text on the wire", w.wire <= MAX_WIRE, f"{w.wire:.2f}"),
    ]
