"""The servers of a chaos run, all of them real: Redis, a database, a provider, and two processes of the site."""

import asyncio
import contextlib
import json
import os
import signal
import tempfile
import urllib.request
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..support import servers
from ..support.client import Person, signed_in
from ..support.servers import PEOPLE, Database, Server, Site, Upstream, environment
from .proxy import LockedFile, Proxy
from .schedule import PROCESSES

SERVER = ("tests.chaos.server",)


@dataclass
class Process:
    """One daphne. A fault that ends or pauses it holds `lock`."""

    site: Site
    memory: float = 0.0
    """MiB after its first schedule."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def query(self, name: str, body: object = None) -> Any:
        """Ask the process one of the questions of probe.py."""
        return await asyncio.to_thread(self._query, name, body)

    def _query(self, name: str, body: object) -> Any:
        request = urllib.request.Request(f"{self.site.url}/chaos/{name}", json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)


@dataclass
class Cluster:
    """Serves many schedules. Waits for servers in threads, because the proxies run in the event loop."""

    processes: list[Process]
    people: dict[str, Person]
    redis: Server
    upstream: Upstream
    database: Proxy | LockedFile
    redis_proxy: Proxy
    locks: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    """By service. A fault holds the lock, so that no other fault breaks the same service meanwhile."""

    loss: dict[str, Any] = field(default_factory=dict)

    async def set_loss(self, seed: int, chances: dict[str, float]) -> None:
        """Make the channel layer lose, repeat and delay messages with these chances."""
        self.loss = {"seed": seed, **chances}
        for process in self.processes:
            await process.query("loss", self.loss)

    async def restart(self, process: Process, gracefully: bool, after: float) -> None:
        """End a process, and start it again on the same port."""
        async with process.lock:
            await asyncio.to_thread(process.site.stop if gracefully else process.site.kill)
            await asyncio.sleep(after)
            process.site = await asyncio.to_thread(process.site.restarted)
            process.memory = 0.0
            await process.query("loss", self.loss)

    async def freeze(self, server: Server, lock: asyncio.Lock, seconds: float) -> None:
        """Stop a server with SIGSTOP, and let it continue after some seconds."""
        async with lock:
            server.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(seconds)
            server.process.send_signal(signal.SIGCONT)

    async def restart_redis(self, after: float) -> None:
        """Kill Redis, and start an empty one on the same port."""
        async with self.locks["redis"]:
            await asyncio.to_thread(self.redis.kill)
            await asyncio.sleep(after)
            self.redis = await asyncio.to_thread(servers.start_redis, self.redis.port)


@contextlib.asynccontextmanager
async def start_cluster(sqlite: bool = False, log: Path | None = None, **settings: object) -> AsyncIterator[Cluster]:
    """Start a Cluster. `settings` are added to NOUS_CHAT; what the processes print goes to `log`.

    The database is PostgreSQL: the one in DATABASE_URL, or one that is started here. Without its programs, or with
    `sqlite`, it is a file.
    """
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nous-chaos-")))
        os.chmod(folder, 0o755)  # PostgreSQL does not run as root
        redis = await asyncio.to_thread(servers.start_redis)
        stack.callback(redis.kill)
        upstream = await asyncio.to_thread(servers.start_upstream)
        stack.callback(upstream.kill)
        url = None if sqlite else os.environ.get("DATABASE_URL", "")
        programs = servers.postgres_programs()
        if url is not None and not url.startswith("postgres") and programs:
            url, _ = stack.enter_context(servers.postgres(programs, folder / "postgres"))
        template = await asyncio.to_thread(Database, folder, url)
        stack.callback(template.drop)
        database_url = await asyncio.to_thread(template.copy)
        redis_proxy = await stack.enter_async_context(Proxy(redis.port))
        if database_url.startswith("sqlite"):
            database: Proxy | LockedFile = LockedFile(database_url.removeprefix("sqlite:///"))
        else:
            port = urlsplit(database_url).port or 5432
            database = await stack.enter_async_context(Proxy(port))
            database_url = database_url.replace(f":{port}/", f":{database.port}/")
        env = environment(
            DJANGO_SETTINGS_MODULE="tests.chaos.settings",
            DEBUG=None,  # with it, Django would keep every query in memory
            ALLOWED_HOSTS="127.0.0.1",
            PLAIN_HTTP="1",
            DATABASE_URL=database_url,
            REDIS_URL=f"redis://127.0.0.1:{redis_proxy.port}/0",
            CUSTOM_BASE_URL=f"{upstream.url}/v1",
            CUSTOM_API_KEY="sk-test-0123456789",
            NOUS_CHAT=json.dumps(settings),
            SERVER_LOG=str(log or os.devnull),
        )
        processes: list[Process] = []
        stack.callback(_kill, processes)
        for _ in range(PROCESSES):
            processes.append(Process(await asyncio.to_thread(Site, env, None, SERVER)))
        site = processes[0].site
        people = {name: await stack.enter_async_context(signed_in(site, name)) for name in PEOPLE}
        cluster = Cluster(processes, people, redis, upstream, database, redis_proxy)
        stack.callback(lambda: cluster.redis.kill())
        yield cluster


def _kill(processes: list[Process]) -> None:
    for process in processes:
        process.site.kill()
