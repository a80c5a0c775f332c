"""What daphne lacks: bounded buffers in both directions, an access log without secrets (`install`), and a shutdown that
waits (`drain_at_shutdown`).

Without this, daphne buffers in memory whatever an application sends (its issue 170), and whatever a browser sends until
the application reads it. uvicorn bounds both by itself, and has the ASGI lifespan.
"""

import asyncio
import struct
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Hashable
from io import BytesIO
from typing import Any
from urllib.parse import unquote

from ..addresses import note_root_path
from ..conf import conf
from ..logs import loggable_path
from ..protocol.commands import MAX_FRAME_CHARS
from ..runs.liveness import Process
from .garbage import tune_collector
from .http import find_limit, may_be_long

MAX_FRAME_BYTES = 4 * MAX_FRAME_CHARS
"""The longest frame in UTF-8. A longer one is not read; the connection closes with 1009."""

MAX_WAITING = 32
"""Frames of one browser that may wait for the chat. If there are more, daphne stops reading from this browser."""

PIECE = 1024
"""Bytes of a socket that are parsed in one go: up to 170 frames."""

PARSE_FOR = 0.002
"""Seconds in which one socket's frames are parsed before all others have as much time."""

BACKLOG = 2048
"""Connections that may wait until daphne accepts them: all browsers after a restart. Twisted's 50 would have the others
try again after one, three, and seven seconds.
"""

ACCEPTED_AT_ONCE, ACCEPT_EVERY = 4, 0.004
"""Connections that are accepted at once, and the seconds until the next ones. The frames of streams wait for no more
than these. The others wait in the backlog, as all do while MAX_HANDSHAKES wait for their turn.
"""

MAX_HANDSHAKES = 500

HANDSHAKES_AT_ONCE, HANDSHAKES_EVERY = 4, 0.016
"""Handshakes of sockets that begin at once, and the seconds until the next ones: 250 a second, somewhat more than
sockets a process can give their snapshots. The frames of streams would wait two seconds for those of 2,000 sockets.
"""

TOO_SLOW = 4408
CLOSE_WITHIN = 5
"""Seconds in which a client that is too slow may answer the close frame, which follows all that it has not read yet.
Autobahn resets the connection after one second; then a client that sends something before it reads learns no code.
"""

_ports: list[Any] = []
"""Where this process listens."""


def install(started: Callable[[], None]) -> None:
    """Make daphne's command use BoundedServer, which calls `started` in its event loop. Has no effect under other
    servers.
    """
    cli = sys.modules.get("daphne.cli")
    if cli is not None:
        cli.CommandLineInterface.server_class = _server_class(started)


