"""Everything that is real: Redis, PostgreSQL or a file, a provider, two processes of the site, and who is signed in."""

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
    """One daphne. Who ends or pauses it holds `busy`."""

    site: Site
    memory: float = 0.0
    """MiB, after its first schedule."""

    busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ask(self, what: str, body: object = None) -> Any:
        return await asyncio.to_thread(self._ask, what, body)

    def _ask(self, what: str, body: object) -> Any:
        request = urllib.request.Request(f"{self.site.url}/chaos/{what}", json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


@dataclass
class World:
    """Lives for many schedules. Everything that waits for a server is done in a thread, since the proxies are here."""

    processes: list[Process]
    people: dict[str, Person]
    redis: Server
    upstream: Upstream
    database: Proxy | LockedFile
    layer: Proxy
    busy: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    """What is away just now is not taken away by another fault."""

    loss: dict[str, Any] = field(default_factory=dict)

    async def be_lossy(self, seed: int, chances: dict[str, float]) -> None:
        self.loss = {"seed": seed, **chances}
        for process in self.processes:
            await process.ask("loss", self.loss)

    async def restart(self, process: Process, gracefully: bool, after: float) -> None:
        """End a process, and start it again on the same port."""
        async with process.busy:
            await asyncio.to_thread(process.site.stop if gracefully else process.site.kill)
            await asyncio.sleep(after)
            process.site = await asyncio.to_thread(process.site.again)
            process.memory = 0.0
            await process.ask("loss", self.loss)

    async def freeze(self, server: Server, busy: asyncio.Lock, seconds: float) -> None:
        async with busy:
            server.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(seconds)
            server.process.send_signal(signal.SIGCONT)

    async def restart_redis(self, after: float) -> None:
        async with self.busy["redis"]:
            await asyncio.to_thread(self.redis.kill)
            await asyncio.sleep(after)
            self.redis = await asyncio.to_thread(servers.start_redis, self.redis.port)


@contextlib.asynccontextmanager
async def world(sqlite: bool = False, log: Path | None = None, **settings: object) -> AsyncIterator[World]:
    """Start it all; `settings` go into NOUS_CHAT, what the processes print into `log`.

    DATABASE_URL is used where it is a PostgreSQL's, else one is started where there are its programs; else, or with
    `sqlite`, a file has to do.
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
        made = await asyncio.to_thread(Database, folder, url)
        stack.callback(made.drop)
        copy = await asyncio.to_thread(made.copy)
        layer = await stack.enter_async_context(Proxy(redis.port))
        if copy.startswith("sqlite"):
            database: Proxy | LockedFile = LockedFile(copy.removeprefix("sqlite:///"))
        else:
            port = urlsplit(copy).port or 5432
            database = await stack.enter_async_context(Proxy(port))
            copy = copy.replace(f":{port}/", f":{database.port}/")
        env = environment(
            DJANGO_SETTINGS_MODULE="tests.chaos.settings",
            DEBUG=None,  # Django keeps its queries then
            ALLOWED_HOSTS="127.0.0.1",
            PLAIN_HTTP="1",
            DATABASE_URL=copy,
            REDIS_URL=f"redis://127.0.0.1:{layer.port}/0",
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
        whole = World(processes, people, redis, upstream, database, layer)
        stack.callback(lambda: whole.redis.kill())
        yield whole


def _kill(processes: list[Process]) -> None:
    for process in processes:
        process.site.kill()
