"""The innocent bystander: what a user of the same site notices of an attack.

A process of its own, `python -m tests.abuse.bystander`, so that the attacker's clients do not distort what it measures.
The first line of its stdin is {"port", "cast"}; then `begin` starts a window, and `report` ends it with a Report, as
JSON on stdout.

Everything happens on a schedule, whether or not earlier requests have been answered. What has no answer yet at the end
of a window counts with the time it has waited.
"""

import asyncio
import contextlib
import gc
import json
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import msgspec
import uvloop
import websockets

from ..benchmarks.clients import SiteViewer, Tally, acknowledge
from ..benchmarks.wire import RATE, Order
from ..support.client import Socket
from .attackers import Remote, client
from .people import Cast

KINDS = {
    "delta": "age of a streamed delta, from the provider to the reader",
    "ack": "from sending a message to its `ack`",
    "ping": "from a `ping` to its `pong`",
    "snapshot": "from opening a socket to its snapshot",
    "page": "the HTML page of a conversation",
    "list": "the API's list of conversations",
}
SECONDS_BETWEEN = {"ack": 0.25, "ping": 0.2, "snapshot": 0.5, "page": 0.5, "list": 0.5}

MAX_WAITING = 20
"""Requests of one kind that wait for an answer at a time. While there are as many, no more are sent."""

STREAM = Order("", 60 * RATE)


class Report(msgspec.Struct):
    """A window. `samples` are milliseconds by the names in KINDS."""

    samples: dict[str, list[float]]
    trouble: list[str]
    """Disconnects, refusals, failed answers, and acknowledged messages that are not stored."""

    acknowledged: int


