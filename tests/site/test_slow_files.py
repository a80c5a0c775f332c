"""Readers of files who do not read cost a bounded amount of memory, and hold up nobody."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from ..support.client import Person, signed_in
from ..support.pictures import png, png_chunk
from ..support.servers import Site, Uvicorn
from .test_outages import tuned
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


@pytest.fixture(params=["daphne", "uvicorn"])
def site(request: pytest.FixtureRequest, start_site: StartSite, stop_after: Callable[[Any], Any]) -> Site:
    started = start_site(**tuned())
    if request.param == "daphne":
        return started
    started.stop()
    return stop_after(Uvicorn(started.env))  # type: ignore[no-any-return]


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
