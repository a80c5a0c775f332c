"""A conversation that many people read, over two processes: how long a message takes to reach the last of them.

The readers do what browsers do: they answer each message with `read`, and keep their socket open. No agent answers.
"""

import asyncio
import json
import os
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from .clients import QUIET, connect
from .measure import cpu_seconds, family_cpu_seconds, machine_cpu_seconds, median, percentile
from .targets import SiteTarget

PACE = 0.5
"""Seconds between two messages."""

PATIENCE = 10.0


@dataclass(frozen=True)
class Room:
    """Milliseconds from sending a message until its sender has the `ack`, half of the readers have it, and all have it:
    medians, and for the last also the 95th percentile and the worst. `missed` are copies that did not arrive.
    """

    target: str
    sockets: int
    posts: int
    ack: float
    half: float
    all: float
    all_p95: float
    worst: float
    missed: int
    server_ms: float
    """CPU of both processes per message, including everything that follows from it."""
    others: float
    """Share of one core that processes outside the benchmark took."""


class _Heard(msgspec.Struct):
    type: str
    ref: str | None = None
    message: msgspec.Raw = msgspec.Raw(b"null")


class _Message(msgspec.Struct):
    seq: int
    client_id: str | None


_decode = msgspec.json.Decoder(_Heard).decode
_message = msgspec.json.Decoder(_Message).decode


class Reader:
    """One socket. `times` and `acks` hold when it got each message and each `ack`, by client_id."""

    def __init__(self, address: str, cookie: str) -> None:
        self._address, self._cookie = address, cookie
        self.ready = asyncio.Event()
        self.times: dict[str, float] = {}
        self.acks: dict[str, float] = {}

    async def open(self) -> None:
        self._socket = await connect(self._address, {"Cookie": self._cookie}, open_timeout=60)
        self._reading = asyncio.create_task(self._read())

    async def post(self) -> tuple[str, float]:
        client_id = str(uuid.uuid4())
        command = json.dumps({"type": "message.send", "client_id": client_id, "text": "Hello all", "ref": client_id})
        sent = time.monotonic()
        await self._socket.send(command)
        return client_id, sent

    async def close(self) -> None:
        await self._socket.close()
        await self._reading

    async def _read(self) -> None:
        with suppress(*QUIET):
            while True:
                frame = await self._socket.recv(decode=False)
                now = time.monotonic()
                heard = _decode(frame)
                match heard.type:
                    case "message.created":
                        message = _message(heard.message)
                        if message.client_id is not None:
                            self.times[message.client_id] = now
                            await self._socket.send(json.dumps({"type": "read", "seq": message.seq, "ref": "read"}))
                    case "ack" if heard.ref is not None:
                        self.acks[heard.ref] = now
                    case "snapshot":
                        self.ready.set()


async def room(target: SiteTarget, sockets: int, posts: int) -> Room:
    """Measure it. The sockets are spread over the processes of the site, and so are the senders."""
    seats = target.cast.together[:sockets]
    addresses = [f"ws://127.0.0.1:{port}/ws/chat/{seats[0].conversation}/" for port in target.ports]
    readers = [Reader(addresses[place % len(addresses)], seat.cookie) for place, seat in enumerate(seats)]
    try:
        for at in range(0, len(readers), 10):
            await asyncio.gather(*(reader.open() for reader in readers[at : at + 10]))
        await asyncio.wait_for(asyncio.gather(*(reader.ready.wait() for reader in readers)), 120)
        await asyncio.sleep(3)  # until everybody has the presence events
        clocks = Clocks(target)
        sent = []
        for number in range(posts):
            sender = readers[number % len(readers)]
            client_id, sent_at = await sender.post()
            sent.append((client_id, sent_at, sender))
            await asyncio.sleep(PACE)
        await _wait_for_arrival(readers, [client_id for client_id, _, _ in sent])
        await asyncio.sleep(1)
        return _result(target.name, readers, sent, clocks)
    finally:
        await asyncio.gather(
            *(reader.close() for reader in readers if hasattr(reader, "_socket")), return_exceptions=True
        )


async def _wait_for_arrival(readers: Sequence[Reader], ids: Sequence[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and any(client_id not in reader.times for reader in readers for client_id in ids):
        await asyncio.sleep(0.05)


class Clocks:
    """CPU time since its creation: of the site's processes, and of processes outside the benchmark."""

    def __init__(self, target: SiteTarget) -> None:
        self._target = target
        self._before = self._read()

    def since(self) -> tuple[float, float]:
        servers, ours, machine, now = (new - old for new, old in zip(self._read(), self._before, strict=True))
        return servers, max(0.0, machine - ours) / now

    def _read(self) -> tuple[float, float, float, float]:
        servers = self._target.cpu_seconds()
        ours = servers + cpu_seconds(os.getpid()) + family_cpu_seconds(self._target.aux)
        return servers, ours, machine_cpu_seconds(), time.monotonic()


def _result(name: str, readers: Sequence[Reader], sent: list[tuple[str, float, Reader]], clocks: Clocks) -> Room:
    spent, others = clocks.since()
    acks, halves, alls, missed = [], [], [], 0
    for client_id, at, sender in sent:
        came = sorted((reader.times[client_id] - at) * 1000 for reader in readers if client_id in reader.times)
        missed += len(readers) - len(came)
        if client_id in sender.acks:
            acks.append((sender.acks[client_id] - at) * 1000)
        if came:
            halves.append(came[len(came) // 2])
            alls.append(came[-1])
    return Room(
        target=name,
        sockets=len(readers),
        posts=len(sent),
        ack=median(acks),
        half=median(halves),
        all=median(alls),
        all_p95=percentile(alls, 95),
        worst=max(alls, default=0.0),
        missed=missed,
        server_ms=spent * 1000 / max(1, len(sent)),
        others=others,
    )
