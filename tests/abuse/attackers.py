"""The attackers' clients, and how an attack is described: what it does, and the documented answers to it."""

import asyncio
import contextlib
import json
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import httpx
import websockets

from ..support.client import Person, Socket
from ..support.servers import Site
from .people import Seat
from .testbed import Target

Answers = Counter[str]
"""How often each answer came: a status, an event or error code, `closed CODE`, or the end of a run."""

CSRF = "a" * 32
"""A CSRF token is whatever the cookie says, as long as the header says the same."""

FAILED = (OSError, TimeoutError, httpx.HTTPError, websockets.WebSocketException, AssertionError)


class Remote(Site):
    """A process of a site that another process has started."""

    def __init__(self, port: int) -> None:
        self.port = port


@dataclass(frozen=True)
class Attack:
    """One way to harm others. `allowed` are the documented answers, `required` those that must come at least once."""

    name: str
    about: str
    run: Callable[["Arena"], Awaitable[Answers]]
    allowed: frozenset[str]
    required: frozenset[str]
    databases: tuple[str, ...]
    processes: int
    kills: int
    """How many processes of the site it ends. All others must live."""

    def verdict(self, answers: Answers) -> list[str]:
        """What is wrong with these answers."""
        unknown = [f"{name} x {number}" for name, number in answers.items() if name not in self.allowed]
        missing = [f"no {name}" for name in self.required if not answers[name]]
        return unknown + missing


ATTACKS: dict[str, Attack] = {}


def attack(
    allowed: str,
    required: str = "",
    *,
    databases: Iterable[str] = ("PostgreSQL", "SQLite"),
    processes: int = 1,
    kills: int = 0,
) -> Callable[[Callable[["Arena"], Awaitable[Answers]]], Callable[["Arena"], Awaitable[Answers]]]:
    """Decorator that registers an attack under its function's name. `allowed` and `required` are answers, separated by
    commas; `required` ones are allowed. `processes`: how many the site needs at least.
    """

    def register(function: Callable[["Arena"], Awaitable[Answers]]) -> Callable[["Arena"], Awaitable[Answers]]:
        needed = _names(required)
        about = " ".join((function.__doc__ or "").split())
        name = function.__name__
        ATTACKS[name] = Attack(
            name, about, function, _names(allowed) | needed, needed, tuple(databases), processes, kills
        )
        return function

    return register


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())


class Visitor(Person):
    """A client with its own conversation."""

    def __init__(self, site: Site, http: httpx.AsyncClient, room: str) -> None:
        super().__init__(site, http)
        self.room = room

    async def quiet_room(self) -> str:
        """A new conversation in which no agent answers."""
        room = await self.new_conversation()
        path = f"{self.prefix}api/conversations/{room}/"
        assert (await self.http.patch(path, json={"answers": "off"}, headers=self.csrf)).status_code == 200
        return room

    def api(self, method: str, path: str, **options: Any) -> Awaitable[httpx.Response]:
        """A request to the JSON API."""
        return self.http.request(method, f"{self.prefix}api/{path}", headers=self.csrf, **options)


def client(site: Site, seat: Seat | None = None, timeout: float = 30) -> Visitor:
    """A signed-in user at one process of the site; without a seat, somebody who is not signed in."""
    http = httpx.AsyncClient(
        base_url=site.url,
        timeout=timeout,
        trust_env=False,
        verify=False,
        limits=httpx.Limits(max_connections=None),
    )
    http.cookies.set("csrftoken", CSRF, domain="127.0.0.1")
    if seat is not None:
        name, _, key = seat.cookie.partition("=")
        http.cookies.set(name, key, domain="127.0.0.1")
    return Visitor(site, http, seat.conversation if seat else "")