class Bystander:
    """One user with a streamed answer in one conversation, and messages in another. A friend of theirs opens sockets
    there; one user alone would soon open too many.
    """

    def __init__(self, port: int, cast: Cast) -> None:
        self._seat, self._streams = cast.bystander, cast.streams
        self._address = f"ws://127.0.0.1:{port}/ws/chat/"
        self._person = client(Remote(port), cast.bystander, timeout=60)
        self._friend = client(Remote(port), cast.friend, timeout=60)
        self._tally = Tally()
        self._tally.recording = True
        self._waiting: dict[object, tuple[str, float]] = {}
        self._samples: dict[str, list[float]] = defaultdict(list)
        self._trouble: list[str] = []
        self._acknowledged: set[str] = set()
        self._socket: Socket | None = None
        self._began = self._heard = time.monotonic()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Live until cancelled."""
        measures = {
            "ack": self._post,
            "ping": self._ping,
            "snapshot": self._open,
            "page": lambda: self._get(f"/chat/{self._seat.conversation}/"),
            "list": lambda: self._get("/chat/api/conversations/"),
        }
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_streaming())
            group.create_task(self._keep_connected())
            for kind, measure in measures.items():
                group.create_task(self._repeat(kind, measure))

    def begin(self) -> None:
        """Begin a window. What was requested before does not belong to it."""
        self._began = time.monotonic()
        self._samples.clear()
        self._trouble.clear()
        self._acknowledged.clear()
        del self._tally.lags[:]
        if self._socket is not None:
            self._socket.events.clear()

    async def report(self) -> Report:
        now = time.monotonic()
        samples = {kind: list(found) for kind, found in self._samples.items()}
        for kind, due in self._waiting.values():
            if due >= self._began:
                samples.setdefault(kind, []).append((now - due) * 1000)
        silence = now - self._heard
        overdue = [(silence - number / RATE) * 1000 for number in range(int(silence * RATE))] if silence > 0.5 else []
        samples["delta"] = [*self._tally.lags, *overdue]
        acknowledged = set(self._acknowledged)
        if missing := acknowledged - await self._stored(acknowledged):
            self._trouble.append(f"{len(missing)} acknowledged messages are not stored")
        return Report(samples, list(self._trouble), len(acknowledged))

    # --- What it does

    async def _repeat(self, kind: str, measure: Callable[[], Awaitable[None]]) -> None:
        due = time.monotonic()
        while True:
            due += SECONDS_BETWEEN[kind]
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if sum(waiting == kind for waiting, _ in self._waiting.values()) < MAX_WAITING:
                task = asyncio.create_task(self._time(kind, measure, due))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _time(self, kind: str, measure: Callable[[], Awaitable[None]], due: float) -> None:
        key = object()
        self._waiting[key] = kind, due
        trouble = ""
        try:
            await measure()
        except (AssertionError, OSError, TimeoutError, httpx.HTTPError, websockets.WebSocketException) as error:
            trouble = f"{kind}: {type(error).__name__} {error}"
        finally:
            del self._waiting[key]
        if due >= self._began:
            self._samples[kind].append((time.monotonic() - due) * 1000)
            self._trouble += [trouble] if trouble else []

    async def _keep_connected(self) -> None:
        while True:
            with contextlib.suppress(OSError, TimeoutError, websockets.WebSocketException):
                async with self._person.socket(self._seat.conversation) as socket:
                    await socket.hear("snapshot")
                    self._socket = socket
                    code = await socket.wait_closed(1e9)
                    self._trouble.append(f"the socket was closed with {code}")
            self._socket = None
            await asyncio.sleep(0.2)

    async def _keep_streaming(self) -> None:
        number = 0
        while True:
            with contextlib.suppress(OSError, TimeoutError, websockets.WebSocketException):
                await self._stream(self._streams[number % len(self._streams)])
            self._heard = time.monotonic()
            await asyncio.sleep(0.1)
            number += 1

    async def _stream(self, conversation: str) -> None:
        viewer = SiteViewer(f"{self._address}{conversation}/", self._tally, {"Cookie": self._seat.cookie})
        await viewer.open()
        acknowledging = asyncio.create_task(acknowledge([viewer]))
        try:
            await asyncio.wait_for(viewer.ready.wait(), 60)
            await viewer.ask(STREAM._replace(stream=str(uuid.uuid4())))
            deltas = 0
            while not viewer.over.is_set():
                if viewer.deltas > deltas or not viewer.begun.is_set():
                    deltas, self._heard = viewer.deltas, time.monotonic()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(viewer.over.wait(), 0.05)
            if viewer.end != "completed":
                self._trouble.append(f"the stream ended: {viewer.end}")
        finally:
            acknowledging.cancel()
            await viewer.close()

    async def _post(self) -> None:
        ref = str(uuid.uuid4())
        if self._socket is None:
            raise OSError("not connected")
        await self._socket.say("I only came to talk.", ref=ref)
        answer = await self._socket.answered(ref)
        if answer["type"] != "ack":
            raise AssertionError(f"{answer['code']}")
        self._acknowledged.add(answer["message"])

    async def _ping(self) -> None:
        ref = str(uuid.uuid4())
        if self._socket is None:
            raise OSError("not connected")
        await self._socket.send("ping", ref=ref)
        await self._socket.answered(ref)

    async def _open(self) -> None:
        async with self._friend.socket(self._seat.conversation) as socket:
            await socket.hear("snapshot")

    async def _get(self, path: str) -> None:
        answer = await self._person.http.get(path)
        assert answer.status_code == 200, f"status {answer.status_code}"

    async def _stored(self, wanted: set[str]) -> set[str]:
        found: set[str] = set()
        before = ""
        while not wanted <= found:
            path = f"/chat/api/conversations/{self._seat.conversation}/messages/?limit=100{before}"
            page = await self._load(path)
            if page is None:
                self._trouble.append("the messages cannot be loaded")
                return wanted
            found |= {message["id"] for message in page["messages"]}
            if not page["more"]:
                break
            before = f"&before={page['messages'][0]['seq']}"
        return found & wanted

    async def _load(self, path: str) -> Any:
        """The JSON at an address, after some attempts, because an attack can have left a queue. None if all fail."""
        for _ in range(20):
            with contextlib.suppress(httpx.HTTPError):
                answer = await self._person.http.get(path)
                if answer.status_code == 200:
                    return answer.json()
            await asyncio.sleep(0.5)
        return None


async def main() -> None:
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    given = json.loads(await reader.readline())
    bystander = Bystander(given["port"], msgspec.convert(given["cast"], Cast))
    living = asyncio.create_task(bystander.run())
    while line := await reader.readline():
        if living.done():
            living.result()
        if line.strip() == b"begin":
            bystander.begin()
        else:
            print(msgspec.json.encode(await bystander.report()).decode(), flush=True)
    living.cancel()


if __name__ == "__main__":
    gc.disable()  # a collection would look like a pause of the server
    uvloop.run(main())
