"""One POST to a provider: bytes out under deadlines, and whatever goes wrong as one of our errors. providers/base.py
calls it; it knows no vendor's wire."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Self

import aiohttp
import httpx

from ..connections import pause, reused
from ..exceptions import EngineError
from ..limits import Limits
from .errors import Failures

logger = logging.getLogger("nous_chat.engine")

# What httpx raises, and what its aiohttp transport lets through untranslated.
_BROKEN = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, aiohttp.ClientError, OSError)


class Deadlines:
    """When to give up: `limits`, as points in time on the loop's clock."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._time = asyncio.get_running_loop().time
        now = self._time()
        self._total = now + limits.total
        self._next_token = now + limits.first_token
        self._code = "first_token_timeout"

    def heard(self) -> None:
        """A token came."""
        self._next_token = self._time() + self.limits.idle
        self._code = "idle_timeout"

    def next(self) -> tuple[float, str]:
        """The nearest one, and the code of the error if it passes."""
        if self._total <= self._next_token:
            return self._total, "total_timeout"
        return self._next_token, self._code


class Exchange:
    """A request and its response, read to the end or closed early. `async with` closes the connection, in the task that
    reads it, whatever happens; a response that was read to its end gives its connection back for the next run."""

    def __init__(self, client: httpx.AsyncClient, deadlines: Deadlines, failures: Failures) -> None:
        self._client = client
        self._deadlines = deadlines
        self._failures = failures
        self._response: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None
        self._last = float("-inf")  # when bytes came, on the loop's clock

    async def __aenter__(self) -> Self:
        return self

    async def post(self, url: str, headers: Mapping[str, str], content: bytes) -> httpx.Response:
        """The response, when its headers have come."""
        limits = self._deadlines.limits
        when, code = self._deadlines.next()
        try:
            request = self._client.build_request(
                "POST",
                url,
                headers={"content-type": "application/json", "accept": "text/event-stream", **headers},
                content=content,
                # aiohttp's two time limits on connecting; those on reading are the deadlines'.
                timeout=httpx.Timeout(None, connect=limits.connect, pool=limits.connect),
            )
            async with asyncio.timeout_at(when):
                self._response = await self._send(request)
        except TimeoutError:
            raise self._failures.deadline(code, limits) from None
        except _BROKEN as error:
            raise self._failures.unreachable(error, limits) from error
        logger.debug("%s answered %s", self._response.url, self._response.status_code)
        self._chunks = self._response.aiter_bytes()
        return self._response

    async def _send(self, request: httpx.Request) -> httpx.Response:
        """Again, if it was a kept connection that broke: the server had closed it while nobody used it, and only a new
        one tells whether it answers. Each attempt uses one up, so this ends."""
        while True:
            reused.set(False)
            try:
                return await self._client.send(request, stream=True)
            except httpx.TransportError as error:
                if not (reused.get() and isinstance(error.__cause__, aiohttp.ClientConnectionError)):
                    raise

    async def read(self) -> bytes:
        """The next bytes, b"" at the end. Where many streams share the loop, all that have come in a `pause`."""
        assert self._chunks is not None
        time = asyncio.get_running_loop().time
        if (early := self._last + pause() - time()) > 0:
            await asyncio.sleep(early)
        when, code = self._deadlines.next()
        try:
            async with asyncio.timeout_at(when):
                chunk = await anext(self._chunks)
            self._last = time()
            return chunk
        except StopAsyncIteration:
            return b""
        except TimeoutError:
            raise self._failures.deadline(code, self._deadlines.limits) from None
        except _BROKEN as error:
            raise self._failures.cut() from error

    async def read_all(self, at_most: int) -> bytes:
        """What is left, or the first `at_most` bytes of it and a little, or what comes before it breaks off."""
        body = bytearray()
        with suppress(EngineError):
            while len(body) < at_most and (chunk := await self.read()):
                body += chunk
        return bytes(body)

    async def drain(self) -> None:
        """After an answer's own end: its last bytes, so that the connection can be used again. They are there already,
        or nearly so; where not, it is not worth waiting for them."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await self.read_all(64 * 1024)

    async def __aexit__(self, *_: object) -> None:
        if self._response is not None:
            with suppress(*_BROKEN):
                await self._response.aclose()
