"""`python -m tests.benchmarks.openings [MESSAGES]`: what the units of work of opening a socket take, for one socket and
for sockets that wait at the same time, in conversations with so many messages (10). docs/performance.md explains the
table.

In the database of DATABASE_URL, where it leaves its rows, or in a new SQLite. In one thread and without a server, so
that the time is that of the unit of work alone; PostgreSQL's own time is only in the second column of milliseconds.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import django
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

TOGETHER = (1, 10, 50)
"""How many sockets wait at the same time."""

ROUNDS = 30


def main(messages: int) -> None:
    from django.contrib.auth import get_user_model

    from chat import store
    from chat.models import Conversation, Message, Run
    from chat.protocol import events

    from .people import session_cookie

    def prepare() -> tuple[str, tuple[Any, Any]]:
        """The session of a new user, and a conversation of theirs."""
        user = get_user_model()._default_manager.create(username=uuid4().hex)
        room = store.create_conversation(user).id
        rows = Message.objects.bulk_create(
            Message(
                conversation_id=room,
                seq=seq,
                role="user" if seq % 2 else "assistant",
                author=user if seq % 2 else None,
                text="Some words of text. " * 5,
            )
            for seq in range(1, messages + 1)
        )
        Run.objects.bulk_create(
            Run(conversation_id=room, message=row, agent="assistant", status="completed", launched_by=user)
            for row in rows
            if row.role == "assistant"
        )
        Conversation.objects.filter(pk=room).update(last_seq=messages)
        return session_cookie(user).partition("=")[2], (user.pk, room)

    sessions, readers = zip(*(prepare() for _ in range(max(TOGETHER))), strict=True)
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
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("DATABASE_URL", f"sqlite:///{Path(folder, 'db.sqlite3')}")
        django.setup()
        call_command("migrate", verbosity=0)
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
