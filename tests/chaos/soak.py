"""Frames at full speed before a reader that has stopped reading: the server's memory has to stay flat."""

import asyncio
import time
from pathlib import Path

from .browser import Browser
from .cluster import World, world

QUESTION = "words@n=4000,chars=20"
"""Some 100 KB, as fast as the provider's connection carries it."""

FLAT = 32.0
"""MiB by which the last quarter may be above the second; in the first, caches fill."""


async def soak(seconds: float, log: Path | None = None) -> bool:
    """Print what memory did; whether it was flat."""
    async with world(log=log, HISTORY_TOKENS=1000) as whole:
        answers, samples = await before_a_stalled_reader(whole, seconds)
    quarter = len(samples) // 4
    early, late = (max(samples[n * quarter : (n + 1) * quarter]) for n in (1, 3))
    print(f"{answers} answers in {seconds:.0f} s")
    print(f"at most {early:.0f} MiB in the second quarter of the time, {late:.0f} MiB in the last")
    return late - early < FLAT


async def before_a_stalled_reader(whole: World, seconds: float) -> tuple[int, list[float]]:
    """How many answers were read to their end, and the process's MiB once a second."""
    room = await whole.processes[0].ask("conversations", {"people": ["ada", "bob"], "mode": "queue"})
    reader, stalled = (Browser(whole, whole.people[name], room["id"], 0) for name in ("ada", "bob"))
    living = [asyncio.create_task(browser.live()) for browser in (reader, stalled)]
    stalling = asyncio.create_task(stalled.stall(seconds + 60))
    samples: list[float] = []
    end = time.monotonic() + seconds
    answers = 0
    try:
        while time.monotonic() < end or len(samples) < 8:
            asking = asyncio.create_task(_answer(reader))
            while not asking.done():
                samples.append((await whole.processes[0].ask("process"))["memory"])
                await asyncio.wait([asking], timeout=1)
            answers += asking.result()
    finally:
        for task in (*living, stalling):
            task.cancel()
        await asyncio.gather(*living, stalling, return_exceptions=True)
    return answers, samples


async def _answer(reader: Browser) -> int:
    before = len(reader.finished)
    await reader.post(QUESTION)
    await reader.until(lambda: len(reader.finished) > before, 60)
    reader.events.clear()
    return int(reader.finished[-1]["status"] == "completed")
