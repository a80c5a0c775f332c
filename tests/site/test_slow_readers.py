"""Who does not read costs no memory and holds up nobody; who sends too much is not read."""

import asyncio
import base64
import json
import os
import socket
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from chat.consumers.flow_control import LIMIT

from ..support.client import Person, signed_in
from ..support.servers import PATIENCE, Site, Uvicorn
from .test_outages import tuned

StartSite = Callable[..., Site]
MIB = 1024 * 1024


class Raw:
    """A WebSocket by hand, so that it can do what libraries do not: not read. Its buffer in the kernel is small."""

    def __init__(self, person: Person, conversation: str) -> None:
        self.connection = socket.socket()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.connection.connect(("127.0.0.1", person.site.port))
        cookie = "; ".join(f"{name}={value}" for name, value in person.http.cookies.items())
        self.connection.sendall(
            f"GET {person.socket_prefix}{conversation}/ HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nCookie: {cookie}\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n".encode()
        )
        assert b"101" in self.connection.recv(12)

    def send(self, frame: bytes) -> None:
        """One masked text frame; the mask is zero."""
        size = len(frame)
        head = b"\x81" + (
            bytes([0x80 | size])
            if size < 126
            else b"\xfe" + size.to_bytes(2, "big")
            if size < 65536
            else b"\xff" + size.to_bytes(8, "big")
        )
        self.connection.sendall(head + bytes(4) + frame)

    def command(self, name: str, **fields: Any) -> None:
        self.send(json.dumps({"type": name, **fields}).encode())

    def closed(self) -> int:
        """Read until the close frame; returns its code."""
        self.connection.settimeout(PATIENCE)
        found = self.connection.makefile("rb")
        while found.readline() != b"\r\n":  # the rest of the handshake
            pass
        while True:
            kind, size = found.read(2)
            if size > 125:
                size = int.from_bytes(found.read(2 if size == 126 else 8), "big")
            payload = found.read(size)
            if kind == 0x88:
                return int.from_bytes(payload[:2], "big")

    def rest(self, seconds: float = 10) -> bytes:
        """Read what there is, until the server ends it."""
        self.connection.settimeout(seconds)
        found = b""
        while True:
            try:
                piece = self.connection.recv(65536)
            except (TimeoutError, ConnectionError):
                return found
            if not piece:
                return found
            found += piece


def memory(site: Site) -> int:
    return int(psutil.Process(site.process.pid).memory_info().rss)


def connected(site: Site, peer: Raw) -> bool:
    ends = psutil.Process(site.process.pid).net_connections("tcp")
    return any(end.raddr and end.raddr.port == peer.connection.getsockname()[1] for end in ends)


@pytest.fixture(params=["daphne", "plain daphne", "uvicorn"])
def site(request: pytest.FixtureRequest, start_site: StartSite, stop_after: Callable[[Any], Any]) -> Site:
    started = start_site(NOUS_CHAT_MODEL="custom:flowing@chars=300,delay=5", PATIENCE="5", **tuned())
    if request.param == "daphne":
        return started
    started.stop()
    if request.param == "uvicorn":
        return stop_after(Uvicorn(started.env))  # type: ignore[no-any-return]
    return stop_after(Site(started.env, command=("daphne", "nousproject.asgi:application")))  # type: ignore[no-any-return]


def test_a_reader_who_stopped_reading_costs_nothing_holds_up_nobody_and_is_sent_away(site: Site) -> None:
    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation) as reader:
                await reader.hear("snapshot")
                before = await asyncio.to_thread(memory, site)
                stalled = [Raw(ada, conversation) for _ in range(10)]
                await reader.say("Hello")
                run = (await reader.hear("run.started"))["run"]
                theirs = {peer.connection.getsockname()[1] for peer in stalled}
                grown, there = 0, True
                async with asyncio.timeout(240):
                    # On a slow machine, the stalled ones are gone before the reader has got what they may be sent.
                    while there or reader.delta_chars <= LIMIT:
                        seen = len(reader.events)
                        await reader.until(lambda seen=seen: len(reader.events) > seen)
                        await reader.send("run.ack", run=run, seq=reader.seqs[run])
                        grown = max(grown, memory(site) - before)
                        ends = psutil.Process(site.process.pid).net_connections("tcp")
                        there = any(
                            end.raddr and end.raddr.port in theirs and end.status == "ESTABLISHED" for end in ends
                        )
                await reader.send("run.stop", run=run)
                assert grown < 25 * MIB, f"{grown / MIB:.0f} MiB for ten who do not read"
                for peer in stalled:
                    peer.connection.close()

    asyncio.run(talk())


