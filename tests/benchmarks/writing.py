"""An agent writes a long document while somebody reads it: CPU, lag and bytes of its text.

Several agents write at the same time, each in a conversation of its own, at a steady pace. The texts that arrive and
those that are stored are compared with what the provider sent.
"""

import asyncio
import hashlib
import json
import re
import urllib.request
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from .clients import QUIET, acknowledge, connect
from .load import PATIENCE, Clocks, Shares, pacing, settle, shares, wait_for_all
from .measure import median, percentile
from .people import Seat
from .targets import Bench, SiteTarget
from .wire import WIDTH, Order, lags, microseconds

_TOKEN = re.compile(rf"[0-9a-f]{{{WIDTH - 1}}} ")


@dataclass(frozen=True)
class Writing:
    target: str
    documents: int
    characters: int
    """Of each."""
    cpu_us: float
    """CPU of the server per delta of the model, from asking to the end of the answer, everything stored."""
    frames: float
    """Frames per document."""
    first_ms: float
    """From the argument's first byte until its reader has it: the median."""
    first_worst: float
    lag_p99: float
    wire: float
    """Bytes that a reader got, as a multiple of the text's."""
    equal: bool
    """Whether all readers and the database have what the provider sent."""
    shares: Shares

    @property
    def doubts(self) -> list[str]:
        return self.shares.doubts


class _Frame(msgspec.Struct):
    type: str
    run: str | None = None
    seq: int = 0
    document: Any = None
    version: int = 0
    changes: list[Any] = []
    code: str = ""
    status: str = ""


_decode = msgspec.json.Decoder(_Frame).decode


class _Document(msgspec.Struct):
    text: str


class Reader:
    """One person who asks, and reads the document as it grows, from its first version on."""

    def __init__(self, target: SiteTarget, seat: Seat, turn: int, order: Order) -> None:
        self._url, self._cookie, self._order = target.address(seat, turn), seat.cookie, order
        self._http = f"http://127.0.0.1:{target.ports[turn % len(target.ports)]}"
        self.ready, self.over = asyncio.Event(), asyncio.Event()
        self.document = self.end = ""
        self.frames = self.bytes = 0
        self.first = 0.0
        self.lags: list[float] = []
        self._text: list[str] = []
        self._version = 0
        self._run: str | None = None
        self._seq = 0

    @property
    def text(self) -> str:
        return "".join(self._text)

    async def open(self) -> None:
        self._socket = await connect(self._url, {"Cookie": self._cookie})
        self._reading = asyncio.create_task(self._read())

    async def ask(self) -> None:
        await self._send({"type": "message.send", "client_id": str(uuid.uuid4()), "text": str(self._order)})

    async def acknowledge(self) -> None:
        if self._run is not None:
            await self._send({"type": "run.ack", "run": self._run, "seq": self._seq})

    def fetch(self) -> bytes:
        """The Document as it is stored, in JSON. Waits for the site."""
        url = f"{self._http}/chat/api/documents/{self.document}/"
        with urllib.request.urlopen(
            urllib.request.Request(url, headers={"Cookie": self._cookie}), timeout=30
        ) as answer:
            return bytes(answer.read())

    async def close(self) -> None:
        await self._socket.close()
        await self._reading

    async def _send(self, command: dict[str, Any]) -> None:
        with suppress(*QUIET):
            await self._socket.send(json.dumps(command))

    async def _read(self) -> None:
        try:
            while True:
                frame = await self._socket.recv(decode=False)
                self._hear(_decode(frame), len(frame))
        except QUIET:
            self.end = self.end or f"closed with {self._socket.close_code}"
            self.over.set()

    def _hear(self, heard: _Frame, length: int) -> None:
        match heard.type:
            case "snapshot":
                self.ready.set()
                return
            case "run.delta" | "run.tool":
                self._run, self._seq = heard.run, heard.seq
            case "document.created":
                self.document = heard.document["id"]
            case "document.changed" if heard.version == self._version + 1:
                self._version = heard.version
                self.frames += 1
                self._take("\n".join(text for part in heard.changes if isinstance(part, list) for text in part[1:]))
            case "run.finished":
                self.end = heard.status
                self.over.set()
            case "error":
                self.end = heard.code
                self.over.set()
        self.bytes += length

    def _take(self, text: str) -> None:
        if _TOKEN.match(text):
            found = lags(text, microseconds(), self._order.chars)
            self.first = self.first or max(found)
            self.lags += found
        self._text.append(text)


async def writing(
    bench: Bench, target: SiteTarget, seats: Sequence[Seat], deltas: int, rate: int, chars: int
) -> Writing:
    """Measure it: a document for each seat, of so many deltas with `chars` characters each, `rate` of them a second."""
    prefix, documents = uuid.uuid4().hex[:8], len(seats)
    orders = [Order(f"{prefix}-{place}", deltas, rate, chars, True) for place in range(documents)]
    readers = [
        Reader(target, seat, place, order) for place, (order, seat) in enumerate(zip(orders, seats, strict=True))
    ]
    await asyncio.gather(*(reader.open() for reader in readers))
    await wait_for_all(reader.ready.wait() for reader in readers)
    acknowledging = asyncio.create_task(acknowledge(readers))
    try:
        await settle(bench)
        async with pacing():
            clocks = Clocks(bench, target)
            for reader in readers:
                await reader.ask()
                await asyncio.sleep(1 / rate / documents)
            await wait_for_all((reader.over.wait() for reader in readers), deltas / rate + PATIENCE)
            spent = clocks.since()
        report = await asyncio.to_thread(bench.report)
        sent = [report["streams"].get(order.stream, {}).get("digest") for order in orders]
        found = await asyncio.gather(*(asyncio.to_thread(reader.fetch) for reader in readers if reader.document))
        stored = [msgspec.json.decode(body, type=_Document).text for body in found]
    finally:
        acknowledging.cancel()
        await asyncio.gather(acknowledging, *(reader.close() for reader in readers), return_exceptions=True)
    size = deltas * chars
    return Writing(
        target=target.name,
        documents=documents,
        characters=size,
        cpu_us=spent["server"] * 1e6 / (documents * deltas),
        frames=sum(reader.frames for reader in readers) / documents,
        first_ms=median([reader.first for reader in readers]),
        first_worst=max(reader.first for reader in readers),
        lag_p99=percentile([lag for reader in readers for lag in reader.lags], 99),
        wire=max(reader.bytes for reader in readers) / size,
        equal=[_digest(reader.text) for reader in readers] == sent == [_digest(text) for text in stored]
        and all(reader.end == "completed" for reader in readers),
        shares=shares(spent, report["late_ms"]),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
