"""A viewer of Chainlit's events: Socket.IO 5 over Engine.IO 4 over a WebSocket."""

import asyncio
import json
import uuid
from datetime import UTC, datetime

from ..clients import Tally, Viewer
from ..wire import Order

OPEN, PING, CONNECTED, EVENT = b"0", b"2", b"40", b"42"


class ChainlitViewer(Viewer):
    def __init__(self, port: int, tally: Tally) -> None:
        super().__init__(f"ws://127.0.0.1:{port}/ws/socket.io/?EIO=4&transport=websocket", tally)
        self._stored = ""

    async def stop(self) -> None:
        await self._send('42["stop"]')

    async def acknowledge(self) -> None:
        """Chainlit's browser acknowledges nothing."""

    @property
    def sound(self) -> bool:
        return self._stored == self.text

    def _asking(self, order: Order) -> str:
        message = {
            "id": str(uuid.uuid4()),
            "threadId": "",
            "name": "User",
            "type": "user_message",
            "output": str(order),
            "createdAt": datetime.now(UTC).isoformat(),
        }
        return "42" + json.dumps(["client_message", {"message": message, "fileReferences": []}])

    def _hear(self, frame: bytes) -> None:
        if frame.startswith(EVENT):
            name, data = json.loads(frame[len(EVENT) :])
            self._apply(name, data)
        elif frame.startswith(CONNECTED):
            self._reply('42["connection_successful"]')
        elif frame.startswith(OPEN):
            self._reply("40" + json.dumps({"sessionId": str(uuid.uuid4()), "clientType": "webapp"}))
        elif frame == PING:
            self._reply("3")

    def _apply(self, name: str, data: dict[str, str]) -> None:
        match name:
            case "stream_start":
                self._take(data["output"])
            case "stream_token":
                self._take(data["token"])
            case "update_message" if data["type"] == "assistant_message":
                self._stored = data["output"]
            case "task_end" if not self.ready.is_set():
                self.ready.set()
            case "task_end":
                self.end = "completed"
                self.over.set()

    def _reply(self, text: str) -> None:
        asyncio.ensure_future(self._send(text))  # noqa: RUF006
