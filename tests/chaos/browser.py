"""A page that is left open: reconnects, sends again what was not confirmed, acknowledges, asks after silence."""

import asyncio
import json
import random
import time
import uuid
from contextlib import suppress
from typing import Any

import websockets

from ..support.client import Person, Talker
from ..support.protocol_client import Frame
from .cluster import World

TICK = 0.25
SILENCE = 2.0
"""Seconds without progress of an active run after which it is asked after; the page waits 10."""

PING_EVERY = 3.0
PONG_WITHIN = 3.0
"""The page: 25 and 8."""

FINAL = (4401, 4403, 4404)


class Browser(Talker):
    """One person's page in one conversation. `live` is its task."""

    def __init__(self, world: World, person: Person, conversation: str, process: int) -> None:
        super().__init__()
        self.conversation, self.process = conversation, process
        self.ends: dict[str, set[str]] = {}
        """By run: every end that was told of it."""

        self.said: list[str] = []
        """The client_id of each message, in the order of writing."""

        self.troubles: list[str] = []
        self._world, self.person = world, person
        self._connection: websockets.ClientConnection | None = None
        self._outbox: dict[str, Frame] = {}
        self._due: dict[str, float] = {}
        self._reading = asyncio.Event()
        self._reading.set()
        self._progress: dict[str, tuple[int, float]] = {}
        self._pinged = self._ponged = 0.0
        self._come_back: float | None = None

    # --- What a person does with it

    async def post(self, text: str) -> None:
        client_id = str(uuid.uuid4())
        self.said.append(client_id)
        await self._keep("message.send", client_id=client_id, text=text)

    async def stop_answer(self) -> None:
        for run in list(self.runs):
            await self._keep("run.stop", run=run)

    async def approve(self) -> None:
        for message in list(self.messages.values()):
            for call in message["calls"]:
                if call["status"] == "awaiting_approval":
                    await self._keep("tool.decide", call=call["id"], decision="approve")

    # What follows is not kept: to ask twice may be to be answered twice.

    async def retry(self) -> None:
        if answer := self._newest(role="assistant"):
            await self.send("run.start", message=answer["id"])

    async def go_on(self) -> None:
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
        """The first of several answers."""
        if (answer := self._newest(role="assistant")) and answer["alternatives"]:
            await self.send("message.choose", message=answer["alternatives"][0])

    def _newest(self, **fields: str) -> Frame | None:
        wanted = [m for m in self.messages.values() if all(m[name] == value for name, value in fields.items())]
        return max(wanted, key=lambda m: m["seq"], default=None)

    def reload(self) -> None:
        """All that was known is gone but what was not confirmed, as in the page's sessionStorage."""
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

    # --- What it does by itself

    async def live(self) -> None:
        """Be connected, until cancelled or refused for good. Started, cancelled and awaited by Stage."""
        ticking = asyncio.create_task(self._tick())
        try:
            while not self.troubles:
                with suppress(OSError, websockets.WebSocketException):
                    site = self._world.processes[self.process].site
                    async with self.person.connect(
                        self.conversation, site, open_timeout=3, close_timeout=0.5, ping_interval=None
                    ) as connection:
                        await self._follow(connection)
                self.process = (self.process + 1) % len(self._world.processes)
                wait = self._come_back if self._come_back is not None else random.uniform(0.05, 0.4)
                self._come_back = None
                await asyncio.sleep(wait)
        finally:
            ticking.cancel()

    async def _follow(self, connection: websockets.ClientConnection) -> None:
        self._connection = connection
        self._pinged = self._ponged = time.monotonic()
        try:
            async for text in connection:
                await self._reading.wait()
                await self.take(str(text))
        finally:
            self._connection = None
            if connection.close_code in FINAL:
                self.troubles.append(f"was refused with {connection.close_code}")

    def apply(self, frame: Frame) -> list[Frame]:
        self._ponged = time.monotonic()
        match frame["type"]:
            case "snapshot":
                self._due = dict.fromkeys(self._outbox, 0.0)
                self._progress.clear()
            case "ack":
                self._outbox.pop(frame["ref"], None)
            case "error":
                self._refused(frame)
            case "closing":
                self._come_back = frame["reconnect_in"]
            case "run.finished":
                self.ends.setdefault(frame["run"], set()).add(frame["status"])
        return super().apply(frame)

    def _refused(self, frame: Frame) -> None:
        if frame["code"] == "internal":
            self.troubles.append(f"was told of an internal error: {frame}")
        if frame["code"] in ("unavailable", "rate_limited", "busy"):
            self._due[frame["ref"]] = time.monotonic() + (frame["retry_after"] or 0.5)
        else:
            self._outbox.pop(frame["ref"], None)

    async def transmit(self, text: str) -> None:
        if self._connection is not None:
            with suppress(websockets.ConnectionClosed):
                await self._connection.send(text)

    async def _keep(self, command: str, **fields: Any) -> None:
        """Send a command, again after each reconnect, until it is answered."""
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
            # Messages go one after another: one that has to be sent again would else come after those written later.
            if self._due.get(ref, now + 1) <= now and ref not in messages[1:]:
                self._due.pop(ref)
                await self.transmit(json.dumps(command))

    async def _tick(self) -> None:
        """Started and cancelled by `live`."""
        while True:
            await asyncio.sleep(TICK)
            if self._connection is None or not self._reading.is_set():
                continue
            now = time.monotonic()
            if now - max(self._ponged, self._pinged) > PONG_WITHIN + PING_EVERY:
                self.disconnect()
                continue
            if now - self._pinged > PING_EVERY:
                self._pinged = now
                await self.send("ping")
            await self._send_due()
            for run in list(self.runs):
                await self._look_after(run, now)

    async def _look_after(self, run: str, now: float) -> None:
        seq = self.seqs.get(run, 0)
        seen, since = self._progress.get(run, (-1, now))
        if seen != seq:
            self._progress[run] = (seq, now)
            await self.send("run.ack", run=run, seq=seq)
        elif now - since > SILENCE:
            self._progress[run] = (seq, now)
            await self.send("run.sync", run=run)
