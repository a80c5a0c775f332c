"""Many people type in one document: how long a change takes to reach all of them.

Each of them has a socket, and pushes a letter at a random place for the version that they know, at a steady pace. They
do not wait for the answer to one push before the next one is due, but, like the page, have one push in flight.
"""

import asyncio
import json
import random
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from .clients import QUIET, connect
from .measure import median, percentile
from .people import Seat
from .room import Clocks
from .targets import SiteTarget

TEXT = "One of many lines that people have written in this document.\n" * 100

PATIENCE = 10.0


@dataclass(frozen=True)
class Typing:
    """Milliseconds from the moment at which a change is due until all have it: median, 99th percentile, and worst.

    A change is due at its pace, so that waiting for an earlier push counts. `missed` are copies that did not arrive.
    """

    target: str
    people: int
    changes: int
    all: float
    all_p99: float
    worst: float
    missed: int
    stale: int
    """Pushes that were refused because others were faster, and pushed again."""
    changes_per_frame: float
    server_ms: float
    """CPU of the site's processes per change, including everything that follows from it."""
    others: float
    """Share of one core that processes outside the benchmark took."""


class _Update(msgspec.Struct):
    version: int
    client_id: str | None


class _Frame(msgspec.Struct):
    type: str
    ref: str | None = None
    code: str | None = None
    document: msgspec.Raw = msgspec.Raw(b"null")
    version: int = 0
    client_id: str | None = None
    updates: list[_Update] = []


_decode = msgspec.json.Decoder(_Frame).decode


class Typist:
    """One person, and their socket. `times` holds when they got each change, by client_id."""

    def __init__(self, address: str, seat: Seat, seed: int) -> None:
        self._address, self._cookie = address, seat.cookie
        self._rng = random.Random(seed)
        self.ready = asyncio.Event()
        self.document = ""
        self.version = 1
        self.times: dict[str, float] = {}
        self.due: dict[str, float] = {}
        """When each of their changes was due."""
        self.stale = self.frames = 0
        self._arrived = asyncio.Event()
        self._created: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._pending = ""

    async def open(self) -> None:
        self._socket = await connect(self._address, {"Cookie": self._cookie}, open_timeout=60)
        self._reading = asyncio.create_task(self._read())

    async def create_document(self) -> str:
        await self._send(type="document.create", title="Shared", text=TEXT, ref="create")
        return await asyncio.wait_for(self._created, 10)

    async def type(self, changes: int, pace: float) -> None:
        begun = time.monotonic() + self._rng.random() * pace
        for number in range(changes):
            due = begun + number * pace
            await asyncio.sleep(max(0, due - time.monotonic()))
            self._pending = str(uuid.uuid4())
            self.due[self._pending] = due
            self._arrived.clear()
            await self._push()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), PATIENCE)

    async def _push(self) -> None:
        length = len(TEXT) + self.version - 1  # each change adds one letter
        place = self._rng.randrange(1, length)
        changes = [place, [0, "x"], length - place]
        known = {"document": self.document, "version": self.version, "client_id": self._pending}
        await self._send(type="document.push", ref="push", changes=changes, rebase=True, **known)

    async def _send(self, **command: object) -> None:
        await self._socket.send(json.dumps(command))

    async def close(self) -> None:
        await self._socket.close()
        await self._reading

    async def _read(self) -> None:
        with suppress(*QUIET):
            while True:
                frame = _decode(await self._socket.recv(decode=False))
                now = time.monotonic()
                match frame.type:
                    case "document.changed":
                        self._take(now, [_Update(frame.version, frame.client_id)])
                    case "document.updates":
                        self._take(now, frame.updates)
                    case "ack" if frame.ref == "create":
                        self._created.set_result(msgspec.json.decode(frame.document, type=str))
                    case "error" if frame.code == "stale":
                        self.stale += 1
                        await self._push()
                    case "snapshot":
                        self.ready.set()

    def _take(self, now: float, updates: Sequence[_Update]) -> None:
        self.frames += 1
        for update in updates:
            self.version = max(self.version, update.version)
            if update.client_id is not None:
                self.times.setdefault(update.client_id, now)
            if update.client_id == self._pending:
                self._arrived.set()


async def typing(target: SiteTarget, people: int, changes: int, pace: float) -> Typing:
    """Measure it: each of the people makes so many changes, one every `pace` seconds."""
    seats = target.cast.together[:people]
    addresses = [f"ws://127.0.0.1:{port}/ws/chat/{seats[0].conversation}/" for port in target.ports]
    typists = [Typist(addresses[place % len(addresses)], seat, place) for place, seat in enumerate(seats)]
    try:
        for at in range(0, len(typists), 10):
            await asyncio.gather(*(typist.open() for typist in typists[at : at + 10]))
        await asyncio.wait_for(asyncio.gather(*(typist.ready.wait() for typist in typists)), 120)
        document = await typists[0].create_document()
        for typist in typists:
            typist.document = document
        await asyncio.sleep(3)  # until everybody has the presence events
        clocks = Clocks(target)
        await asyncio.gather(*(typist.type(changes, pace) for typist in typists))
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and any(len(typist.times) < people * changes for typist in typists):
            await asyncio.sleep(0.05)
        return _result(target.name, typists, clocks)
    finally:
        await asyncio.gather(
            *(typist.close() for typist in typists if hasattr(typist, "_socket")), return_exceptions=True
        )


def _result(name: str, typists: Sequence[Typist], clocks: Clocks) -> Typing:
    spent, others = clocks.since()
    alls, missed, copies = [], 0, 0
    for author in typists:
        for client_id, due in author.due.items():
            came = [typist.times[client_id] for typist in typists if client_id in typist.times]
            copies += len(came)
            missed += len(typists) - len(came)
            if came:
                alls.append((max(came) - due) * 1000)
    return Typing(
        target=name,
        people=len(typists),
        changes=len(alls),
        all=median(alls),
        all_p99=percentile(alls, 99),
        worst=max(alls, default=0.0),
        missed=missed,
        stale=sum(typist.stale for typist in typists),
        changes_per_frame=copies / max(1, sum(typist.frames for typist in typists)),
        server_ms=spent * 1000 / max(1, len(alls)),
        others=others,
    )
