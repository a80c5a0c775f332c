"""`python -m tests.benchmarks.hops [EARLIER]`: what the units of work of one answer take, in a conversation with so
many earlier messages (0). docs/performance.md explains the table.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any
from uuid import UUID, uuid4

from django.db import connection
from django.test.utils import CaptureQueriesContext

from .people import create_asker
from .units import measure_units

ROUNDS = 50
"""How many answers are measured, each in a conversation of its own."""

WARM_UP = 10
"""How many more go before, unmeasured."""

CONTROL = ("BEGIN", "COMMIT", "SET LOCAL")


def main(earlier: int) -> None:
    from chat import engine, store

    usage = engine.Usage(10, 5, 15)

    def hops(user: Any, room: UUID) -> list[tuple[str, Callable[[], Any]]]:
        """The units of work, in order, with the names of the hops."""
        posted: list[store.Posted] = []

        def post() -> None:
            words = "how are you"
            posted.append(
                store.post_message(user.pk, room, "How are you?", uuid4(), None, "h", words=words, run_id=uuid4())
            )

        def finish() -> None:
            started = posted[0].started
            assert started is not None
            ending = store.Ending(
                status="completed",
                written=store.Written(1, "Fine."),
                words="fine",
                usage=usage,
                charged_usage=usage,
                answer=started.message,
            )
            assert posted[0].start is not None
            store.finish_run(posted[0].start, "h", ending)

        return [("post and start", post), ("finish", finish), ("list", lambda: store.find_listings([room]))]

    for _ in range(WARM_UP):
        for _name, work in hops(*create_asker(uuid4().hex, earlier)):
            work()
    cpu: dict[str, list[float]] = {}
    wall: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name, work in hops(*create_asker(uuid4().hex, earlier)):
            began, worked = time.perf_counter(), time.thread_time()
            work()
            cpu.setdefault(name, []).append(time.thread_time() - worked)
            wall.setdefault(name, []).append(time.perf_counter() - began)
    print("| unit of work | statements | Python, ms | until committed, ms |\n|---|---|---|---|")
    for name, work in hops(*create_asker(uuid4().hex, earlier)):
        with CaptureQueriesContext(connection) as captured:
            work()
        statements = sum(not query["sql"].startswith(CONTROL) for query in captured.captured_queries)
        print(f"| {name} | {statements} | {median(cpu[name]) * 1000:.2f} | {median(wall[name]) * 1000:.2f} |")


if __name__ == "__main__":
    measure_units(main, 0)
