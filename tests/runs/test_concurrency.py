"""Timeouts that do not count the time in which the event loop stands still."""

import asyncio
import time

import pytest

from chat.concurrency import fair_timeout


def test_what_came_in_while_the_loop_stood_still_is_in_time() -> None:
    async def run() -> str:
        async def answer() -> str:
            await asyncio.sleep(0.15)
            return "pong"

        async with fair_timeout(0.2):
            answering = asyncio.create_task(answer())
            await asyncio.sleep(0)
            time.sleep(0.5)  # noqa: ASYNC251  that is the point
            return await answering

    assert asyncio.run(run()) == "pong"


def test_what_does_not_come_is_late() -> None:
    async def run() -> None:
        async with fair_timeout(0.05):
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        asyncio.run(run())


def test_a_cancellation_stays_one() -> None:
    async def run() -> None:
        async def wait() -> None:
            async with fair_timeout(60):
                await asyncio.sleep(60)

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(run())
