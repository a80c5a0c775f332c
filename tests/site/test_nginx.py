"""Behind nginx, with its configuration in deploy/ but for TLS and its addresses.

`make rollout` runs the rolling update with ROLLOUT_READERS readers.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from ..chaos.browser import Browser
from ..project.test_site_code import snippets
from ..support import servers
from ..support.client import Person, signed_in
from ..support.nginx import IS_INSTALLED, Proxy, running_nginx
from ..support.protocol_client import Frame
from ..support.servers import PEOPLE, ROOT, Site, free_port
from ..support.upstream import text
from .test_outages import tuned

READERS = int(os.environ.get("ROLLOUT_READERS", "6"))
WORDS = 40

pytestmark = pytest.mark.skipif(not IS_INSTALLED, reason="nginx is not installed")


@contextlib.contextmanager
def nginx(folder: Path, *ports: int, pages: int | None = None) -> Iterator[Proxy]:
    """nginx in front of processes at these ports; with `pages`, of a WSGI server for pages as well."""
    port, files = free_port(), ROOT / "deploy" / "nginx"
    config = (files / "upstream.conf").read_text("utf-8") + (files / "chat.conf").read_text("utf-8")
    backends = "".join(f"server 127.0.0.1:{number} max_fails=0; " for number in ports)
    for pattern, here in (
        (r"(upstream chat \{).*?\}", rf"\1 {backends}}}"),
        (r"listen 443 ssl;", f"listen 127.0.0.1:{port};"),
        (r"server_name [^;]*;", ""),
        (r"ssl_certificate [^;]*;", ""),
        (r"ssl_certificate_key [^;]*;", ""),
        (r"/var/log/nginx/access.log", str(folder / "access.log")),
    ):
        config, found = re.subn(pattern, here, config, flags=re.DOTALL)
        assert found == 1, f"there is no {pattern}"
    if pages is not None:
        [streams] = snippets("Pages under WSGI", "nginx")
        before, around, after = config.partition("    location /ws/ {")
        before, found = re.subn(r"(location [^{]*\{\s*proxy_pass http://)chat;", r"\1pages;", before)
        assert found == 2
        config = f"upstream pages {{ server 127.0.0.1:{pages}; }}\n{before}{streams}{around}{after}"
    with running_nginx(folder, port, config) as proxy:
        yield proxy


@dataclass
class Door:
    """Where all pages of a site connect."""

    site: Proxy


class Page(Browser):
    """A page that notes how it fared while processes restarted."""

    def __init__(self, person: Person, conversation: str, proxy: Proxy) -> None:
        super().__init__([Door(proxy)], person, conversation, 0)
        self.opened = self.closings = 0
        self.dark: list[float] = []
        """How long it was without a process, in seconds."""
        self._dark_since: float | None = None

    async def _receive(self, connection: Any) -> None:
        self.opened += 1
        await super()._receive(connection)

    def apply(self, frame: Frame) -> list[Frame]:
        if frame["type"] == "closing":
            self.closings += 1
            self._dark_since = time.monotonic()
        elif frame["type"] == "snapshot" and self._dark_since is not None:
            self.dark.append(time.monotonic() - self._dark_since)
            self._dark_since = None
        return super().apply(frame)

    async def talk(self, over: asyncio.Event) -> None:
        """Ask, wait for the answer, and ask again."""
        while not over.is_set():
            await self.post(f"Question {len(self.sent)}: words@n={WORDS},delay=20")
            await self.until(lambda: [role for role, _ in self.transcript] == ["user", "assistant"] * len(self.sent))
            await self.until(lambda: not self.runs)


def test_a_rolling_update_of_three_processes_under_load_loses_nothing_and_leaves_nobody_waiting(
    start_site: Callable[..., Site], stop_after: Callable[[Any], Any], redis: str, tmp_path: Path
) -> None:
    first = start_site(NOUS_CHAT_MODEL="custom:told", REDIS_URL=redis, **tuned(DRAIN_SECONDS=30))
    processes = [first, *(stop_after(first.second_process()) for _ in range(2))]

    async def update(over: asyncio.Event) -> None:
        for number, old in enumerate(processes):
            old.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(old.process.wait, 60)
            processes[number] = stop_after(await asyncio.to_thread(old.restarted))
        over.set()

    async def browse(http: httpx.AsyncClient, conversation: str, over: asyncio.Event) -> None:
        while not over.is_set():
            assert (await http.get(f"/chat/{conversation}/")).status_code == 200
            await asyncio.sleep(0.1)

    async def roll(proxy: Proxy) -> None:
        over = asyncio.Event()
        async with contextlib.AsyncExitStack() as stack:
            people = [await stack.enter_async_context(signed_in(first, name)) for name in PEOPLE]
            cookies = people[0].http.cookies
            http = httpx.AsyncClient(base_url=proxy.url, cookies=cookies, trust_env=False, timeout=30)
            await stack.enter_async_context(http)
            rooms: list[tuple[Person, str, list[Page]]] = []
            for number in range(READERS // 2):
                person = people[number % len(people)]
                conversation = await person.new_conversation()
                rooms.append((person, conversation, [Page(person, conversation, proxy) for _ in range(2)]))
            pages = [page for _, _, pages in rooms for page in pages]
            running = [asyncio.create_task(page.run()) for page in pages]
            for page in pages:
                await page.hear("snapshot")
            async with asyncio.TaskGroup() as group:
                for _, _, (asking, _) in rooms:
                    group.create_task(asking.talk(over))
                group.create_task(browse(http, rooms[0][1], over))
                group.create_task(update(over))
            for person, conversation, both in rooms:
                # nginx has sent its requests to a process that was replaced meanwhile; HTTP finds the new one.
                person.http.base_url = httpx.URL(proxy.url)
                stored = [(message["role"], message["text"]) for message in await person.messages(conversation)]
                asked = [said for role, said in stored if role == "user"]
                assert asked == [f"Question {n}: words@n={WORDS},delay=20" for n in range(len(both[0].sent))]
                assert [said for role, said in stored if role == "assistant"] == [text(WORDS)] * len(asked)
                for page in both:
                    await page.until(lambda page=page, stored=stored: page.transcript == stored)
            for page in pages:
                assert not page.errors
                assert page.closings >= 1
                assert page.opened == 1 + page.closings, "each attempt to come back was served"
            dark = max(seconds for page in pages for seconds in page.dark)
            print(
                f"{len(pages)} readers, {sum(len(page.sent) for page in pages)} answers, dark for {dark:.1f} s at most"
            )
            assert dark < 2 or "ROLLOUT_READERS" not in os.environ
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    with nginx(tmp_path, *(process.port for process in processes)) as proxy:
        asyncio.run(roll(proxy))
    statuses = [int(line.split('" ')[1].split()[0]) for line in (tmp_path / "access.log").read_text().splitlines()]
    assert statuses
    assert max(statuses) < 500, "nobody met a process that was not there"


def test_wsgi_serves_the_pages_and_daphne_what_stays_open(
    start_site: Callable[..., Site], stop_after: Callable[[Any], Any], redis: str, tmp_path: Path
) -> None:
    site = start_site(NOUS_CHAT_MODEL="custom:words@n=5", REDIS_URL=redis, **tuned())
    pages = stop_after(Site(site.env, command=("tests.support.wsgi_server",), plain=True))

    async def talk(proxy: Proxy) -> None:
        async with signed_in(cast(Site, proxy), "ada") as ada:
            conversation = await ada.new_conversation()
            page = f"/chat/{conversation}/"
            assert (await ada.http.get(page)).status_code == 200
            stream = ada.http.stream("GET", f"/chat/api/conversations/{conversation}/stream/")
            async with ada.socket(conversation) as socket, stream as events:
                lines = events.aiter_lines()
                await heard(lines, "snapshot")
                await socket.say("Hello")
                assert (await socket.hear("run.finished"))["message"]["text"] == text(5)
                await heard(lines, "run.finished")
                form = {"text": "By a form", "csrfmiddlewaretoken": ada.http.cookies["csrftoken"]}
                assert (await ada.http.post(f"{page}say/", data=form)).status_code == 302
                assert (await socket.hear("run.finished", 2))["message"]["text"] == text(5)
                assert [said for _, said in socket.transcript] == ["Hello", text(5), "By a form", text(5)]
                await heard(lines, "run.finished")
                for address in ("v1/chat/completions", "ai-sdk/helper", "ag-ui/helper"):
                    refused = await ada.http.post(f"/chat/{address}", json={}, headers=ada.csrf)
                    assert refused.status_code == 400, "from daphne; WSGI would say 501"
                pages.kill()
                assert (await ada.http.get(page)).status_code == 502
                await socket.say("Still here?")
                await socket.hear("run.finished", 3)
                assert len(await ada.messages(conversation)) == 6

    async def heard(lines: AsyncIterator[str], event: str) -> None:
        async with asyncio.timeout(servers.PATIENCE):
            async for line in lines:
                if line.startswith("data: ") and json.loads(line.removeprefix("data: "))["type"] == event:
                    return

    with nginx(tmp_path, site.port, pages=pages.port) as proxy:
        asyncio.run(talk(proxy))
