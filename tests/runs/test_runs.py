"""Parts of a live run that other tests reach only by chance."""

import asyncio
import sys
import uuid

import pytest

from chat.engine import TextDelta
from chat.models import Run
from chat.runs.broadcast import Broadcast
from chat.runs.liveness import Liveness, Process
from chat.runs.persistence import Persistence


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not made for Windows")
def test_a_frame_due_within_a_millisecond_is_scheduled_on_uvloop() -> None:
    """uvloop's handles of timers that short do not know their time."""
    import uvloop

    async def scenario() -> bool:
        loop = asyncio.get_running_loop()
        process = Process("here", Liveness(loop.time()))
        broadcast = Broadcast(uuid.uuid4(), uuid.uuid4(), process, Persistence(process))
        almost = loop.time() - 0.040 + 0.0004
        broadcast._coalescer.add(TextDelta("a"), almost)
        broadcast._coalescer.take(almost)
        for _ in range(2):
            broadcast._coalescer.add(TextDelta("b"), loop.time())
            broadcast._schedule(loop)
        async with asyncio.timeout(10):
            return await broadcast.wake.wait()

    assert uvloop.run(scenario())


@pytest.mark.parametrize("reason", ["length", "max_tokens", "MAX_TOKENS", "pause_turn"])
def test_an_answer_at_its_limit_or_in_a_pause_can_be_continued(reason: str) -> None:
    assert Run(status="completed", finish_reason=reason).cut_off
    assert not Run(status="completed", finish_reason="stop").cut_off
