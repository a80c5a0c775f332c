"""A conversation of many people."""

from collections.abc import Iterable

from ..room import Room
from .tables import goal, table

MAX_REACH = 100.0


def rooms(measured: Iterable[Room]) -> str:
    return table(
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
            for r in measured
        ],
    )


def goals(measured: Iterable[Room]) -> list[str]:
    return [
        goal(
            f"{r.target}: a message reaches {r.sockets} sockets of two processes in under {MAX_REACH:.0f} ms (p95)",
            r.all_p95 < MAX_REACH and not r.missed,
            f"{r.all_p95:.0f} ms",
        )
        for r in measured
    ]