def _server_class(started: Callable[[], None]) -> type:
    from daphne import server  # importing it installs Twisted's reactor
    from daphne.http_protocol import HTTPFactory, WebRequest
    from daphne.ws_protocol import WebSocketProtocol
    from twisted.internet import reactor
    from twisted.internet.defer import DeferredList
    from twisted.internet.interfaces import ISSLTransport
    from twisted.internet.task import deferLater
    from twisted.web.http import HTTPChannel

    handshakes = Handshakes()

    class Request(WebRequest):  # type: ignore[misc]
        """A request. If its body is long and its URL has a limit, the application starts with the headers and gets the
        body as it comes, so that `node/http.py` decides what is read. daphne receives all others whole first.
        """

        channel: Any
        outflow: Outflow
        streams = False
        drops_body = False

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._parsePOSTFormSubmission = False  # Twisted would read forms, with their files, for itself

        def gotLength(self, length: int | None) -> None:  # noqa: N802  Twisted's names
            """The headers are complete."""
            self.content = BytesIO()
            if self.requestHeaders.getRawHeaders(b"Upgrade", [b""])[0].lower() == b"websocket":
                self.drops_body = True  # what is kept of it would be fed to the socket
            elif may_be_long(length) and isinstance(self.channel, HTTPChannel) and self._has_limit():
                self.streams = True
                self.queued = True  # keeps the channel on this request until its body has ended
                super().requestReceived(self.channel._command, self.channel._path, self.channel._version)
            else:
                super().gotLength(length)

        def _has_limit(self) -> bool:
            try:
                path = unquote(self.channel._path.partition(b"?")[0].decode("ascii"))
            except UnicodeDecodeError:
                return False
            note_root_path({"root_path": self.server.root_path})
            return find_limit(path) is not None

        def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
            if not self.streams and not self.drops_body:
                super().handleContentChunk(data)
            elif self.streams and not self.finished and self.application_queue is not None:
                self.application_queue.put_nowait({"type": "http.request", "body": data, "more_body": True})

        def process(self) -> None:
            if self.drops_body:  # its body is empty then
                handshakes.enter((getattr(self.client, "host", ""), *self._secrets()), self._shake_hands)
            else:
                super().process()

        def _secrets(self) -> list[bytes]:
            return [
                value for name in (b"cookie", b"authorization") for value in self.requestHeaders.getRawHeaders(name, ())
            ]

        def _shake_hands(self) -> bool:
            if self.channel is None:  # the client is gone
                return False
            super().process()
            asyncio.get_running_loop().call_soon(self._let_go)
            return True

        def _let_go(self) -> None:
            """The socket has the connection. Request and channel know each other, so only a garbage collection would
            free them.
            """
            if self.transport is None and self.channel is not None:
                self.channel.requests.clear()
                self.channel = None

        def requestReceived(self, *line: bytes) -> None:  # noqa: N802
            """The body is complete."""
            if not self.streams:
                super().requestReceived(*line)
                return
            self.queued = False
            if self.finished:
                self._cleanup()
            elif self.application_queue is not None:
                self.application_queue.put_nowait({"type": "http.request", "body": b"", "more_body": False})

        def handle_exception(self, exception: BaseException) -> None:
            """If a response breaks off, end the connection. daphne would start another response: that fails, and with
            it the loop that looks after all applications.
            """
            if self._response_started:
                self.channel.transport.abortConnection()
            else:
                super().handle_exception(exception)

    class Factory(HTTPFactory):  # type: ignore[misc]
        def buildProtocol(self, addr: Any) -> Any:  # noqa: N802  Twisted's name
            protocol = super().buildProtocol(addr)
            protocol.requestFactory = Request
            return protocol

    class Socket(Parsing, WebSocketProtocol):  # type: ignore[misc]
        pass

    class BoundedServer(server.Server):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            for name in ("websocket_max_message_size", "websocket_max_frame_size"):
                options[name] = min(options.get(name, MAX_FRAME_BYTES), MAX_FRAME_BYTES)
            options["endpoints"] = [with_backlog(str(endpoint)) for endpoint in options.get("endpoints") or ()]
            super().__init__(*args, **options)

        def listen_success(self, port: Any) -> None:
            _ports.append(port)
            pace_accepts(port, handshakes.are_many)
            super().listen_success(port)

        def run(self) -> None:
            server.HTTPFactory = Factory  # daphne has no other way to choose it, and the next
            server.WebSocketFactory.protocol = Socket
            tune_collector()
            reactor.callWhenRunning(reactor.callLater, 0, started)  # the event loop runs a moment after the reactor
            super().run()

        def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
            # daphne names the scheme of requests only; without it, chat/asgi.py would refuse pages over TLS.
            scope.setdefault("scheme", "wss" if ISSLTransport.providedBy(protocol.transport) else "ws")
            queue = super().create_application(protocol, scope)
            if queue is None or scope["type"] != "websocket":
                return Upload(queue, protocol.transport) if getattr(protocol, "streams", False) else queue
            protocol.transport.unregisterProducer()  # the one of the HTTP request that became this socket
            protocol.outflow = Outflow()
            protocol.transport.registerProducer(protocol.outflow, True)
            return Inflow(queue, protocol)

        def kill_all_applications(self) -> Any:
            """A view of the site that hangs does not keep the process from ending. Others have the time of answers."""
            for protocol in [each for each, found in self.connections.items() if "application_instance" not in found]:
                del self.connections[protocol]  # a request without an application yet, for which daphne would fail
            later = deferLater(reactor, conf.DRAIN_SECONDS, lambda: None)
            return DeferredList([super().kill_all_applications(), later], fireOnOneCallback=True)

        def log_action(self, protocol: str, action: str, details: dict[str, Any]) -> None:
            if "path" in details:
                details = details | {"path": loggable_path(details["path"])}
            super().log_action(protocol, action, details)

        async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
            match message["type"]:
                case "websocket.send":
                    await self._send_frame(protocol, message)
                case "http.response.body":
                    await self._send_body(protocol, message)
                case "websocket.close" if message.get("code") == TOO_SLOW:
                    protocol.closeHandshakeTimeout = CLOSE_WITHIN
                    await super().handle_reply(protocol, message)
                case _:
                    await super().handle_reply(protocol, message)

        async def _send_frame(self, protocol: Any, message: dict[str, Any]) -> None:
            text = message.get("text")
            if text and not message.get("bytes") and may_write_frame(protocol):
                write_now(protocol.transport, encode_frame(text))
            else:
                protocol.maxMessagePayloadSize = 0  # or autobahn would silently drop long frames that we send
                try:
                    await super().handle_reply(protocol, message)
                finally:
                    protocol.maxMessagePayloadSize = self.websocket_max_message_size
            await protocol.outflow.wait()

        async def _send_body(self, protocol: Any, message: dict[str, Any]) -> None:
            if protocol.finished or protocol.channel is None:
                return
            more = message.get("more_body", False)
            if more and protocol.producer is None:
                protocol.outflow = Outflow()
                protocol.registerProducer(protocol.outflow, True)
            elif not more and protocol.producer is not None:
                protocol.unregisterProducer()
            await super().handle_reply(protocol, message)
            if more:
                await protocol.outflow.wait()

    return BoundedServer


