"""The servers of a benchmark: an upstream, the bare relay, and the site with each kind of layer and database.

`Bench` starts all of them before the first measurement and ends them after the last one.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ..support import servers
from ..support.servers import Database, Server, Site, environment, free_port, running
from .clients import RelayViewer, SiteViewer, Tally, Viewer
from .measure import cpu_seconds, resident_mib
from .peer import server as chainlit
from .peer.client import ChainlitViewer
from .people import Cast, Seat, Sizes

RELAY = "bare relay"
PEER = chainlit.NAME


@dataclass(frozen=True)
class Kind:
    """A configuration of the site."""

    layer: str
    database: str
    processes: int = 1

    def __str__(self) -> str:
        return f"{self.layer}, {self.database}" + (f", {self.processes} processes" if self.processes > 1 else "")


KINDS = (
    Kind("memory", "SQLite"),
    Kind("Redis", "SQLite"),
    Kind("Redis", "PostgreSQL"),
    Kind("Redis", "SQLite", 2),
    Kind("Redis", "PostgreSQL", 2),
)
SITES = [str(kind) for kind in KINDS]


class Target:
    """A server under test, of one process or several. `aux`: the pids of Redis and PostgreSQL, if they work for it."""

    def __init__(self, name: str, processes: list[Server], aux: tuple[int, ...] = ()) -> None:
        self.name, self.processes, self.aux = name, processes, aux
        self.resident = 0.0
        """MiB after warming up."""

    @property
    def ports(self) -> list[int]:
        return [process.port for process in self.processes]

    @property
    def pids(self) -> list[int]:
        return [process.process.pid for process in self.processes]

    def cpu_seconds(self) -> float:
        """CPU time of all processes."""
        return sum(map(cpu_seconds, self.pids))

    def resident_mib(self) -> float:
        return sum(map(resident_mib, self.pids))

    def audience(self, tally: Tally, viewers: int = 1, history: int = 0) -> list[Viewer]:
        """The viewers of one stream, in a conversation with so many earlier messages. The first of them asks for it."""
        return [RelayViewer(f"ws://127.0.0.1:{self.ports[0]}/", tally) for _ in range(viewers)]

    def note_memory(self) -> None:
        self.resident = self.resident_mib()


class SiteTarget(Target):
    """A site. Conversations are spread over its processes."""

    def __init__(self, kind: Kind, sites: list[Site], cast: Cast, aux: tuple[int, ...]) -> None:
        super().__init__(str(kind), list(sites), aux)
        self.kind, self.sites, self.cast = kind, sites, cast
        self._seats = {history: deque(seats) for history, seats in cast.alone.items()}
        self._turn = 0

    def audience(self, tally: Tally, viewers: int = 1, history: int = 0) -> list[Viewer]:
        seat = self._seats[history].popleft()
        if history:  # one message more or less makes no difference; new conversations are used once
            self._seats[history].append(seat)
        self._turn += 1
        headers = {"Cookie": seat.cookie}
        return [SiteViewer(self.address(seat, self._turn), tally, headers) for _ in range(viewers)]

    def address(self, seat: Seat, turn: int) -> str:
        """Where the socket of this conversation connects to: to the process whose turn it is."""
        return f"ws://127.0.0.1:{self.ports[turn % len(self.ports)]}/ws/chat/{seat.conversation}/"

    async def probe(self, action: str) -> list[Any]:
        """What each process answers to this action of tests/support/probe.py."""
        return await asyncio.gather(*(asyncio.to_thread(_post, f"{site.url}/probe/{action}") for site in self.sites))

    def kill(self) -> None:
        """A graceful end would only take time."""
        for site in self.sites:
            site.kill()

    async def restart(self) -> None:
        """Replace all processes by new ones on the same ports."""
        for number, site in enumerate(self.sites):
            await asyncio.to_thread(site.kill)
            self.sites[number] = await asyncio.to_thread(site.restarted)
        self.processes = list(self.sites)


class PeerTarget(Target):
    """Chainlit. It keeps no conversations, so there are no earlier messages and no other readers."""

    def audience(self, tally: Tally, viewers: int = 1, history: int = 0) -> list[Viewer]:
        return [ChainlitViewer(self.ports[0], tally)]


def _post(url: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=30) as answer:
        return json.load(answer)


class Bench:
    """All servers. A context manager."""

    def __init__(
        self, kinds: list[Kind], sizes: Sizes, peer: bool = False, showcase: tuple[int, int] | None = None
    ) -> None:
        """With `showcase`, the sites also have so many conversations and messages that `nous_showcase` makes up."""
        self._kinds, self._sizes, self._with_peer, self._showcase = kinds, sizes, peer, showcase
        self.targets: list[Target] = []
        self.patience = 0.0
        """Seconds to wait for a quiet machine before each measurement."""

        self.missing: dict[str, str] = {}
        """Servers that cannot be measured here, and why."""

        self._databases: dict[str, tuple[Database, Cast]] = {}
        self._postgres: tuple[str, int] | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nous-bench-")))
            self.folder.chmod(0o755)
            self.upstream = stack.enter_context(_serving("upstream"))
            self.targets.append(Target(RELAY, [stack.enter_context(_serving("relay", self.upstream_url))]))
            for kind in self._kinds:
                if reason := _lacking(kind):
                    self.missing[str(kind)] = reason
                else:
                    self.targets.append(self._start_site(kind, stack))
            if self._with_peer:
                self._start_peer(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def upstream_url(self) -> str:
        return f"http://127.0.0.1:{self.upstream.port}"

    @property
    def sites(self) -> list[SiteTarget]:
        return [target for target in self.targets if isinstance(target, SiteTarget)]

    def report(self) -> dict[str, Any]:
        """The upstream's report since the last call."""
        with urllib.request.urlopen(f"{self.upstream_url}/streams", timeout=10) as answer:
            report: dict[str, Any] = json.load(answer)
            return report

    def administrate(self, env: dict[str, str]) -> dict[str, str]:
        """The environment of a program that administrates the site of this one."""
        return env | {"DJANGO_SETTINGS_MODULE": "tests.benchmarks.admin_settings", "FOLDER": str(self.folder)}

    def empty_database(self, name: str) -> str:
        """The URL of a migrated database of this kind, which has only the accounts of the tests."""
        database = Database(self.folder, self._postgres_url(self._stack) if name == "PostgreSQL" else None)
        self._stack.callback(database.drop)
        return database.copy()

    def _start_site(self, kind: Kind, stack: ExitStack) -> SiteTarget:
        aux: list[int] = []
        redis_url = None
        if kind.layer == "Redis":
            redis = servers.start_redis()
            stack.enter_context(running(redis))
            aux.append(redis.process.pid)
            redis_url = f"redis://127.0.0.1:{redis.port}/0"
        database, cast = self._database(kind.database, stack)
        if kind.database == "PostgreSQL" and self._postgres:
            aux.append(self._postgres[1])
        env = environment(
            DJANGO_SETTINGS_MODULE="tests.benchmarks.settings",
            DEBUG=None,
            ALLOWED_HOSTS="127.0.0.1",
            PLAIN_HTTP="1",
            DATABASE_URL=database.copy(),
            REDIS_URL=redis_url,
            NOUS_CHAT_MODEL="custom:bench",
            CUSTOM_BASE_URL=f"{self.upstream_url}/v1",
        )
        sites: list[Site] = []
        for _ in range(kind.processes):
            sites.append(Site(env, command=("tests.support.probed_server",), plain=True))
        target = SiteTarget(kind, sites, cast, tuple(aux))
        stack.callback(target.kill)
        return target

    def _start_peer(self, stack: ExitStack) -> None:
        if reason := chainlit.install():
            self.missing[PEER] = reason
        else:
            server = chainlit.start(self.upstream_url, self.folder)
            stack.enter_context(running(server))
            self.targets.append(PeerTarget(PEER, [server]))

    def _database(self, name: str, stack: ExitStack) -> tuple[Database, Cast]:
        """The database with the people that sites of this kind get copies of."""
        if name not in self._databases:
            url = self._postgres_url(stack) if name == "PostgreSQL" else None
            printed = []

            def fill(env: dict[str, str]) -> None:
                if self._showcase is not None:
                    _make_up(self.administrate(env), *self._showcase)
                printed.append(servers.run(["-m", "tests.benchmarks.people", self._sizes.dump()], env))

            database = Database(self.folder, url, fill=fill)
            stack.callback(database.drop)
            self._databases[name] = database, Cast.load(printed[0])
        return self._databases[name]

    def _postgres_url(self, stack: ExitStack) -> str:
        given = os.environ.get("DATABASE_URL", "")
        if given.startswith("postgres"):
            return given
        if self._postgres is not None:
            return self._postgres[0]
        programs = servers.postgres_programs()
        assert programs is not None
        self._postgres = stack.enter_context(servers.postgres(programs, self.folder / "postgres"))
        return self._postgres[0]


def _make_up(env: dict[str, str], conversations: int, messages: int) -> None:
    """Takes minutes if there are many."""
    numbers = ["--conversations", str(conversations), "--messages", str(messages)]
    command = [sys.executable, "manage.py", "nous_showcase", *numbers, "--verbosity", "0"]
    subprocess.run(command, env=env, cwd=servers.ROOT, check=True, stdout=subprocess.DEVNULL)


def _lacking(kind: Kind) -> str:
    """Why this kind of site cannot be started here, if so."""
    if kind.layer == "Redis" and servers.redis_binary() is None:
        return "no Redis or Valkey here"
    given = os.environ.get("DATABASE_URL", "").startswith("postgres")
    if kind.database == "PostgreSQL" and not given and servers.postgres_programs() is None:
        return "no PostgreSQL here, and none in DATABASE_URL"
    return ""


@contextmanager
def _serving(module: str, *arguments: str) -> Iterator[Server]:
    port = free_port()
    server = Server([sys.executable, "-m", f"tests.benchmarks.{module}", str(port), *arguments], port, plain=True)
    with running(server):
        yield server
