"""The servers of an abuse run, all of them real: Redis, a database, two providers, and the processes of the site."""

import asyncio
import contextlib
import os
import re
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psutil

from ..support import servers
from ..support.servers import Database, Server, Site, Uvicorn, environment, free_port
from .people import Cast

ERROR = re.compile(r" (ERROR|CRITICAL) (?!django\.security\.|channels_redis\.)|^ERROR:")

BYSTANDER_PROCESS = 0
"""The process of the site that serves the bystander. Attackers use every process."""


class Target(msgspec.Struct):
    """What an attacker is told."""

    ports: list[int]
    pids: list[int]
    database: str
    cast: Cast
    turn: int = 0
    """Number of this attack. Attackers take turns, so that no one's rate limit is used up by the attack before."""


@dataclass(frozen=True)
class Configuration:
    """A row of the matrix."""

    database: str = "PostgreSQL"
    server: str = "daphne"
    processes: int = 1

    def __str__(self) -> str:
        return f"{self.database}, {self.server}, {self.processes} process{'es' if self.processes > 1 else ''}"


@dataclass
class Testbed:
    """The running servers."""

    __test__ = False  # no test class, whatever its name

    configuration: Configuration
    sites: list[Site]
    target: Target
    log: Path
    _read: int = field(default=0)

    async def memory(self, sites: Sequence[Site], seconds: float = 0, goal: float = 0) -> float:
        """MiB of these processes, after garbage was collected and free memory given back. Waits for at most `seconds`
        until they are no more than `goal`.
        """
        deadline = time.monotonic() + seconds
        while True:
            for site in sites:
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(_trim, site)
            found = self.resident(sites)
            if found <= goal or time.monotonic() >= deadline:
                return found
            await asyncio.sleep(0.5)

    def resident(self, sites: Sequence[Site]) -> float:
        """MiB of these processes now."""
        total = 0.0
        for site in sites:
            with contextlib.suppress(psutil.NoSuchProcess):
                total += psutil.Process(site.process.pid).memory_info().rss / 2**20
        return total

    def died(self) -> int:
        """How many processes of the site have ended."""
        return sum(site.process.poll() is not None for site in self.sites)

    async def restart(self) -> None:
        """Replace all processes of the site by new ones on the same ports, so that an attack is not judged by what an
        earlier one has left.
        """
        for number, site in enumerate(self.sites):
            await asyncio.to_thread(site.kill)
            self.sites[number] = await asyncio.to_thread(site.restarted)
        self.target.pids = [site.process.pid for site in self.sites]

    def complaints(self) -> list[str]:
        """Lines of the log since the last call that tell of an error: records of that level, and ends of tracebacks.

        A line of `django.security` is no error: it is how Django reports a refused request. Nor is one of
        channels_redis, which the chat survives: on a busy machine, it cannot always leave a channel in time.
        """
        with self.log.open(errors="replace") as file:
            file.seek(self._read)
            lines = file.read().splitlines()
            self._read = file.tell()
        found = [line for line in lines if ERROR.search(line)]
        for number, line in enumerate(lines):
            if line.startswith("Traceback"):
                rest = lines[number + 1 :]
                found.append(
                    next((last for last in rest if last and not last[0].isspace()), "Traceback without an end")
                )
        return found


def _kill(sites: list[Site]) -> None:
    for site in sites:
        site.kill()


def _trim(site: Site) -> None:
    request = urllib.request.Request(f"{site.url}/probe/trim", method="POST")
    urllib.request.urlopen(request, timeout=10).close()


@contextlib.contextmanager
def start_testbed(
    configuration: Configuration, crowd: int = 500, history: int = 2000, plain: bool = True
) -> Iterator[Testbed]:
    """Start a Testbed. PostgreSQL is the one in DATABASE_URL, or one that is started here. `history` is the number of
    messages of the long conversation. Without `plain`, processes start faster, and a sign-in costs nothing.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nous-abuse-")))
        os.chmod(folder, 0o755)  # PostgreSQL does not run as root
        redis = servers.start_redis()
        stack.callback(redis.kill)
        url = None
        if configuration.database == "PostgreSQL":
            url = os.environ.get("DATABASE_URL", "")
            if not url.startswith("postgres"):
                programs = servers.postgres_programs()
                if programs is None:
                    sys.exit("There is no PostgreSQL here: no initdb, and none in DATABASE_URL. Use --sqlite.")
                url, _ = stack.enter_context(servers.postgres(programs, folder / "postgres"))
        database = Database(folder, url)
        stack.callback(database.drop)
        database_url = database.copy()
        paced, hostile = _start_provider("tests.benchmarks.upstream"), _start_provider("tests.support.upstream", 10)
        stack.callback(paced.kill)
        stack.callback(hostile.kill)
        log = folder / "log"
        log.touch()
        env = environment(
            DJANGO_SETTINGS_MODULE="tests.abuse.settings",
            DEBUG=None,
            ALLOWED_HOSTS="127.0.0.1",
            PLAIN_HTTP="1",
            DATABASE_URL=database_url,
            REDIS_URL=f"redis://127.0.0.1:{redis.port}/0",
            MEDIA_ROOT=str(folder / "media"),
            NOUS_CHAT_MODEL="custom:bench",
            CUSTOM_BASE_URL=f"http://127.0.0.1:{paced.port}/v1",
            VLLM_BASE_URL=f"http://127.0.0.1:{hostile.port}/v1",
            SERVER_LOG=str(log),
        )
        printed = servers.run(["-m", "tests.abuse.people", "40", str(crowd), str(history)], env)
        sites: list[Site] = []
        stack.callback(_kill, sites)
        for _ in range(configuration.processes):
            if configuration.server == "uvicorn":
                sites.append(Uvicorn(env, command=("tests.support.probe:application",), plain=plain))
            else:
                sites.append(Site(env, command=("tests.support.probed_server",), plain=plain))
        target = Target(
            ports=[site.port for site in sites],
            pids=[site.process.pid for site in sites],
            database=database_url,
            cast=msgspec.json.decode(printed, type=Cast),
        )
        yield Testbed(configuration, sites, target, log)


def _start_provider(module: str, niceness: int = 0) -> Server:
    port = free_port()
    command = [sys.executable, "-m", module, str(port)]
    return Server(["nice", "-n", str(niceness), *command] if niceness else command, port, plain=True)
