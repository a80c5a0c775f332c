"""`python -m tests.benchmarks.storm`: sockets that all open at once.

In a process of its own, because opening thousands keeps a process too busy to tell the lag of streams; and with a
niceness of 10, because browsers would not take the site's CPU.

Reads one line, [[address, cookie], ...]; prints [[seconds until the snapshot, attempts], ...], with 0 seconds for a
socket that gave up, and keeps the sockets open until the next line, or the end of its input.
"""

import asyncio
import json
import os
import sys
import time
from contextlib import suppress
from random import uniform

import uvloop
from websockets.exceptions import WebSocketException

from .clients import SiteViewer, Tally

FIRST_WAIT, LONGEST_WAIT, OPEN_WITHIN = 0.5, 30.0, 20.0
"""Seconds, as in the page (protocol/socket.js): before another attempt, at least and at most, and of an attempt."""

PATIENCE = 90.0
"""Seconds until a socket gives up."""

Arrival = tuple[SiteViewer, float, int]


async def come_back(address: str, cookie: str, began: float) -> Arrival:
    """Open a socket, and try again like the page if it fails or is closed before its snapshot."""
    attempts = 0
    while True:
        viewer = SiteViewer(address, Tally(), {"Cookie": cookie})
        attempts += 1
        with suppress(OSError, TimeoutError, WebSocketException):
            async with asyncio.timeout(OPEN_WITHIN):
                await viewer.open()
            if await viewer.settled():
                return viewer, time.monotonic() - began, attempts
        if time.monotonic() > began + PATIENCE:
            return viewer, 0, attempts
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempts - 1))
        await asyncio.sleep(wait * uniform(0.5, 1))


async def main() -> None:
    os.nice(10)
    sockets = json.loads(sys.stdin.readline())
    began = time.monotonic()
    arrivals = await asyncio.gather(*(come_back(address, cookie, began) for address, cookie in sockets))
    print(json.dumps([(seconds, attempts) for _, seconds, attempts in arrivals]), flush=True)
    await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    uvloop.run(main())
