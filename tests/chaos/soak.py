"""The soak: answers at full speed, also for a browser that has stopped reading. The server's memory must stay flat."""

import asyncio
import time
from pathlib import Path

from .browser import Browser
from .cluster import Cluster, start_cluster

QUESTION = "words@n=4000,chars=20"
"""Asks for about 100 KB, as fast as the provider's connection carries it."""

MAX_GROWTH = 32.0
"""MiB by which the last quarter may exceed the second. In the first quarter, caches fill."""


async def soak(seconds: float, log: Path | None = None) -> bool:
    """Measure the memory, and print it. Returns whether it stayed flat."""
    async with start_cluster(log=log, HISTORY_TOKENS=1000) as cluster:
        answers, samples = await measure_memory(cluster, seconds)
    quarter = len(samples) // 4
    early, late = (max(samples[n * quarter : (n + 1) * quarter]) for n in (1, 3))
    print(f"{answers} answers in {seconds:.0f} s")
    print(f"at most {early:.0f} MiB in the second quarter of the time, {late:.0f} MiB in the last")
    return late - early < MAX_GROWTH


async def measure_memory(cluster: Cluster, seconds: float) -> tuple[int, list[float]]:
    """Ask one question after another. Returns the number of completed answers, and the process's MiB once a second."""
    room = await cluster.processes[0].query("conversations", {"people": ["ada", "bob"], "mode": "queue"})
    reader, stalled = (Browser(cluster.processes, cluster.people[name], room["id"], 0) for name in ("ada", "bob"))
    running = [asyncio.create_task(browser.run()) for browser in (reader, stalled)]
    stalling = asyncio.create_task(stalled.stall(seconds + 60))
    samples: list[float] = []
    end = time.monotonic() + seconds
    answers = 0
    try:
        while time.monotonic() < end or len(samples) < 8:
            asking = asyncio.create_task(_ask(reader))
            while not asking.done():
                samples.append((await cluster.processes[0].query("process"))["memory"])
                await asyncio.wait([asking], timeout=1)
            answers += asking.result()
    finally:
        for task in (*running, stalling):
            task.cancel()
        await asyncio.gather(*running, stalling, return_exceptions=True)
    return answers, samples


async def _ask(reader: Browser) -> int:
    """Ask the question, and wait for the end of its run. Returns 1 if it completed."""
    before = len(reader.finished)
    await reader.post(QUESTION)
    await reader.until(lambda: len(reader.finished) > before, 60)
    reader.events.clear()
    return int(reader.finished[-1]["status"] == "completed")
