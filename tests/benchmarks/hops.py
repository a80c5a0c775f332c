"""`python -m tests.benchmarks.hops [EARLIER]`: what the units of work of one answer take, in a conversation with so
many earlier messages (0). docs/performance.md explains the table.

In the database of DATABASE_URL, where it leaves its rows, or in a new SQLite. In one thread and without a server, so
that the time is that of the unit of work alone; PostgreSQL's own time is only in the second column of milliseconds.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any
from uuid import UUID, uuid4

import django
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

ROUNDS = 50
"""How many answers are measured, each in a conversation of its own."""

WARM_UP = 10
"""How many more go before, unmeasured."""

CONTROL = ("BEGIN", "COMMIT", "SET LOCAL")


def main(earlier: int) -> None:
    from django.contrib.auth import get_user_model

    from chat import engine, store
    from chat.models import Conversation, Message, Run

    model = get_user_model()
    usage = engine.Usage(10, 5, 15)

    def prepare() -> tuple[Any, UUID]:
        user = model._default_manager.create(username=uuid4().hex)
        room = store.create_conversation(user).id
        rows = Message.objects.bulk_create(
            Message(
                conversation_id=room,
                seq=seq,
                role="user" if seq % 2 else "assistant",
                author=user if seq % 2 else None,
                text="Some words of text. " * 5,
            )
            for seq in range(1, earlier + 1)
        )
        answers = [row for row in rows if row.role == "assistant"]
        Run.objects.bulk_create(
            Run(conversation_id=room, message=row, agent="assistant", status="completed") for row in answers
        )
        Conversation.objects.filter(pk=room).update(last_seq=earlier)
        return user, room

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
        for _name, work in hops(*prepare()):
            work()
    cpu: dict[str, list[float]] = {}
    wall: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name, work in hops(*prepare()):
            began, worked = time.perf_counter(), time.thread_time()
            work()
            cpu.setdefault(name, []).append(time.thread_time() - worked)
            wall.setdefault(name, []).append(time.perf_counter() - began)
    print("| unit of work | statements | Python, ms | until committed, ms |\n|---|---|---|---|")
    for name, work in hops(*prepare()):
        with CaptureQueriesContext(connection) as captured:
            work()
        statements = sum(not query["sql"].startswith(CONTROL) for query in captured.captured_queries)
        print(f"| {name} | {statements} | {mean(cpu[name]) * 1000:.2f} | {mean(wall[name]) * 1000:.2f} |")


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("DATABASE_URL", f"sqlite:///{Path(folder, 'db.sqlite3')}")
        django.setup()
        call_command("migrate", verbosity=0)
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
