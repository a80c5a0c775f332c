"""What the chat adds to uvicorn. tests/site has it under a real server."""

import asyncio
from contextlib import suppress

import pytest

from chat.node import uvicorn


@pytest.mark.filterwarnings("ignore:websockets.legacy is deprecated")
def test_several_tasks_wait_for_a_slow_reader_and_each_may_give_up() -> None:
    from websockets.legacy.protocol import WebSocketCommonProtocol

    uvicorn.let_several_wait()

    async def scenario() -> None:
        protocol = WebSocketCommonProtocol()
        protocol.connection_lost_waiter = asyncio.get_running_loop().create_future()
        protocol.pause_writing()
        waiting = [asyncio.create_task(protocol._drain_helper()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        with suppress(asyncio.CancelledError):
            await waiting[0]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting[1:])
        protocol.resume_writing()
        await asyncio.gather(*waiting[1:])
        await protocol._drain_helper()

    asyncio.run(scenario())