def with_backlog(endpoint: str) -> str:
    """A Twisted endpoint, with BACKLOG unless it names one."""
    return f"{endpoint}:backlog={BACKLOG}" if endpoint.startswith("tcp") and ":backlog=" not in endpoint else endpoint


def pace_accepts(port: Any, is_crowded: Callable[[], bool]) -> None:
    """Make a port of Twisted accept ACCEPTED_AT_ONCE connections, then none for ACCEPT_EVERY seconds, and while it
    `is_crowded`.
    """
    accept = port.doRead

    def do_read() -> None:
        port.numberAccepts = ACCEPTED_AT_ONCE  # Twisted raises it when it has accepted that many
        accept()
        port.stopReading()
        port.reactor.callLater(ACCEPT_EVERY, resume)

    def resume() -> None:
        if not port.connected or port.disconnecting:
            return
        if is_crowded():
            port.reactor.callLater(ACCEPT_EVERY, resume)
        else:
            port.startReading()

    port.doRead = do_read


class Handshakes:
    """Lets HANDSHAKES_AT_ONCE handshakes begin, then none for HANDSHAKES_EVERY seconds. Clients take turns, so that
    nobody waits for all the sockets that somebody else opens.
    """

    def __init__(self) -> None:
        self._left = HANDSHAKES_AT_ONCE
        self._waiting: OrderedDict[Hashable, deque[Callable[[], bool]]] = OrderedDict()
        """By client. Those who had a turn go to the end."""
        self._number = 0
        self._is_counting = False

    def are_many(self) -> bool:
        """Whether MAX_HANDSHAKES wait."""
        return self._number >= MAX_HANDSHAKES

    def enter(self, who: Hashable, handshake: Callable[[], bool]) -> None:
        """Call `handshake`, now or when its turn comes. It returns False if it did nothing, which takes no turn."""
        self._waiting.setdefault(who, deque()).append(handshake)
        self._number += 1
        self._begin_some()

    def _begin_some(self) -> None:
        while self._left and self._waiting:
            if not self._is_counting:
                self._is_counting = True
                asyncio.get_running_loop().call_later(HANDSHAKES_EVERY, self._count_anew)
            self._left -= 1
            self._number -= 1
            who, queue = self._waiting.popitem(last=False)
            handshake = queue.popleft()
            if queue:
                self._waiting[who] = queue
            if not handshake():
                self._left += 1

    def _count_anew(self) -> None:
        self._left, self._is_counting = HANDSHAKES_AT_ONCE, False
        self._begin_some()


