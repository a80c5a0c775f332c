"""Mailboxes that many sockets open at once: few at a time, and none waits long for a layer that is away."""

import asyncio
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from chat.realtime import mailbox as module
from chat.realtime.mailbox import Away, Gate, mailbox


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


def test_a_mailbox_that_is_renewed_stays_in_groups_that_a_layer_forgets(settings: Any) -> None:
    config = {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"group_expiry": 0}}
    settings.CHANNEL_LAYERS = {"default": config}

    async def talk() -> None:
        layer = get_channel_layer()
        async with mailbox("nous_chat.a", "nous_chat.b") as box:
            for members in layer.groups.values():
                members[box.name] = 1  # they joined in 1970
            await layer.group_send("nous_chat.a", {"type": "lost"})
            await box.renew(away=())
            await layer.group_send("nous_chat.b", {"type": "heard"})
            assert await box.receive() == {"type": "heard"}

    async_to_sync(talk)()
