"""What daphne lacks: a crowd is let in a few at a time, what browsers send waits for the chat in bounded memory, and
what they get is written at once.
"""

import asyncio
import gc
import socket
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.tcp import Connection, Port
from websockets.extensions.base import Extension
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from chat.node.daphne import (
    ACCEPT_EVERY,
    ACCEPTED_AT_ONCE,
    MAX_WAITING,
    Inflow,
    encode_frame,
    pace_accepts,
    write_now,
)

from ..support.servers import PATIENCE


class Reactor(Clock):
    """Twisted's reactor: a clock, and a set of what it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.reading: set[object] = set()
        self.writing: set[object] = set()

    def addReader(self, reader: object) -> None:
        self.reading.add(reader)

    def removeReader(self, reader: object) -> None:
        self.reading.discard(reader)

    def addWriter(self, writer: object) -> None:
        self.writing.add(writer)

    def removeWriter(self, writer: object) -> None:
        self.writing.discard(writer)


class Listener:
    """A paced port and those who connect to it."""

    def __init__(self) -> None:
        self.accepted: list[Any] = []
        self.reactor: Any = Reactor()
        factory: Any = Factory.forProtocol(self._protocol)
        self.port: Any = Port(0, factory, interface="127.0.0.1", reactor=self.reactor)
        self.port.startListening()
        pace_accepts(self.port)
        address = self.port.socket.getsockname()
        self.browsers = [socket.create_connection(address) for _ in range(2 * ACCEPTED_AT_ONCE + 1)]

    def _protocol(self) -> Protocol:
        protocol = Protocol()
        self.accepted.append(protocol)
        return protocol

    def is_reading(self) -> bool:
        return self.port in self.reactor.reading

    def close(self) -> None:
        for browser in self.browsers:
            browser.close()
        for protocol in self.accepted:
            protocol.transport.socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


def test_a_crowd_is_accepted_a_few_at_a_time(listener: Listener) -> None:
    for accepted in (ACCEPTED_AT_ONCE, 2 * ACCEPTED_AT_ONCE, 2 * ACCEPTED_AT_ONCE + 1):
        assert listener.is_reading()
        listener.port.doRead()
        assert len(listener.accepted) == accepted
        assert not listener.is_reading()
        listener.reactor.advance(ACCEPT_EVERY)
    listener.port.stopListening()
    listener.reactor.advance(0)


def test_a_port_that_was_closed_meanwhile_stays_closed(listener: Listener) -> None:
    listener.port.doRead()
    listener.port.stopListening()
    listener.reactor.advance(ACCEPT_EVERY)
    listener.reactor.advance(ACCEPT_EVERY)
    assert not listener.is_reading()


class Transport:
    """A transport of Twisted that can be paused."""

    paused = False

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False


def test_a_browser_that_sends_too_much_waits_until_the_chat_has_read_it() -> None:
    async def talk() -> None:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        transport = Transport()
        inflow = Inflow(queue, transport)
        for _ in range(MAX_WAITING + 1):
            assert not transport.paused
            inflow.put_nowait({"type": "websocket.receive"})
        assert transport.paused
        while not queue.empty():
            queue.get_nowait()
        async with asyncio.timeout(PATIENCE):
            while transport.paused:
                await asyncio.sleep(0.01)

    asyncio.run(talk())


def test_of_a_browser_that_is_gone_nothing_is_kept() -> None:
    """The chat has closed its socket without reading what waited."""

    async def talk() -> None:
        inflow = Inflow(asyncio.Queue(), Transport())
        for _ in range(MAX_WAITING + 1):
            inflow.put_nowait({"type": "websocket.receive"})
        inflow.put_nowait({"type": "websocket.disconnect"})
        kept = weakref.ref(inflow)
        del inflow
        async with asyncio.timeout(PATIENCE):
            while kept() is not None:
                await asyncio.sleep(0.01)
                gc.collect()

    asyncio.run(talk())


@pytest.mark.parametrize("size", [1, 125, 126, 65_535, 65_536])
def test_a_browser_can_read_a_frame_of_any_length(size: int) -> None:
    reader = StreamReader()
    text = "é" + "x" * (size - 2) if size > 1 else "x"
    reader.feed_data(encode_frame(text))
    parsing = Frame.parse(reader.read_exact, mask=False, extensions=list[Extension]())
    with pytest.raises(StopIteration) as parsed:
        next(parsing)
    assert parsed.value.value == Frame(Opcode.TEXT, text.encode())


@pytest.fixture
def connected() -> Iterator[tuple[Any, Reactor, socket.socket]]:
    """A connection of Twisted to a browser, its reactor, and the browser's end."""
    ours, browsers = socket.socketpair()
    ours.setblocking(False)
    reactor = Reactor()
    transport = Connection(ours, Protocol(), reactor)  # type: ignore[arg-type]
    transport.connected = 1
    yield transport, reactor, browsers
    ours.close()
    browsers.close()


def test_a_frame_is_written_without_a_turn_of_the_reactor(connected: tuple[Any, Reactor, socket.socket]) -> None:
    transport, reactor, browser = connected
    write_now(transport, b"one")
    write_now(transport, b"two")
    assert browser.recv(100) == b"onetwo"
    assert not reactor.writing


def test_what_the_system_does_not_take_is_written_later_and_in_order(
    connected: tuple[Any, Reactor, socket.socket],
) -> None:
    transport, reactor, browser = connected
    frames = [bytes([number]) * 100_000 for number in range(50)]
    for frame in frames:
        write_now(transport, frame)
    assert reactor.writing == {transport}, "more than the system's buffers hold"
    received = bytearray()
    browser.settimeout(PATIENCE)
    while len(received) < 5_000_000:
        received += browser.recv(1 << 20)
        transport.doWrite()
    assert received == b"".join(frames)
    assert not reactor.writing


def test_a_connection_that_is_lost_is_left_to_the_reactor(
    connected: tuple[Any, Reactor, socket.socket],
) -> None:
    transport, reactor, browser = connected
    browser.close()
    write_now(transport, b"one")
    assert reactor.writing == {transport}
