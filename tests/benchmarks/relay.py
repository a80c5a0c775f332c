"""The bare relay, the floor for the site: no Django, no Channels, no database, and one reader per stream.

`python -m tests.benchmarks.relay PORT UPSTREAM` serves a WebSocket with uvicorn on uvloop. A client's frame is an
Order, which the relay sends to the upstream over plain httpx; then it sends the text of each delta as a frame, and an
empty frame at the end. All sockets share one HTTP client, as they do in the site. Closing the socket stops the stream.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import httpx
import uvicorn


class Upstream:
    """The upstream over plain httpx, with one client for all streams."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v1/chat/completions"
        self._http = httpx.AsyncClient(timeout=None, trust_env=False, limits=httpx.Limits(max_connections=None))

    async def stream(self, order: str) -> AsyncGenerator[str, None]:
        body = {"model": "bench", "messages": [{"role": "user", "content": order}], "stream": True}
        async with self._http.stream("POST", self._url, json=body) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: ") and line != "data: [DONE]":
                    text = json.loads(line[6:])["choices"][0]["delta"].get("content")
                    if text:
                        yield text


class Relay:
    """The ASGI application."""

    def __init__(self, upstream: str) -> None:
        self._upstream = Upstream(upstream)

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        relaying: asyncio.Task[None] | None = None
        while (frame := await receive())["type"] != "websocket.disconnect":
            if frame["text"].startswith("stream="):  # others are acknowledgements
                relaying = asyncio.create_task(self._relay(frame["text"], send))
        if relaying is not None:
            relaying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await relaying

    async def _relay(self, order: str, send: Callable[[Any], Awaitable[None]]) -> None:
        async with aclosing(self._upstream.stream(order)) as deltas:
            async for text in deltas:
                await send({"type": "websocket.send", "text": text})
        await send({"type": "websocket.send", "text": ""})


if __name__ == "__main__":
    uvicorn.run(
        Relay(sys.argv[2]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        lifespan="off",
        log_level="warning",
        ws_per_message_deflate=False,
    )
