"""One POST to a provider: sends the request, reads the response under deadlines, and turns what goes wrong into
EngineErrors. It knows nothing of the vendors' wires; http_provider.py uses it."""

import asyncio
import logging
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Self

import aiohttp
import httpx

from ..connections import connection_was_reused, read_pause, read_turn, response_transport, unread
from ..exceptions import EngineError
from ..limits import Limits
from .errors import ProviderErrors

logger = logging.getLogger("nous_chat.engine")

# The exceptions of httpx, and those that its aiohttp transport does not translate.
_TRANSPORT_ERRORS = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, aiohttp.ClientError, OSError, zlib.error)

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32

MAX_UNPACKED = 256 * 1024
"""How many bytes of a compressed response are unpacked at a time."""

MAX_READ = 8 * 1024
"""How many bytes of a response are handled before others on the event loop get a turn. If each event is small, that is
a millisecond's work.
"""

MAX_LONG_READ, FEW_MARKS = 64 * 1024, 128
"""The same if the bytes have at most so many line breaks and braces: long events and comments are read faster. At 8 KB
each 4 ms, a response of 32 MB without events would take half a minute.
"""


REACHED_WITHIN = 10.0
"""Seconds in which a server must answer anything to count as reachable."""


async def reach(client: httpx.AsyncClient, url: str, errors: ProviderErrors) -> None:
    """Wait for any response of this server, for a few seconds. Raises EngineError."""
    limits = Limits(connect=REACHED_WITHIN, first_token=REACHED_WITHIN)
    try:
        async with asyncio.timeout(REACHED_WITHIN), client.stream("GET", url):
            pass
    except TimeoutError:
        raise errors.deadline("first_token_timeout", limits) from None
    except _TRANSPORT_ERRORS as error:
        raise errors.unreachable(error, limits) from error


