"""The HTTP client shared by all runs of an event loop.

Providers enter `connections()` for each request. A server also enters it once when it starts, which keeps connections
open between runs. The client is closed when the last context ends.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ssl import SSLContext
from typing import Any
from urllib.request import getproxies
from weakref import WeakKeyDictionary

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

UNPACED_STREAMS = 10
"""Up to this many streams of one event loop are read as soon as bytes arrive."""

PAUSE_PER_STREAM = 0.0015
"""How much each further stream lengthens the pause between two reads, in seconds."""

MIN_PAUSE, MAX_PAUSE = 0.040, 0.100

TURN = 0.004
"""Seconds between two turns of streams of which much has arrived at once (`read_turn`)."""

_MAX_HEADER = 100 * 1024  # bytes

connection_was_reused: ContextVar[bool] = ContextVar("connection_was_reused", default=False)
"""Becomes True in the context of a request that was sent over a connection opened by an earlier one."""

response_transport: ContextVar[asyncio.Transport | None] = ContextVar("response_transport", default=None)
"""In the context of a request: the connection that its response comes by."""


class _SharedClient:
    def __init__(self) -> None:
        self.users = 0
        self.turn = asyncio.Lock()
        self.client = httpx.AsyncClient(
            # For each delta, aiohttp's HTTP parser takes half the time of httpx's own (measured).
            transport=AiohttpTransport(verify=_ssl_context(), client=_session),
            trust_env=False,
            headers={"user-agent": "nous-chat", "accept-encoding": "identity"},
            # No cookies, here or in the session: the runs of one person must not affect those of another.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )


_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, _SharedClient] = WeakKeyDictionary()


@asynccontextmanager
async def connections() -> AsyncGenerator[httpx.AsyncClient, None]:
    """The client of the running event loop; it stays open at least until this context ends."""
    loop = asyncio.get_running_loop()
    shared = _shared.get(loop)
    if shared is None:
        shared = _shared[loop] = _SharedClient()
    shared.users += 1
    try:
        yield shared.client
    finally:
        shared.users -= 1
        if not shared.users:
            del _shared[loop]
            await shared.client.aclose()


def read_pause(is_call: bool = False) -> float:
    """How long, in seconds, a stream of the running event loop waits between two reads so that bytes can gather.

    0 for few streams, unless `is_call`: the stream is in the middle of a call's arguments, which are shown in larger
    steps. With many, waking up for each delta is the largest cost: when read every 100 ms, five deltas cost little more
    than one (docs/benchmarks.md).
    """
    shared = _shared.get(asyncio.get_running_loop())
    paced = shared.users - UNPACED_STREAMS if shared else 0
    if paced <= 0:
        return MIN_PAUSE if is_call else 0.0
    return min(MAX_PAUSE, MIN_PAUSE + PAUSE_PER_STREAM * paced)


@contextmanager
def unread(transport: asyncio.Transport | None) -> Iterator[None]:
    """Leave in the system what arrives meanwhile: it is received at once then. Each piece by itself would wake the
    event loop, and the parser of HTTP.
    """
    paused = False
    try:
        if transport is not None and transport.is_reading():
            transport.pause_reading()
            paused = True
    except _NO_FLOW_CONTROL:
        pass
    try:
        yield
    finally:
        if paused and transport is not None and not transport.is_closing():
            with suppress(*_NO_FLOW_CONTROL):
                transport.resume_reading()


_NO_FLOW_CONTROL = (AttributeError, NotImplementedError, RuntimeError)
"""What transports raise that cannot pause, or are closed."""


async def read_turn() -> None:
    """Wait for a turn to read on, for a stream of which much has arrived at once. All such streams of the running event
    loop share its turns, so that the rest of its work does not wait longer the more of them there are."""
    async with _shared[asyncio.get_running_loop()].turn:
        await asyncio.sleep(TURN)


@cache
def _ssl_context() -> SSLContext:
    """Loads the certificate authorities, which takes about 20 ms, once per process. Honours SSL_CERT_FILE and
    SSL_CERT_DIR."""
    return httpx.create_ssl_context()


def _session() -> aiohttp.ClientSession:
    """A session without limits on connections or time: a run holds a connection for minutes, and providers have
    deadlines of their own. Idle connections are kept a little shorter than the 60 seconds after which most servers
    close them.

    `trust_env` is set only if the environment names a proxy: with it, aiohttp reads ~/.netrc in a thread for every
    request.
    """
    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(_note_reuse)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=_ssl_context(), keepalive_timeout=50),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=bool(getproxies()),
        trace_configs=[trace],
        response_class=_Response,
        # Proxies put more than aiohttp's 8 KB into one header. This is what curl takes.
        max_line_size=_MAX_HEADER,
        max_field_size=_MAX_HEADER,
    )


class _Response(aiohttp.ClientResponse):
    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        response_transport.set(connection.transport)
        return await super().start(connection)


async def _note_reuse(*_: object) -> None:
    connection_was_reused.set(True)