class Arena:
    """What an attack works with: its target, seats of its own, and clients that are closed at its end.

    `scale` divides the size of an attack for the suite; 1 is full size.
    """

    def __init__(self, target: Target, scale: int = 1) -> None:
        self.target = target
        self.cast = target.cast
        self.scale = scale
        self.answers = Answers()
        self._stack = contextlib.AsyncExitStack()
        self._sites = [Remote(port) for port in target.ports]

    async def __aenter__(self) -> "Arena":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def processes(self) -> int:
        """How many processes the site has. Attacks on what each process has for itself are multiplied by it."""
        return len(self._sites)

    def size(self, full: int) -> int:
        """The size of an attack that is `full` at full size."""
        return max(1, full // self.scale)

    def site(self, number: int) -> Site:
        """A process of the site. Attackers use them in turn."""
        return self._sites[number % len(self._sites)]

    def attackers(self, number: int) -> list[Visitor]:
        """Signed-in attackers, spread over the processes. Each attack gets other ones as long as there are any."""
        seats = self.cast.attackers
        first = self.target.turn * 7
        return [self.client(seats[(first + i) % len(seats)], i) for i in range(number)]

    def client(self, seat: Seat | None, number: int = 0) -> Visitor:
        """A client at a process of the site. `seat` None: not signed in."""
        person = client(self.site(number), seat)
        self._stack.push_async_callback(person.http.aclose)
        return person

    async def count(self, request: Awaitable[httpx.Response]) -> httpx.Response | None:
        """Count the status of an answer."""
        try:
            response = await request
        except FAILED as error:
            self.answers[type(error).__name__] += 1
            return None
        self.answers[str(response.status_code)] += 1
        return response

    def count_events(self, sockets: Iterable[Socket], *names: str) -> None:
        """Count the events of these types, the codes of errors, and the close codes that sockets received."""
        for peer in sockets:
            for event in peer.events:
                if event["type"] == "error":
                    self.answers[event["code"]] += 1
                elif event["type"] in names:
                    self.answers[event["type"]] += 1
            if peer.closed is not None:
                self.answers[f"closed {peer.closed}"] += 1

    async def opened(self, person: Visitor, conversation: str | None = None) -> Socket:
        """A socket after its snapshot, closed at the end of the attack."""
        peer = await self._stack.enter_async_context(person.socket(conversation or person.room))
        await peer.until(lambda: peer.snapshot or peer.closed)
        return peer


def masked(payload: bytes, opcode: int = 1) -> bytes:
    """A whole WebSocket frame as a client sends it; its mask is zero. Opcode 1 is text, 2 binary."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 65536:
        head = bytes((0x80 | opcode, 0xFE)) + struct.pack("!H", size)
    else:
        head = bytes((0x80 | opcode, 0xFF)) + struct.pack("!Q", size)
    return head + bytes(4) + payload


async def pour(peer: Socket, frame: bytes, number: int, seconds: float) -> int:
    """Write the same frame again and again, as fast as the server takes it. Returns how many were written."""
    block = 100
    deadline = asyncio.get_running_loop().time() + seconds
    transport = peer.connection.transport
    sent = 0
    while sent < number and peer.closed is None and asyncio.get_running_loop().time() < deadline:
        if transport.is_closing():
            break
        transport.write(frame * min(block, number - sent))
        sent += min(block, number - sent)
        while transport.get_write_buffer_size() > 256 * 1024 and peer.closed is None and not transport.is_closing():
            await asyncio.sleep(0.005)
            if asyncio.get_running_loop().time() > deadline:
                return sent
        await asyncio.sleep(0)
    return sent


def command(name: str, **fields: object) -> bytes:
    """A command as a masked frame."""
    return masked(json.dumps({"type": name, **fields}).encode())


async def gather(work: Iterable[Awaitable[object]], at_once: int = 100) -> None:
    """Do all of it, so many at once."""
    slots = asyncio.Semaphore(at_once)

    async def one(item: Awaitable[object]) -> None:
        async with slots:
            await item

    await asyncio.gather(*(one(item) for item in work))


@contextlib.asynccontextmanager
async def raw_connection(
    port: int, receive_buffer: int = 0, address: str = ""
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A TCP connection, for what HTTP clients do not do. `receive_buffer`: bytes that the kernel takes while nobody
    reads; 0 means its default. `address`: where it comes from, such as 127.0.0.2 (on Linux).
    """
    connection = socket.socket()
    if address:
        connection.bind((address, 0))
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=receive_buffer or 65536)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def request_head(method: str, path: str, cookie: str = "", **headers: object) -> bytes:
    """The head of an HTTP request; underscores in names of headers stand for hyphens."""
    given = {"Host": "127.0.0.1", "Cookie": f"csrftoken={CSRF}; {cookie}", "X-CSRFToken": CSRF}
    given |= {name.replace("_", "-"): str(value) for name, value in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


async def read_status(reader: asyncio.StreamReader, seconds: float = 30) -> str:
    """The status of the answer on a raw connection; "closed" if there is none."""
    try:
        line = await asyncio.wait_for(reader.readline(), seconds)
    except (OSError, TimeoutError) as error:
        return "no answer" if isinstance(error, TimeoutError) else "closed"
    return line.split()[1].decode() if line else "closed"
