"""What uvicorn lacks. At a shutdown, it waits for all HTTP responses before the application hears of it: a stream would
hold it up for ever. And while a reader of a socket is slow, only one task can send to it.
"""

import asyncio
import sys
from typing import Any

from . import node


def announce_shutdowns() -> None:
    """Make uvicorn's server tell the sockets and streams of this process first. Has no effect under other servers."""
    module = sys.modules.get("uvicorn.server")
    if module is None or getattr(module.Server.shutdown, "announces", False):
        return
    shutdown = module.Server.shutdown

    async def announced(self: Any, *args: Any, **options: Any) -> None:
        await node.current().announce_end()
        await shutdown(self, *args, **options)

    announced.announces = True  # type: ignore[attr-defined]
    module.Server.shutdown = announced


def let_several_wait() -> None:
    """Let several tasks wait for a slow reader: the one that forwards, those that answer, and the library's own pongs.
    The protocol of `--ws websockets` raises an AssertionError for the second one, as asyncio once did
    (https://github.com/python/cpython/issues/74116). uvicorn loads it after the application, and before the lifespan.
    """
    module = sys.modules.get("websockets.legacy.protocol")
    if module is None:
        return

    async def drain(self: Any) -> None:
        if self.connection_lost_waiter.done():
            raise ConnectionResetError("Connection lost")
        if not self._paused:
            return
        if self._drain_waiter is None or self._drain_waiter.done():
            self._drain_waiter = self.loop.create_future()
        await asyncio.shield(self._drain_waiter)  # of all: one that is cancelled does not cancel the others

    module.WebSocketCommonProtocol._drain_helper = drain
