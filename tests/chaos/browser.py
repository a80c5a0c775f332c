"""A simulated browser, which behaves as the page does: reconnects, resends, acknowledges, asks after silence."""

import asyncio
import json
import random
import time
import traceback
import uuid
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, Protocol

import websockets

from ..support.client import Person, Talker
from ..support.protocol_client import Frame
from ..support.servers import Server

TICK = 0.25
SILENCE = 2.0
"""Seconds without progress of an active run after which the browser sends `run.sync`. The page waits 10."""

PING_EVERY = 3.0
PONG_TIMEOUT = 3.0
"""Seconds. The page uses 25 and 8."""

FINAL_CODES = (4401, 4403, 4404)
"""Close codes after which a page does not reconnect."""


class Place(Protocol):
    """Where a browser connects."""

    @property
    def site(self) -> Server: ...


class Browser(Talker):
    """One user's page in one conversation. `run` is its task. Each time it connects, it goes to the next place."""

    def __init__(self, places: Sequence[Place], person: Person, conversation: str, process: int) -> None:
        super().__init__()
        self.conversation, self.process = conversation, process
        self.end_statuses: dict[str, set[str]] = {}
        """By run: the status in each `run.finished`."""

        self.sent: list[str] = []
        """The client_id of each message, in the order of writing."""

        self.errors: list[str] = []
        """What must not happen to a page, but did."""

        self._places, self.person = places, person
        self._connection: websockets.ClientConnection | None = None
        self._outbox: dict[str, Frame] = {}
        self._due: dict[str, float] = {}
        self._reading = asyncio.Event()
        self._reading.set()
        self._progress: dict[str, tuple[int, float]] = {}
        self._pinged = self._ponged = 0.0
        self._reconnect_in: float | None = None

    # --- Actions of the user

    async def post(self, text: str) -> None:
        client_id = str(uuid.uuid4())
        self.sent.append(client_id)
        await self._send_until_confirmed("message.send", client_id=client_id, text=text)

    async def stop_answer(self) -> None:
        for run in list(self.runs):
            await self._send_until_confirmed("run.stop", run=run)

    async def approve(self) -> None:
        for message in list(self.messages.values()):
            for call in message["calls"]:
                if call["status"] == "awaiting_approval":
                    await self._send_until_confirmed("tool.decide", call=call["id"], decision="approve")

    # The next commands are sent once only: a repeated one might get a second answer.

    async def retry(self) -> None:
        if answer := self._newest(role="assistant"):
            await self.send("run.start", message=answer["id"])

    async def continue_answer(self) -> None:
        if answer := self._newest(role="assistant"):
            await self.send("run.start", message=answer["id"], **{"continue": True})

    async def edit(self, text: str, resend: bool = False) -> None:
        if message := self._newest(role="user"):
            await self.send("message.edit", message=message["id"], text=text, resend=resend)

    async def delete(self) -> None:
        if message := self._newest():
            await self.send("message.delete", message=message["id"])

    async def restore(self) -> None:
        for message in list(self.messages.values()):
            if message["deleted_at"]:
                await self.send("message.restore", message=message["id"])

    async def choose(self) -> None:
        """Choose the first of several alternative answers."""
        if (answer := self._newest(role="assistant")) and answer["alternatives"]:
            await self.send("message.choose", message=answer["alternatives"][0])

    def _newest(self, **fields: str) -> Frame | None:
        wanted = [m for m in self.messages.values() if all(m[name] == value for name, value in fields.items())]
        return max(wanted, key=lambda m: m["seq"], default=None)

    def reload(self) -> None:
        """Forget everything except unconfirmed commands, which the page keeps in sessionStorage."""
        self.forget()
        self.disconnect()

    def disconnect(self) -> None:
        if self._connection is not None:
            self._connection.transport.abort()

    async def stall(self, seconds: float) -> None:
        self._reading.clear()
        await asyncio.sleep(seconds)
        self._reading.set()

    @property
    def unconfirmed(self) -> list[Frame]:
        return list(self._outbox.values())

    # --- What the page does by itself

    async def run(self) -> None:
        """Stay connected until cancelled or refused for good. Started, cancelled and awaited by Trial and by `soak`;
        nothing escapes, but a fault of this client is among `errors`.
        """
        ticking = asyncio.create_task(self._noting_faults(self._tick()))
        try:
            await self._noting_faults(self._stay_connected())
        finally:
            ticking.cancel()

    async def _noting_faults(self, work: Coroutine[Any, Any, None]) -> None:
        """Else it would only look as if this browser had got no answers after that."""
        try:
            await work
        except Exception:
            self.errors.append(f"has a fault of its own: {traceback.format_exc()}")

    async def _stay_connected(self) -> None:
        while not self.errors:
            with suppress(OSError, websockets.WebSocketException):
                site = self._places[self.process].site
                async with self.person.connect(
                    self.conversation, site, open_timeout=3, close_timeout=0.5, ping_interval=None
                ) as connection:
                    await self._receive(connection)
            self.process = (self.process + 1) % len(self._places)
            wait = self._reconnect_in if self._reconnect_in is not None else random.uniform(0.05, 0.4)
            self._reconnect_in = None
            await asyncio.sleep(wait)

    async def _receive(self, connection: websockets.ClientConnection) -> None:
        self._connection = connection
        self._pinged = self._ponged = time.monotonic()
        try:
            async for text in connection:
                await self._reading.wait()
                await self.take(str(text))
        finally:
            self._connection = None
            if connection.close_code in FINAL_CODES:
                self.errors.append(f"was refused with {connection.close_code}")

    def apply(self, frame: Frame) -> list[Frame]:
        self._ponged = time.monotonic()
        match frame["type"]:
            case "snapshot":
                self._due = dict.fromkeys(self._outbox, 0.0)
                self._progress.clear()
            case "ack":
                self._outbox.pop(frame["ref"], None)
            case "error":
                self._note_error(frame)
            case "closing":
                self._reconnect_in = frame["reconnect_in"]
            case "run.finished":
                self.end_statuses.setdefault(frame["run"], set()).add(frame["status"])
        return super().apply(frame)

    def _note_error(self, frame: Frame) -> None:
        if frame["code"] == "internal":
            self.errors.append(f"got an internal error: {frame}")
        if frame["code"] in ("unavailable", "rate_limited", "busy"):
            self._due[frame["ref"]] = time.monotonic() + (frame["retry_after"] or 0.5)
        else:
            self._outbox.pop(frame["ref"], None)

    async def transmit(self, text: str) -> None:
        if self._connection is not None:
            with suppress(websockets.ConnectionClosed):
                await self._connection.send(text)

    async def _send_until_confirmed(self, command: str, **fields: Any) -> None:
        """Send a command, again after each reconnect, until it is confirmed or refused."""
        ref = str(uuid.uuid4())
        self._outbox[ref] = {"type": command, "ref": ref, **fields}
        self._due[ref] = 0.0
        await self._send_due()

    async def _send_due(self) -> None:
        if self._connection is None or self.snapshot is None:
            return
        now = time.monotonic()
        messages = [ref for ref, command in self._outbox.items() if command["type"] == "message.send"]
        for ref, command in list(self._outbox.items()):
            # One message at a time: otherwise a message that is sent again would arrive after later ones.
            if self._due.get(ref, now + 1) <= now and ref not in messages[1:]:
                self._due.pop(ref)
                await self.transmit(json.dumps(command))

    async def _tick(self) -> None:
        """Send pings, due commands and acknowledgements. Started and cancelled by `run`; nothing escapes."""
        while True:
            await asyncio.sleep(TICK)
            if self._connection is None or not self._reading.is_set():
                continue
            now = time.monotonic()
            if now - max(self._ponged, self._pinged) > PONG_TIMEOUT + PING_EVERY:
                self.disconnect()
                continue
            if now - self._pinged > PING_EVERY:
                self._pinged = now
                await self.send("ping")
            await self._send_due()
            await self.work()
            for run in list(self.runs):
                await self._check_progress(run, now)

    async def work(self) -> None:
        """What else its page does, several times a second."""

    async def _check_progress(self, run: str, now: float) -> None:
        seq = self.seqs.get(run, 0)
        seen, since = self._progress.get(run, (-1, now))
        if seen != seq:
            self._progress[run] = (seq, now)
            await self.send("run.ack", run=run, seq=seq)
        elif now - since > SILENCE:
            self._progress[run] = (seq, now)
            await self.send("run.sync", run=run)
