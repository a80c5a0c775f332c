"""Readers of files who do not read cost a bounded amount of memory, and hold up nobody."""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from ..support import servers
from ..support.client import Person, signed_in
from ..support.pictures import png, png_chunk
from ..support.servers import Site
from .test_slow_readers import MIB, memory

StartSite = Callable[..., Site]
LARGEST = png(2, 2, png_chunk(b"iCCP", bytes(5 * MIB - 200)))
"""A picture of almost IMAGE_BYTES."""
READERS = 30


def request(person: Person, path: str, method: str = "GET") -> socket.socket:
    """Send a request, and read nothing. Its buffer in the kernel is small."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", person.site.port))
    cookie = "; ".join(f"{name}={value}" for name, value in person.http.cookies.items())
    connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode())
    return connection


def read_rest(connection: socket.socket, size: int) -> bytes:
    """The body of the response: the last `size` bytes."""
    connection.settimeout(60)
    found = b""
    while not (b"\r\n\r\n" in found and len(found.split(b"\r\n\r\n", 1)[1]) >= size):
        piece = connection.recv(65536)
        assert piece, found[:200]
        found += piece
    return found.split(b"\r\n\r\n", 1)[1]


def test_slow_readers_of_the_largest_file_do_not_hold_it_in_memory(site: Site) -> None:
    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            room = await ada.new_conversation()
            made = await ada.http.post(
                f"/chat/api/conversations/{room}/attachments/", headers=ada.csrf, files={"file": ("a.png", LARGEST)}
            )
            url = made.json()["url"]
            assert (await ada.http.get(url)).content == LARGEST
            before = memory(site)
            stalled = [request(ada, url) for _ in range(READERS)]
            for connection in stalled:
                await asyncio.to_thread(connection.recv, 1)  # its response has begun
            answer = await ada.http.get(url)
            assert answer.content == LARGEST, "nobody else waits for them"
            assert answer.headers["content-length"] == str(len(LARGEST))
            grown = memory(site) - before
            assert grown < READERS * MIB, f"{grown / MIB:.0f} MiB for {READERS} readers of {len(LARGEST) / MIB:.0f} MiB"
            assert (await asyncio.to_thread(read_rest, stalled[0], len(LARGEST))) == LARGEST, (
                "a slow reader gets it all"
            )
            head = await ada.http.head(url)
            assert (head.status_code, head.headers["content-length"]) == (200, str(len(LARGEST)))
            for connection in stalled:
                connection.close()

    asyncio.run(talk())


@pytest.mark.skipif(
    not os.environ.get("DATABASE_URL", "").startswith("postgres"), reason="only PostgreSQL has a pool of connections"
)
def test_slow_readers_of_a_page_hold_no_database_connection(site: Site) -> None:
    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            room = await ada.new_conversation()
            # Directly, and 4.5 MB, which is more than the system buffers.
            add = (
                "from chat.models import Message; Message.objects.bulk_create(Message(conversation_id="
                f"'{room}', seq=seq, role='user', text='\\u20ac' * 30_000) for seq in range(1, 51))"
            )
            await asyncio.to_thread(servers.manage, site.env, "shell", "-c", add)
            stalled = [request(ada, f"/chat/{room}/") for _ in range(20)]
            for connection in stalled:
                await asyncio.to_thread(connection.recv, 1)
            assert (await ada.http.get("/chat/plain/", timeout=20)).status_code == 200
            for connection in stalled:
                connection.close()

    asyncio.run(talk())


def test_a_broken_response_ends_its_connection(start_site: StartSite, stop_after: Callable[[Any], Any]) -> None:
    """Twice: the first one used to end daphne's loop that looks after all applications."""
    started = start_site()
    started.stop()
    site = stop_after(Site(started.env, command=("daphne", "tests.sites.breaking:application")))
    for _ in range(2):
        with httpx.Client() as client, pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            client.get(f"{site.url}/breaks/", timeout=60)
