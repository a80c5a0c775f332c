"""What the doctor's sockets send by themselves. tests/site/test_doctor.py has real sites."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec

from chat.monitoring.doctor.listener import SocketListener


class Socket:
    """A WebSocket that receives these frames."""

    def __init__(self, *frames: dict[str, Any]) -> None:
        self._frames = frames
        self.sent: list[dict[str, Any]] = []

    async def __aiter__(self) -> AsyncIterator[aiohttp.WSMessage]:
        for frame in self._frames:
            yield aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, msgspec.json.encode(frame).decode(), None)

    async def send_str(self, text: str) -> None:
        self.sent.append(msgspec.json.decode(text))


def test_a_long_answer_is_acknowledged_once_a_second() -> None:
    """A site closes a socket that acknowledges nothing for 30 seconds."""
    deltas = [{"type": "run.delta", "run": "a", "seq": seq, "text": "x"} for seq in (1, 2, 3)]
    socket = Socket({"type": "run.started", "run": "a"}, *deltas)
    connection: Any = socket

    async def listen() -> None:
        listener = SocketListener(connection).start()
        await listener.until(lambda: listener.ended_at is not None, 30)
        assert len(listener.heard) == 4

    asyncio.run(listen())
    assert socket.sent == [{"type": "run.ack", "run": "a", "seq": 1}]