def test_a_slow_reader_has_time_to_see_why_it_is_sent_away(start_site: StartSite) -> None:
    """If the connection were reset as soon as autobahn does that, a client that sends something first would not see the
    code.
    """
    site = start_site(NOUS_CHAT_MODEL="custom:flowing", PATIENCE="1", **tuned())

    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            slow = Raw(ada, conversation := await ada.new_conversation())
            async with ada.socket(conversation) as reader:
                await reader.hear("snapshot")
                await reader.say("Hello")
                assert await asyncio.to_thread(slow.closed) == 4408
                await asyncio.sleep(2)
                slow.command("ping")
                slow.connection.settimeout(0.5)
                with pytest.raises(TimeoutError):
                    slow.connection.recv(1)
                slow.connection.close()

    asyncio.run(talk())


def test_answers_that_nobody_reads_are_not_made(site: Site) -> None:
    """`history.load` again and again, and nothing read: what is answered is bounded, what is asked is, too."""

    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation) as reader:
                await reader.hear("snapshot")
                for number in range(1, 21):
                    await reader.say("x" * 30_000)
                    await reader.hear("message.created", number)
                    await reader.send("run.stop", run=(await reader.hear("run.started", number))["run"])
                    await reader.hear("run.finished", number)
                before = memory(site)
                flood = Raw(ada, conversation)
                for _ in range(90):
                    flood.command("history.load", before=1000, limit=100)
                await asyncio.sleep(4)
                await reader.send("ping", ref="1")
                await reader.answered("1")
                grown = memory(site) - before
                assert grown < 20 * MIB, f"{grown / MIB:.0f} MiB; 90 pages are 54"
                flood.connection.close()

    asyncio.run(talk())


def test_a_frame_to_the_browser_may_be_as_long_as_what_was_said(site: Site) -> None:
    """daphne's library keeps to itself, without a word, what is longer than a frame from a browser may be."""

    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation) as one:
                await one.hear("snapshot")
                for number in range(1, 43):
                    await one.say("x" * 30_000)
                    await one.send("run.stop", run=(await one.hear("run.started", number))["run"])
                    await one.hear("run.finished", number)
            async with ada.socket(conversation) as again:
                snapshot = await again.hear("snapshot")
                assert len(json.dumps(snapshot)) > 0.7 * MIB
                await again.send("history.load", before=1000, limit=100, ref="1")
                assert len(json.dumps(await again.answered("1"))) > 1.2 * MIB

    asyncio.run(talk())


def test_a_frame_that_is_too_long_is_refused_and_one_that_is_far_too_long_is_not_even_read(
    start_site: StartSite,
) -> None:
    site = start_site()

    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            conversation = await ada.new_conversation()
            async with ada.socket(conversation) as socket:
                await socket.hear("snapshot")
                await socket.transmit(json.dumps({"type": "ping", "ref": "1", "padding": "x" * 66_000}))
                assert (await socket.hear("error"))["code"] == "too_large"
                await socket.transmit(
                    json.dumps({"type": "ping", "ref": "2", "padding": "ß" * 65_000}, ensure_ascii=False)
                )
                assert (await socket.answered("2"))["type"] == "pong", "64 Ki characters, whatever they take in bytes"
                await socket.transmit("x" * 300_000)
                assert await socket.wait_closed() in (1006, 1009)
            peer = Raw(ada, conversation)
            before = memory(site)
            peer.connection.sendall(b"\x81\xff" + (2**32).to_bytes(8, "big") + bytes(4))
            try:
                for _ in range(50):
                    peer.connection.sendall(bytes(MIB))
            except ConnectionError:
                pass
            else:
                pytest.fail("four gigabytes were announced, and the server went on reading")
            finally:
                peer.connection.close()
            assert memory(site) - before < 5 * MIB

    asyncio.run(talk())
