"""One Schedule carried out in a Cluster: open conversations and browsers, take the steps, wait until all is settled."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx

from ..support.protocol_client import Frame
from ..support.servers import PEOPLE
from .browser import Browser
from .cluster import Cluster
from .documents import TypingBrowser, create_document
from .schedule import CHANGES, Schedule, Step

T = TypeVar("T")

ACTIVE = ("queued", "running", "awaiting_approval")

SETTLE_TIMEOUT = 40.0
"""Seconds, after the last fault has ended, for every run to end and every command to be answered."""

CONVERGE_TIMEOUT = 30.0
"""Seconds, after that, for every browser to show what is stored."""


class Trial:
    """`browsers_of` holds the browsers of each conversation by its id. On a machine that does other work as well,
    everything may take `patience` times as long.
    """

    def __init__(self, cluster: Cluster, schedule: Schedule, patience: float = 1.0) -> None:
        self.cluster, self.schedule, self.patience = cluster, schedule, patience
        self.browsers_of: dict[str, list[Browser]] = {}
        self.written = Counter[str]()
        """How many changes of documents there were at the end."""
        self._running: list[asyncio.Task[None]] = []

    @property
    def browsers(self) -> list[Browser]:
        """All browsers, of all conversations."""
        return [browser for browsers in self.browsers_of.values() for browser in browsers]

    def browser(self, step: Step) -> Browser:
        """The browser in which a step is taken."""
        return list(self.browsers_of.values())[step.conversation][step.browser]

    def has_changes(self, conversation: str) -> bool:
        """Whether anybody changes or deletes messages in a conversation."""
        number = list(self.browsers_of).index(conversation)
        return any(step.conversation == number and step.fault in CHANGES for step in self.schedule.steps)

    async def open(self) -> None:
        """Create the conversations, and open their browsers."""
        await self.cluster.set_loss(self.schedule.seed, self.schedule.loss)
        for planned in self.schedule.conversations:
            people = list(dict.fromkeys(name for name, _ in planned.browsers))
            created = await self.cluster.processes[0].query("conversations", {"people": people, "mode": planned.mode})
            self.browsers_of[created["id"]] = [
                self._make_browser(created["id"], number, name, process)
                for number, (name, process) in enumerate(planned.browsers)
            ]
        self._running = [asyncio.create_task(browser.run()) for browser in self.browsers]
        await wait_until(lambda: all(browser.snapshot for browser in self.browsers), 60 * self.patience)
        for conversation in self.browsers_of if self.schedule.documents else ():
            document = await create_document(self.cluster.people[PEOPLE[0]], conversation, 20 * self.patience)
            for typist in self.typists:
                typist.open(document)

    def _make_browser(self, conversation: str, number: int, name: str, process: int) -> Browser:
        place = self.cluster.processes, self.cluster.people[name], conversation, process
        if not self.schedule.documents:
            return Browser(*place)
        return TypingBrowser(*place, seed=f"{self.schedule.seed} {number}")

    @property
    def typists(self) -> list[TypingBrowser]:
        """The browsers that have a document open."""
        return [browser for browser in self.browsers if isinstance(browser, TypingBrowser)]

    async def take_steps(self, faults: dict[str, Callable[["Trial", Step], Any]]) -> Counter[str]:
        """Take every step at its time, and wait until all faults have ended. Returns how often each was injected."""
        injected = Counter(step.fault for step in self.schedule.steps)

        async def take(step: Step) -> None:
            await asyncio.sleep(step.at)
            await faults[step.fault](self, step)

        for typist in self.typists:
            typist.types = True
        await asyncio.gather(*(take(step) for step in self.schedule.steps))
        await wait_until(lambda: all(typist.acknowledged for typist in self.typists), CONVERGE_TIMEOUT * self.patience)
        for typist in self.typists:
            typist.types = False
        for process in self.cluster.processes:
            losses = (await process.query("process"))["loss"]
            injected += Counter({f"layer message: {kind}": number for kind, number in losses.items()})
        await self.cluster.set_loss(self.schedule.seed, {})
        return injected

    async def settle(self) -> list[Frame]:
        """Wait until no run is active, approving tool calls meanwhile. Returns the rows of all runs."""
        deadline = time.monotonic() + SETTLE_TIMEOUT * self.patience
        while True:
            unconfirmed = any(browser.unconfirmed for browser in self.browsers)  # before the rows, which they may add
            rows = await self.runs()
            busy = unconfirmed or any(row["status"] in ACTIVE for row in rows)
            if not busy or time.monotonic() > deadline:
                return rows
            for browsers in self.browsers_of.values():
                await browsers[0].approve()
            await asyncio.sleep(0.3)

    async def runs(self) -> list[Frame]:
        """The rows of all runs."""
        return await retry(lambda: self.cluster.processes[0].query("runs", list(self.browsers_of)))

    async def stored(self, conversation: str) -> list[Frame]:
        """The stored messages of a conversation, as the user of its first browser gets them."""
        return await retry(lambda: self.browsers_of[conversation][0].person.messages(conversation))

    async def close(self) -> None:
        """Close all browsers."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


async def wait_until(condition: Callable[..., object], seconds: float) -> bool:
    """Wait for a condition. Returns whether it became true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


async def retry(query: Callable[[], Awaitable[T]]) -> T:
    """Try a query several times: after an outage of the database, pooled connections fail once each."""
    for _ in range(5):
        try:
            return await query()
        except (AssertionError, OSError, httpx.HTTPError):
            await asyncio.sleep(0.5)
    return await query()