class Deadlines:
    """When to give up: `limits` as times of the running event loop's clock."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._time = asyncio.get_running_loop().time
        now = self._time()
        self._total = now + limits.total
        self._next_token = now + limits.first_token
        self._code = "first_token_timeout"

    def token_received(self) -> None:
        self._next_token = self._time() + self.limits.idle
        self._code = "idle_timeout"

    def nearest(self) -> tuple[float, str]:
        """The time of the nearest deadline, and the code of the error when it passes."""
        if self._total <= self._next_token:
            return self._total, "total_timeout"
        return self._next_token, self._code


class Exchange:
    """One request and its response, as an async context manager.

    Leaving it closes the connection, in the task that reads it, whatever happened. If the response was read to its end,
    the connection goes back to the pool for the next run.
    """

    def __init__(self, client: httpx.AsyncClient, deadlines: Deadlines, errors: ProviderErrors) -> None:
        self._client = client
        self._deadlines = deadlines
        self._errors = errors
        self._response: httpx.Response | None = None
        self._transport: asyncio.Transport | None = None
        self._chunks: AsyncIterator[bytes] | None = None
        self._last_read = float("-inf")  # on the loop's clock
        self._received = 0  # bytes of the unpacked body
        self._unread = memoryview(b"")  # the rest of the last chunk
        self._turn = 0  # bytes read since others had a turn

    async def __aenter__(self) -> Self:
        return self

    async def post(self, url: str, headers: Mapping[str, str], content: bytes) -> httpx.Response:
        """Send the request; returns when the headers of the response have arrived."""
        limits = self._deadlines.limits
        deadline, code = self._deadlines.nearest()
        try:
            request = self._client.build_request(
                "POST",
                url,
                headers={"content-type": "application/json", "accept": "text/event-stream", **headers},
                content=content,
                # aiohttp's two limits on connecting. The deadlines limit reading.
                timeout=httpx.Timeout(None, connect=limits.connect, pool=limits.connect),
            )
            async with asyncio.timeout_at(deadline):
                self._response = await self._send(request)
        except TimeoutError:
            raise self._errors.deadline(code, limits) from None
        except _TRANSPORT_ERRORS as error:
            raise self._errors.unreachable(error, limits) from error
        logger.debug("%s answered %s", self._response.url, self._response.status_code)
        self._chunks = self._body(self._response)
        return self._response

    async def _send(self, request: httpx.Request) -> httpx.Response:
        """Send again if a kept connection broke, because the server may have closed it while it was idle. Each attempt
        uses up one kept connection, so this ends with a new one."""
        while True:
            connection_was_reused.set(False)
            response_transport.set(None)
            try:
                response = await self._client.send(request, stream=True)
                self._transport = response_transport.get()
                return response
            except httpx.TransportError as error:
                disconnected = isinstance(error.__cause__, aiohttp.ClientConnectionError)
                if not (connection_was_reused.get() and disconnected):
                    raise

    async def _body(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """The body, unpacked: some servers compress it although they are asked not to. Raises EngineError if it is too
        large as it is sent, or compressed in a way that cannot be unpacked piece by piece.
        """
        coding = response.headers.get("content-encoding", "").strip().lower()
        chunks = self._packed(response)
        if coding in ("gzip", "x-gzip", "deflate"):
            chunks = _unpack(chunks)
        elif coding not in ("", "identity"):
            raise self._errors.bad_response(f"something compressed as {coding[:50]!r}, which nobody asked for")
        async for chunk in chunks:
            yield chunk

    async def _packed(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """The body as it is sent. Raises EngineError if that is too large, even if it unpacks to nothing."""
        left = self._deadlines.limits.max_bytes
        async for chunk in response.aiter_raw():
            yield chunk
            left -= len(chunk)
            if left < 0:
                raise self._too_large()

    async def read(self, is_call: bool = False) -> bytes:
        """The next bytes, b"" at the end. If many streams share the event loop, or in the middle of a call's arguments,
        it first waits until more bytes may have arrived (`read_pause`)."""
        if self._turn >= MAX_READ:  # what has arrived already would be read without a pause
            await read_turn()
            self._begin_turn()
        if not self._unread:
            if_others_run = asyncio.get_running_loop().call_soon(self._begin_turn)
            self._unread = memoryview(await self._read_chunk(read_pause(is_call)))
            if_others_run.cancel()
        return self._next_piece()

    def _next_piece(self) -> bytes:
        """What of the unread bytes is handled in this turn."""
        piece = bytes(self._unread[:MAX_LONG_READ])
        is_long = self._turn == 0 and len(piece) > MAX_READ
        if is_long and piece.count(b"\n") + piece.count(b"{") <= FEW_MARKS:
            self._turn = MAX_READ
        else:
            piece = piece[: MAX_READ - self._turn]
            self._turn += len(piece)
        self._unread = self._unread[len(piece) :]
        return piece

    def _begin_turn(self) -> None:
        self._turn = 0

    async def _read_chunk(self, pause: float) -> bytes:
        assert self._chunks is not None
        time = asyncio.get_running_loop().time
        if (wait := self._last_read + pause - time()) > 0:
            with unread(self._transport):
                await asyncio.sleep(wait)
        deadline, code = self._deadlines.nearest()
        try:
            async with asyncio.timeout_at(deadline):
                chunk = await anext(self._chunks)
            self._last_read = time()
            self._received += len(chunk)
        except StopAsyncIteration:
            return b""
        except TimeoutError:
            raise self._errors.deadline(code, self._deadlines.limits) from None
        except _TRANSPORT_ERRORS as error:
            raise self._errors.cut_off() from error
        if self._received > self._deadlines.limits.max_bytes:
            raise self._too_large()
        return chunk

    def _too_large(self) -> EngineError:
        return self._errors.too_large(f"a response of more than {self._deadlines.limits.max_bytes:,} bytes")

    async def read_all(self, at_most: int) -> bytes:
        """The rest of the body, or its first `at_most` bytes, or what arrives before the connection breaks."""
        body = bytearray()
        with suppress(EngineError):
            while len(body) < at_most and (chunk := await self.read()):
                body += chunk
        return bytes(body[:at_most])

    async def drain(self) -> None:
        """Read the last bytes after the end of an answer, so that the connection can be used again. They have usually
        arrived already; waiting longer for them is not worth it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await self.read_all(64 * 1024)

    async def __aexit__(self, *_: object) -> None:
        if self._response is not None:
            with suppress(*_TRANSPORT_ERRORS):
                await self._response.aclose()


async def _unpack(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Unpack a body of the coding gzip or deflate, at most MAX_UNPACKED bytes at a time: a chunk can unpack to a
    thousand times its size.

    A gzip stream is a series of members (RFC 1952, section 2.2). Some proxies compress each event into one of its own;
    httpx reads the first only, and unpacks a chunk as a whole.
    """
    member = zlib.decompressobj(_GZIP_OR_ZLIB)
    async for chunk in chunks:
        more = True
        while more:
            if member.eof:
                member = zlib.decompressobj(_GZIP_OR_ZLIB)
            data = member.decompress(chunk, MAX_UNPACKED)
            chunk = member.unused_data if member.eof else member.unconsumed_tail
            if data:
                yield data
            more = bool(chunk) or (len(data) == MAX_UNPACKED and not member.eof)
