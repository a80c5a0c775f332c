"""The servers of a benchmark: an upstream, the bare relay, and the site with each kind of layer and database.

`Bench` starts all of them before the first measurement and ends them after the last one.
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from ..support.servers import (
    Database,
    Server,
    Site,
    environment,
    free_port,
    postgres,
    postgres_programs,
    redis_binary,
    running,
    start_redis,
)
from .clients import RelayViewer, SiteViewer, Tally, Viewer
from .measure import resident_mib

RELAY = "bare relay"
SITES = ("memory, SQLite", "Redis, SQLite", "Redis, PostgreSQL")


class Target:
    """A server under test. `aux` are the pids of Redis and PostgreSQL, if they work for it."""

    def __init__(self, name: str, server: Server, aux: tuple[int, ...] = ()) -> None:
        self.name, self.pid, self.aux = name, server.process.pid, aux
        self.port = server.port
        self.resident = 0.0
        """MiB after warming up."""

    def audience(self, tally: Tally, viewers: int = 1) -> list[Viewer]:
        """The viewers of one stream. The first of them asks for it."""
        return [RelayViewer(f"ws://127.0.0.1:{self.port}/", tally) for _ in range(viewers)]

    def note_memory(self) -> None:
        self.resident = resident_mib(self.pid)

    @property
    def is_site(self) -> bool:
        return self.name != RELAY


class SiteTarget(Target):
    """A site. `seats` are the users of people.py: those "alone" are used up one by one, those "together" share one
    conversation.
    """

    def __init__(self, name: str, site: Site, seats: dict[str, list[dict[str, str]]], aux: tuple[int, ...]) -> None:
        super().__init__(name, site, aux)
        self.site = site
        self.room = seats["together"]
        self._seats = seats["alone"]

    @property
    def spans_processes(self) -> bool:
        """Whether a second process of the site would get the events of this one."""
        return self.name.startswith("Redis")

    def audience(self, tally: Tally, viewers: int = 1) -> list[Viewer]:
        seat = self._seats.pop()
        address = f"ws://127.0.0.1:{self.port}/ws/chat/{seat['conversation']}/"
        return [SiteViewer(address, tally, {"Cookie": seat["cookie"]}) for _ in range(viewers)]


class Bench:
    """All servers. A context manager.

    `seats`: the number of streams that each site will serve. `together`: the number of users in one conversation.
    """

    def __init__(self, sites: list[str], seats: int, together: int = 0) -> None:
        self._sites, self._seats, self._together = sites, seats, together
        self.targets: list[Target] = []
        self.patience = 0.0
        """Seconds to wait for a quiet machine before each window."""

        self.missing: dict[str, str] = {}
        """Sites that cannot be measured here, and why."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nous-bench-")))
            self._folder.chmod(0o755)
            self.upstream = stack.enter_context(_serving("upstream"))
            self.targets.append(Target(RELAY, stack.enter_context(_serving("relay", self.upstream_url))))
            for name in self._sites:
                self._start_site(name, stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def upstream_url(self) -> str:
        return f"http://127.0.0.1:{self.upstream.port}"

    def report(self) -> dict[str, Any]:
        """The upstream's report since the last call."""
        with urllib.request.urlopen(f"{self.upstream_url}/streams", timeout=10) as answer:
            report: dict[str, Any] = json.load(answer)
            return report

    def _start_site(self, name: str, stack: ExitStack) -> None:
        aux: list[int] = []
        redis_url = database_url = None
        if name.startswith("Redis"):
            if redis_binary() is None:
                self.missing[name] = "no Redis or Valkey here"
                return
            redis = start_redis()
            stack.enter_context(running(redis))
            aux.append(redis.process.pid)
            redis_url = f"redis://127.0.0.1:{redis.port}/0"
        if name.endswith("PostgreSQL"):
            database_url = os.environ.get("DATABASE_URL", "")
            if not database_url.startswith("postgres"):
                if (found := postgres_programs()) is None:
                    self.missing[name] = "no PostgreSQL here, and none in DATABASE_URL"
                    return
                database_url, pid = stack.enter_context(postgres(found, self._folder / "postgres"))
                aux.append(pid)
        database = Database(self._folder, database_url)
        stack.callback(database.drop)
        env = environment(
            DEBUG=None,
            ALLOWED_HOSTS="127.0.0.1",
            PLAIN_HTTP="1",
            DATABASE_URL=database.copy(),
            REDIS_URL=redis_url,
            NOUS_CHAT_MODEL="custom:bench",
            CUSTOM_BASE_URL=f"{self.upstream_url}/v1",
        )
        people = [sys.executable, "-m", "tests.benchmarks.people", str(self._seats), str(self._together)]
        seats = json.loads(subprocess.run(people, env=env, check=True, stdout=subprocess.PIPE).stdout)
        site = Site(env, plain=True)
        stack.callback(site.kill)  # a graceful end would only take time
        self.targets.append(SiteTarget(name, site, seats, tuple(aux)))


@contextmanager
def _serving(module: str, *arguments: str) -> Iterator[Server]:
    port = free_port()
    server = Server([sys.executable, "-m", f"tests.benchmarks.{module}", str(port), *arguments], port, plain=True)
    with running(server):
        yield server
