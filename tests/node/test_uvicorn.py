"""What the chat adds to uvicorn."""

import asyncio
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from chat.node import uvicorn

from ..support.servers import ROOT, environment

STARTS_AND_ENDS = """
import asyncio
from uvicorn import Config
from uvicorn.lifespan.on import LifespanOn

async def serve():
    lifespan = LifespanOn(config)
    await lifespan.startup()
    await lifespan.shutdown()

config = Config("nousproject.asgi:application", ws="websockets")
config.load_app()  # as uvicorn's command does, before it loads the protocols
config.load()
asyncio.run(serve())
print(config.ws_protocol_class._drain_helper.__module__)
"""


def test_uvicorns_command_loads_it(tmp_path: Path) -> None:
    env = environment(DATABASE_URL=f"sqlite:///{tmp_path}/db.sqlite3", REDIS_URL=None)
    run = [sys.executable, "-W", "ignore", "-c", STARTS_AND_ENDS]
    ended = subprocess.run(run, cwd=ROOT, env=env, timeout=120, check=True, capture_output=True, text=True)
    assert ended.stdout == "chat.node.uvicorn\n"


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