def may_write_frame(protocol: Any) -> bool:
    """Whether a frame can be written to the transport of autobahn's socket: it is open, frames are not compressed, and
    none is being sent in pieces. Autobahn takes four times as long, most of it for log lines that nobody reads.
    """
    return bool(
        protocol.state == protocol.STATE_OPEN
        and protocol._perMessageCompress is None
        and not protocol.send_queue
        and not protocol.autoFragmentSize
    )


def encode_frame(text: str) -> bytes:
    """A text frame from a server (RFC 6455, section 5.2)."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", 0x81, size) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", 0x81, 126, size) + payload
    return struct.pack("!BBQ", 0x81, 127, size) + payload


def write_now(transport: Any, data: bytes) -> None:
    """Write to the system at once, and leave to the reactor what it does not take. Twisted would do all of it in a turn
    of its own, with two more calls of the system.
    """
    if is_plain(transport) and not transport.dataBuffer and not transport._tempDataBuffer:
        sent = transport.writeSomeData(data)
        if isinstance(sent, int):  # else the connection is lost: `write` has the reactor find that out
            data = data[sent:]
    if data:
        transport.write(data)


def is_plain(transport: Any) -> bool:
    """Whether it is an open TCP connection of Twisted without TLS."""
    return bool(
        hasattr(transport, "writeSomeData")
        and transport.connected
        and not (transport.disconnecting or transport._writeDisconnected or transport.TLS)
    )


class Outflow:
    """Write backpressure. A producer in Twisted's terms: the transport tells it when its buffer is full (64 KiB), and
    when there is room again.
    """

    def __init__(self) -> None:
        self._room: asyncio.Event | None = None
        """While the buffer is full."""

    async def wait(self) -> None:
        """Return when there is room, or the client is gone."""
        if self._room is not None:
            await self._room.wait()

    def pauseProducing(self) -> None:  # noqa: N802  Twisted's names
        self._room = self._room or asyncio.Event()

    def resumeProducing(self) -> None:  # noqa: N802
        if self._room is not None:
            self._room.set()
            self._room = None

    def stopProducing(self) -> None:  # noqa: N802
        """The client is gone, so nothing may wait for it."""
        self.resumeProducing()


class Parsing:
    """Makes autobahn parse what a socket has received in pieces: all that one read brings, 64 KiB, can be 9,000 frames,
    for which nobody else would have a turn. A producer in Twisted's terms.

    Until the socket is accepted, nothing is parsed but its request, or autobahn would keep all that follows in memory.
    """

    __slots__ = ("_next", "_paused", "_stopped", "_unread")  # autobahn's dict would grow by half

    transport: Any
    state: int
    STATE_CONNECTING: int

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._unread = b""
        self._paused = False
        """While the application has enough."""
        self._stopped = False
        """While nothing is read."""
        self._next: asyncio.Handle | None = None
        """While the socket waits for its turn."""

    def dataReceived(self, data: bytes) -> None:  # noqa: N802  Twisted's names
        self._unread += data
        if self._next is None:
            self._parse()

    def _parse(self) -> None:
        self._next = None
        began = time.monotonic()
        while self._unread and not self._paused and not self._awaits_answer():
            piece, self._unread = self._unread[:PIECE], self._unread[PIECE:]
            super().dataReceived(piece)  # type: ignore[misc]  # autobahn's
            if self._unread and time.monotonic() - began > PARSE_FOR:
                self._next = self._next or asyncio.get_running_loop().call_later(PARSE_FOR, self._parse_or_abort)
                break
        self._read_if(not self._unread and not self._paused)

    def _parse_or_abort(self) -> None:
        """The same outside of `dataReceived`, where Twisted would end the connection after an exception."""
        try:
            self._parse()
        except Exception:
            self.transport.abortConnection()
            raise

    def _read_if(self, wanted: bool) -> None:
        if wanted == self._stopped:
            self._stopped = not wanted
            (self.transport.resumeProducing if wanted else self.transport.pauseProducing)()

    def _awaits_answer(self) -> bool:
        """Whether its request has come, and the application has not decided on it."""
        return self.state == self.STATE_CONNECTING and hasattr(self, "request")

    def onOpen(self) -> None:  # noqa: N802
        super().onOpen()  # type: ignore[misc]  # daphne's
        self._go_on()

    def pauseProducing(self) -> None:  # noqa: N802
        self._paused = True
        self._read_if(False)

    def resumeProducing(self) -> None:  # noqa: N802
        self._paused = False
        self._go_on()

    def _go_on(self) -> None:
        if self._next is None:
            self._next = asyncio.get_running_loop().call_soon(self._parse_or_abort)

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        rest, self._unread = self._unread, b""
        if rest and not self._paused and not self._awaits_answer():
            super().dataReceived(rest)  # type: ignore[misc]  # perhaps with why the client has left
        super().connectionLost(reason)  # type: ignore[misc]  # autobahn's


class Inflow:
    """Read backpressure. Wraps the application's queue, and stops reading from the browser while the queue is long.
    `producer` is what reads, in Twisted's terms.
    """

    most = MAX_WAITING

    def __init__(self, queue: "asyncio.Queue[Any]", producer: Any) -> None:
        self._queue, self._producer, self._paused = queue, producer, False
        self._gone = False

    def put_nowait(self, message: Any) -> None:
        self._queue.put_nowait(message)
        if message["type"].endswith(".disconnect"):
            self._gone = True  # and an application that has ended empties no queue
            if self._paused:  # a client that has its answer may still be sending its body, which is dropped then
                self._producer.resumeProducing()
        elif self._queue.qsize() > self.most and not self._paused:
            self._paused = True
            self._producer.pauseProducing()
            self._resume_when_short()

    def _resume_when_short(self) -> None:
        if self._gone:
            return
        if self._queue.qsize() > self.most // 2:
            asyncio.get_running_loop().call_later(0.05, self._resume_when_short)
        else:
            self._paused = False
            self._producer.resumeProducing()


class Upload(Inflow):
    """The same for a request's body that is passed on as it comes, in pieces of up to 64 KiB."""

    most = 4
    _begun = False

    def put_nowait(self, message: Any) -> None:
        if not self._begun and message["type"] == "http.request":
            self._begun = True  # daphne's empty body: when the application starts, nothing has been received
            return
        super().put_nowait(message)


def drain_at_shutdown(process: Process, drain: Callable[[float], Coroutine[Any, Any, None]]) -> None:
    """Make Twisted's reactor, on which daphne runs, wait for `drain` (`Node.drain`) before it ends: daphne itself tells
    applications nothing. Under servers with the ASGI lifespan, `asgi.lifespan` does this.
    """
    reactor = sys.modules.get("twisted.internet.reactor")
    if reactor is None or not getattr(reactor, "running", False):
        return
    from twisted.internet.defer import Deferred

    def before_shutdown() -> Any:
        process.draining = True  # now, before daphne cancels its sockets
        for port in _ports:  # a proxy sends new connections to the next process then
            port.stopListening()
        return Deferred.fromFuture(asyncio.ensure_future(drain(conf.DRAIN_SECONDS)))

    reactor.addSystemEventTrigger("before", "shutdown", before_shutdown)
