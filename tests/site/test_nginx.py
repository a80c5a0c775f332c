"""Behind nginx, with the configuration of docs/deployment.md but for TLS and its addresses."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..support import servers
from ..support.client import Person, Socket, all_said, signed_in
from ..support.servers import ROOT, Server, Site, Upstream, free_port
from .test_outages import tuned

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")


class Proxy(Server):
    """nginx in front of processes of one site."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def nginx(folder: Path, *ports: int) -> Iterator[Proxy]:
    page = (ROOT / "docs" / "deployment.md").read_text("utf-8")
    port, config = free_port(), page.split("```nginx\n")[1].split("```")[0]
    backends = "".join(f"server 127.0.0.1:{number} max_fails=0; " for number in ports)
    for pattern, here in (
        (r"(upstream chat \{).*?\}", rf"\1 {backends}}}"),
        (r"listen 443 ssl;", f"listen 127.0.0.1:{port};"),
        (r"server_name [^;]*;", ""),
        (r"/var/log/nginx/access.log", str(folder / "access.log")),
    ):
        config, found = re.subn(pattern, here, config, flags=re.DOTALL)
        assert found == 1, f"the page has no {pattern}"
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root; " if os.geteuid() == 0 else ""  # the folder is root's then
    file = folder / "nginx.conf"
    file.write_text(
        f"{user}daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ {temporary}\n{config} }}\n"
    )
    proxy = Proxy([str(shutil.which("nginx")), "-e", str(folder / "error.log"), "-c", str(file)], port)
    with servers.running(proxy):
        yield proxy


async def open_socket(person: Person, proxy: Proxy, conversation: str) -> Socket:
    """A socket through the proxy, with its snapshot."""
    socket = Socket(await person.connect(conversation, proxy, origin=proxy.url))
    await socket.until(lambda: socket.snapshot)
    return socket


def test_a_rolling_restart_leaves_nobody_without_a_process(
    start_site: Callable[..., Site], stop_after: Callable[[Any], Any], redis: str, upstream: Upstream, tmp_path: Path
) -> None:
    first = start_site(NOUS_CHAT_MODEL="custom:flowing", REDIS_URL=redis, **tuned(DRAIN_SECONDS=30))
    processes = [first, stop_after(first.second_process())]

    async def talk(proxy: Proxy) -> None:
        async with (
            signed_in(first, "ada") as ada,
            httpx.AsyncClient(base_url=proxy.url, cookies=ada.http.cookies, trust_env=False) as pages,
        ):
            conversation = await ada.new_conversation()
            for number in range(2):
                reader = await open_socket(ada, proxy, conversation)
                await reader.say(f"Question {number}")
                await reader.hear("run.delta", 2)
                old = processes[number]
                old.process.send_signal(signal.SIGTERM)
                await asyncio.to_thread(wait_until_it_refuses, old.port)
                for _ in range(4):  # whoever comes now, by a page or by a socket, is served at once
                    assert (await pages.get(f"/chat/{conversation}/")).status_code == 200
                    other = await open_socket(ada, proxy, conversation)
                    await other.hear("run.delta")
                    await other.close()
                if reader.closed is None:  # the process that ended may have been the other one
                    await reader.close()
                reader = await open_socket(ada, proxy, conversation)
                upstream.release()
                finished = await reader.hear("run.finished")
                assert (finished["status"], finished["message"]["text"]) == ("completed", all_said(finished))
                await reader.close()
                await asyncio.to_thread(old.process.wait, 60)
                processes[number] = stop_after(old.restarted())

    with nginx(tmp_path, *(process.port for process in processes)) as proxy:
        asyncio.run(talk(proxy))


def wait_until_it_refuses(port: int) -> None:
    def refuses() -> bool:
        try:
            return not servers.listening(port)
        except ConnectionRefusedError:
            return True

    servers.wait_for(refuses)
