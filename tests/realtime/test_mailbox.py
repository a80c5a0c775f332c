"""Mailboxes that many sockets open at once: few at a time, and none waits long for a layer that is away."""

import asyncio

import pytest
from asgiref.sync import async_to_sync

from chat.realtime import mailbox as module
from chat.realtime.mailbox import Away, Gate


def test_few_mailboxes_are_opened_at_the_same_time() -> None:
    async def talk() -> None:
        gate, inside, most = Gate(), 0, 0

        async def open_one() -> None:
            nonlocal inside, most
            async with gate.turn({0}):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                inside -= 1

        await asyncio.gather(*(open_one() for _ in range(10 * module.OPEN_AT_ONCE)))
        assert most == module.OPEN_AT_ONCE

    async_to_sync(talk)()


def test_whoever_waited_while_the_layer_failed_does_not_try_in_vain_as_well() -> None:
    async def talk() -> None:
        gate, hung = Gate(), asyncio.Event()
        tried = 0

        async def open_one() -> None:
            nonlocal tried
            async with gate.turn({0}):
                tried += 1
                await hung.wait()
                raise Away("a server that hangs", 0)

        async def open_elsewhere() -> None:
            async with gate.turn({1}):
                pass

        opening = [asyncio.create_task(open_one()) for _ in range(10 * module.OPEN_AT_ONCE)]
        elsewhere = asyncio.create_task(open_elsewhere())
        await asyncio.sleep(0)
        hung.set()
        await elsewhere  # its server has not failed
        outcomes = await asyncio.gather(*opening, return_exceptions=True)
        assert all(isinstance(outcome, Away) for outcome in outcomes)
        assert tried == module.OPEN_AT_ONCE
        async with gate.turn({0}):
            pass  # the next one tries again
        with pytest.raises(Away):
            await open_one()

    async_to_sync(talk)()
