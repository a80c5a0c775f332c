"""What daphne lacks: a crowd is let in a few at a time, what browsers send waits for the chat in bounded memory, and
what they get is written at once.
"""

import asyncio
import gc
import itertools
import socket
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
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
    HANDSHAKES_AT_ONCE,
    MAX_HANDSHAKES,
    MAX_WAITING,
    PIECE,
    Handshakes,
    Inflow,
    Parsing,
    Upload,
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
        self.crowded = False
        self.reactor: Any = Reactor()
        factory: Any = Factory.forProtocol(self._protocol)
        self.port: Any = Port(0, factory, interface="127.0.0.1", reactor=self.reactor)
        self.port.startListening()
        pace_accepts(self.port, lambda: self.crowded)
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


class Shaken:
    """Handshakes, and which have begun."""

    def __init__(self) -> None:
        self.handshakes = Handshakes()
        self.begun: list[Any] = []

    def enter(self, who: str, what: Any, done: bool = True) -> None:
        def begin() -> bool:
            self.begun.append(what)
            return done

        self.handshakes.enter(who, begin)

    async def wait_for(self, number: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.begun) < number:
                await asyncio.sleep(0.001)


def test_handshakes_begin_a_few_at_a_time_and_clients_take_turns() -> None:
    async def talk() -> None:
        shaken = Shaken()
        for number in range(3 * HANDSHAKES_AT_ONCE):
            shaken.enter("many", number)
        shaken.enter("one", "one")
        assert shaken.begun == list(range(HANDSHAKES_AT_ONCE))
        await shaken.wait_for(3 * HANDSHAKES_AT_ONCE + 1)
        assert shaken.begun.index("one") <= HANDSHAKES_AT_ONCE + 1
        assert shaken.begun[-1] == 3 * HANDSHAKES_AT_ONCE - 1

    asyncio.run(talk())


def test_while_many_handshakes_wait_no_connection_is_accepted(listener: Listener) -> None:
    async def talk() -> None:
        shaken = Shaken()
        for number in range(HANDSHAKES_AT_ONCE + MAX_HANDSHAKES):
            assert not shaken.handshakes.are_many()
            shaken.enter("many", number)
        assert shaken.handshakes.are_many()

    asyncio.run(talk())
    listener.crowded = True
    listener.port.doRead()
    listener.reactor.advance(ACCEPT_EVERY)
    assert not listener.is_reading()
    listener.crowded = False
    listener.reactor.advance(ACCEPT_EVERY)
    assert listener.is_reading()


def test_what_came_before_a_client_left_is_parsed() -> None:
    async def talk() -> None:
        peer = SlowSocket()
        peer.dataReceived(bytes(2 * PIECE))
        peer.connectionLost(None)
        assert b"".join(peer.parsed) == bytes(2 * PIECE)

    asyncio.run(talk())


def test_clients_that_are_gone_take_no_turn() -> None:
    async def talk() -> None:
        shaken = Shaken()
        for number in range(3 * HANDSHAKES_AT_ONCE):
            shaken.enter("gone", number, done=False)
        shaken.enter("here", "here")
        assert shaken.begun[-1] == "here"

    asyncio.run(talk())


def test_after_a_handshake_that_fails_the_others_begin() -> None:
    def fail() -> bool:
        raise ZeroDivisionError

    async def talk() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        shaken = Shaken()
        for number in range(HANDSHAKES_AT_ONCE):
            shaken.enter("", number)
        shaken.handshakes.enter("", fail)
        shaken.enter("", "after it")
        await shaken.wait_for(HANDSHAKES_AT_ONCE + 1)

    asyncio.run(talk())


class Autobahn:
    """A socket of autobahn, as far as Parsing knows it: it notes what it is to parse."""

    STATE_CONNECTING, STATE_OPEN = 1, 3

    def __init__(self) -> None:
        self.transport = Transport()
        self.state = self.STATE_OPEN
        self.parsed: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        self.parsed.append(data)

    def onOpen(self) -> None:
        self.state = self.STATE_OPEN

    def connectionLost(self, reason: object) -> None:
        pass


class SlowSocket(Parsing, Autobahn):
    """Parsing a piece takes it longer than a turn may last."""


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    monkeypatch.setattr("chat.node.daphne.time", SimpleNamespace(monotonic=lambda: float(next(ticks))))


@pytest.mark.usefixtures("slow")
def test_between_two_pieces_of_a_flood_others_have_their_turn() -> None:
    async def talk() -> None:
        loop = asyncio.get_running_loop()
        flood = bytes(range(256)) * 20
        peer = SlowSocket()
        peer.dataReceived(flood)
        turns = 0

        def count() -> None:
            nonlocal turns
            turns += 1
            loop.call_soon(count)

        loop.call_soon(count)
        async with asyncio.timeout(PATIENCE):
            for pieces in range(1, len(flood) // PIECE + 1):
                while len(peer.parsed) < pieces:
                    assert peer.transport.paused
                    await asyncio.sleep(0)
                assert turns >= pieces - 1
        assert b"".join(peer.parsed) == flood
        assert not peer.transport.paused

    asyncio.run(talk())


def test_a_socket_that_the_chat_has_enough_of_parses_nothing_more() -> None:
    async def talk() -> None:
        peer = SlowSocket()
        peer.pauseProducing()
        peer.dataReceived(b"held")
        assert peer.transport.paused
        assert peer.parsed == []
        peer.resumeProducing()
        await asyncio.sleep(0)
        assert peer.parsed == [b"held"]
        assert not peer.transport.paused

    asyncio.run(talk())


def test_until_a_socket_is_accepted_what_it_sends_is_neither_parsed_nor_read() -> None:
    async def talk() -> None:
        peer: Any = SlowSocket()
        peer.state = peer.STATE_CONNECTING
        peer.dataReceived(b"the request")
        peer.request = object()
        peer.dataReceived(b"early frames")
        assert peer.parsed == [b"the request"]
        assert peer.transport.paused
        peer.onOpen()
        await asyncio.sleep(0)
        assert peer.parsed == [b"the request", b"early frames"]
        assert not peer.transport.paused

    asyncio.run(talk())


def test_the_rest_of_a_body_is_read_after_the_answer() -> None:
    """Or a client that sends all of it before it reads the answer would wait for ever."""

    async def talk() -> None:
        transport = Transport()
        upload = Upload(asyncio.Queue(), transport)
        for _ in range(Upload.most + 2):
            upload.put_nowait({"type": "http.request"})
        assert transport.paused
        upload.put_nowait({"type": "http.disconnect"})  # daphne's, when the answer is complete
        assert not transport.paused
        await asyncio.sleep(0.1)
        assert not transport.paused

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
