"""One Schedule played in a World: rooms are made, browsers opened, steps taken, the dust settles, everybody leaves."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from ..support.protocol_client import Frame
from .browser import Browser
from .cluster import World
from .schedule import CHANGES, Schedule, Step

ACTIVE = ("queued", "running", "awaiting_approval")

SETTLE = 40.0
"""Seconds in which every run has to have ended and every command to be answered, once nothing breaks any more."""

CONVERGE = 30.0
"""Seconds in which, after that, every browser has to show what is stored."""


class Stage:
    """`rooms` holds the browsers of each conversation by its id."""

    def __init__(self, world: World, schedule: Schedule) -> None:
        self.world, self.schedule = world, schedule
        self.rooms: dict[str, list[Browser]] = {}
        self._living: list[asyncio.Task[None]] = []

    @property
    def browsers(self) -> list[Browser]:
        return [browser for room in self.rooms.values() for browser in room]

    def browser(self, step: Step) -> Browser:
        return list(self.rooms.values())[step.room][step.browser]

    def changes(self, conversation: str) -> bool:
        """Whether anybody changes what was said in it."""
        room = list(self.rooms).index(conversation)
        return any(step.room == room and step.fault in CHANGES for step in self.schedule.steps)

    async def open(self) -> None:
        await self.world.be_lossy(self.schedule.seed, self.schedule.loss)
        for room in self.schedule.rooms:
            people = list(dict.fromkeys(name for name, _ in room.browsers))
            made = await self.world.processes[0].ask("conversations", {"people": people, "mode": room.mode})
            self.rooms[made["id"]] = [
                Browser(self.world, self.world.people[name], made["id"], process) for name, process in room.browsers
            ]
        self._living = [asyncio.create_task(browser.live()) for browser in self.browsers]
        await until(lambda: all(browser.snapshot for browser in self.browsers), 60)

    async def play(self, faults: dict[str, Callable[["Stage", Step], Any]]) -> Counter[str]:
        """Take every step at its time, until all that was broken is whole again; returns what was done how often."""
        done = Counter(step.fault for step in self.schedule.steps)

        async def take(step: Step) -> None:
            await asyncio.sleep(step.at)
            await faults[step.fault](self, step)

        await asyncio.gather(*(take(step) for step in self.schedule.steps))
        for process in self.world.processes:
            lost = (await process.ask("process"))["loss"]
            done += Counter({f"message of the layer: {what}": number for what, number in lost.items()})
        await self.world.be_lossy(self.schedule.seed, {})
        return done

    async def settle(self) -> list[Frame]:
        """Wait until nothing is under way any more, approving what waits for it; returns the rows of all runs."""
        deadline = time.monotonic() + SETTLE
        while True:
            unconfirmed = any(browser.unconfirmed for browser in self.browsers)  # asked first: it makes rows
            rows = await self.runs()
            busy = unconfirmed or any(row["status"] in ACTIVE for row in rows)
            if not busy or time.monotonic() > deadline:
                return rows
            for room in self.rooms.values():
                await room[0].approve()
            await asyncio.sleep(0.3)

    async def runs(self) -> list[Frame]:
        """The rows of all runs."""
        return await patiently(lambda: self.world.processes[0].ask("runs", list(self.rooms)))

    async def stored(self, conversation: str) -> list[Frame]:
        """What is in the database, as the first of a room sees it."""
        return await patiently(lambda: self.rooms[conversation][0].person.messages(conversation))

    async def close(self) -> None:
        for task in self._living:
            task.cancel()
        await asyncio.gather(*self._living, return_exceptions=True)


async def until(condition: Callable[..., object], seconds: float) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


async def patiently(ask: Callable[[], Awaitable[list[Frame]]]) -> list[Frame]:
    """The first answers after a database was cut off may be errors: its connections in a pool are found dead by use."""
    for _ in range(5):
        try:
            return await ask()
        except (AssertionError, OSError, httpx.HTTPError):
            await asyncio.sleep(0.5)
    return await ask()
