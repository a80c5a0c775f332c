"""`python -m tests.benchmarks.openings [MESSAGES]`: what the units of work of opening a socket take, for one socket and
for sockets that wait at the same time, in conversations with so many messages (10). docs/performance.md explains the
table.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any
from uuid import uuid4

from django.db import connection
from django.test.utils import CaptureQueriesContext

from .people import create_asker, session_cookie
from .units import measure_units

TOGETHER = (1, 10, 50)
"""How many sockets wait at the same time."""

ROUNDS = 30


def main(messages: int) -> None:
    from chat import store
    from chat.protocol import events

    askers = [create_asker(uuid4().hex, messages) for _ in range(max(TOGETHER))]
    sessions = [session_cookie(user).partition("=")[2] for user, _ in askers]
    readers = [(user.pk, room) for user, room in askers]
    (snapshot,) = store.read_snapshots(readers[:1])
    assert isinstance(snapshot, events.Snapshot)
    print(
        "| unit of work | sockets | statements | Python, ms a socket | until read, ms a socket |\n|---|---|---|---|---|"
    )
    for number in TOGETHER:
        _measure("find the user", number, lambda number=number: store.find_users(sessions[:number]))  # type: ignore[misc]
        _measure("read the snapshot", number, lambda number=number: store.read_snapshots(readers[:number]))  # type: ignore[misc]
    _measure("encode it", 1, lambda: events.encode(snapshot))


def _measure(name: str, number: int, work: Callable[[], Any]) -> None:
    cpu, wall = [], []
    for _ in range(ROUNDS):
        began, worked = time.perf_counter(), time.thread_time()
        work()
        cpu.append((time.thread_time() - worked) / number)
        wall.append((time.perf_counter() - began) / number)
    with CaptureQueriesContext(connection) as captured:
        work()
    figures = f"{median(cpu) * 1000:.2f} | {median(wall) * 1000:.2f}"
    print(f"| {name} | {number} | {len(captured)} | {figures} |")


if __name__ == "__main__":
    measure_units(main, 10)
