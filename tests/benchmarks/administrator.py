"""`python -m tests.benchmarks.administrator ACTION ...`: what `admin` measures inside the site. Prints JSON.

pages            every page of the admin, with the test client: milliseconds, statements
export FILE      seconds, memory
load FILE        the same of an import into this site
prune SECONDS    erases until there is nothing left, or the time is over; milliseconds of each transaction
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import django
import psutil

from ..support.statements import Statements

ROUNDS = 5
"""How often a page is measured, after a first time, which counts its statements."""


def pages() -> list[dict[str, Any]]:
    from django.contrib.auth import get_user_model
    from django.test import Client

    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(get_user_model().objects.get(username="root"))
    statements = Statements()
    found = []
    for name, address in _addresses().items():
        statements.start()
        answer = client.get(f"/admin/{address}")
        counted = statements.stop()
        assert answer.status_code == 200, (name, answer.status_code)
        took = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            client.get(f"/admin/{address}")
            took.append((time.perf_counter() - began) * 1000)
        found.append({"name": name, "took": took, "statements": counted["statements"]})
    return found


def _addresses() -> dict[str, str]:
    """Below /admin/, by what the pages show. The longest conversation is the one that is read."""
    from chat.models import Conversation, Document, Participant, Run, StoredAgent
    from chat.times import today

    room = Conversation.objects.filter(deleted_at=None).order_by("-last_seq")[0]
    run = Run.objects.filter(conversation=room)[0]
    document = Document.objects.filter(conversation__deleted_at=None)[0]
    person = Participant.objects.filter(conversation=room)[0].user.get_username()
    here, month = f"conversation/{room.pk}", f"updated_at__year={room.updated_at.year}&updated_at__month=1"
    year = f"spending/?first={today() - timedelta(days=365)}&last={today()}"
    below = {
        "conversations": "conversation/",
        "conversations of several people": "conversation/?shared=yes",
        "conversations of one person": f"conversation/?person={person}",
        "conversations of a month": f"conversation/?{month}",
        "conversations with rated answers": "conversation/?feedback=bad",
        "search in titles": "conversation/?q=contract",
        "search in messages": "conversation/?q=contract&in=messages",
        "conversation": f"{here}/change/",
        "delete a conversation": f"{here}/delete/",
        "transcript": f"{here}/transcript/",
        "search in a transcript": f"{here}/transcript/?q=contract",
        "runs of 30 days": "run/",
        "runs of 90 days": "run/?period=90",
        "runs of 90 days by agent": "run/?period=90&by=agent",
        "failed runs of 90 days": "run/?period=90&status__exact=failed",
        "run": f"run/{run.pk}/change/",
        "documents": "document/",
        "document": f"document/{document.pk}/change/",
        "spending of 30 days": "spending/",
        "spending of a year by person": f"{year}&by=person",
        "spending of a year by model": f"{year}&by=model",
        "spending of a year by day": f"{year}&by=day",
        "rows of spending": "spending/rows/",
        "erase a user, dry run": f"erasure/add/?username={person}",
    }
    lists = ("budget", "price", "breaker", "apitoken", "hold", "erasure", "pruning", StoredAgent._meta.model_name)
    below |= {str(name): f"{name}/" for name in lists}
    return {"index": ""} | {name: f"nous_chat/{address}" for name, address in below.items()}


def export(file: str) -> dict[str, Any]:
    from chat import store

    memory, written = _Memory(), 0
    began = time.perf_counter()
    with Path(file).open("wb") as output:
        for piece in store.export(store.Scope(), "jsonl"):
            written += output.write(piece)
            memory.sample(written)
    return {"seconds": time.perf_counter() - began, **memory.figures()}


def load(file: str) -> dict[str, Any]:
    from chat import store

    memory, done, failed = _Memory(), 0, 0
    began = time.perf_counter()
    with Path(file).open("rb") as lines:
        for imported in store.import_lines(lines):
            done += 1
            failed += imported.status != "imported"
            memory.sample(done)
    return {"seconds": time.perf_counter() - began, "failed": failed, **memory.figures()}


class _Memory:
    """MiB of this process: at most, and by how much it grew after the first tenth of the work."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._samples: list[tuple[int, int]] = []

    def sample(self, done: int) -> None:
        """So much work is done. Of many calls, most do nothing."""
        if not self._samples or done > self._samples[-1][0] * 1.01:
            self._samples.append((done, self._process.memory_info().rss))

    def figures(self) -> dict[str, float]:
        end, last = self._samples[-1]
        early = max(rss for done, rss in self._samples if done <= end / 10 or done == self._samples[0][0])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return {"peak_mib": peak / 2**20, "grown_mib": (last - early) / 2**20}


def prune(seconds: str) -> dict[str, Any]:
    from django.utils import timezone

    from chat import store

    erased, began, complete = store.Erased(), time.perf_counter(), True
    with Transactions() as transactions:
        for step in store.give_way(store.prune(timezone.now())):
            erased += step
            if time.perf_counter() - began > float(seconds):
                complete = False
                break
    figures = {"conversations": erased.conversations, "messages": erased.messages, "complete": complete}
    return figures | {"seconds": time.perf_counter() - began, "transactions": transactions.took}


class Transactions:
    """How long each transaction of the chat's connection is open, in milliseconds: from BEGIN to after COMMIT."""

    def __enter__(self) -> "Transactions":
        from chat import database

        connection: Any = database.connection()
        self._connection, self._set = connection, connection.set_autocommit
        self.took: list[float] = []
        self._began = 0.0
        connection.set_autocommit = self._switch
        return self

    def __exit__(self, *_: object) -> None:
        del self._connection.set_autocommit

    def _switch(self, autocommit: bool, *arguments: Any, **options: Any) -> None:
        if not autocommit:
            self._began = time.perf_counter()
        self._set(autocommit, *arguments, **options)
        if autocommit and self._began:  # not when the connection is opened
            self.took.append((time.perf_counter() - self._began) * 1000)
            self._began = 0.0


def main(action: str, *arguments: str) -> None:
    django.setup()
    actions: dict[str, Callable[..., Any]] = {"pages": pages, "export": export, "load": load, "prune": prune}
    print(json.dumps(actions[action](*arguments)))


if __name__ == "__main__":
    main(*sys.argv[1:])
