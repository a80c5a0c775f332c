"""The HTTP client that the runs of one event loop share. Providers enter `connections()` for each request; a server
enters it once at its start, which keeps connections warm from one run to the next. The last one out closes it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ssl import SSLContext
from urllib.request import getproxies
from weakref import WeakKeyDictionary

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

FEW = 10
"""Streams of one event loop that are each read as soon as something comes."""

MORE = 0.0015
"""Seconds by which each stream beyond FEW lengthens the pause between two reads of all of them."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.040, 0.100

reused: ContextVar[bool] = ContextVar("reused", default=False)
"""Set to True in the context of a request that is sent over a connection which an earlier one had opened."""


class _Shared:
    def __init__(self) -> None:
        self.users = 0
        self.client = httpx.AsyncClient(
            # aiohttp's HTTP parser costs half of httpx's own for each delta (measured).
            transport=AiohttpTransport(verify=_tls(), client=_session),
            trust_env=False,
            headers={"user-agent": "nous-chat", "accept-encoding": "identity"},
            # Neither the session nor the client keeps cookies: one person's run says nothing of another's.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )


_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, _Shared] = WeakKeyDictionary()


@asynccontextmanager
async def connections() -> AsyncGenerator[httpx.AsyncClient, None]:
    """The client of the running event loop, open at least until this context ends."""
    loop = asyncio.get_running_loop()
    shared = _shared.get(loop)
    if shared is None:
        shared = _shared[loop] = _Shared()
    shared.users += 1
    try:
        yield shared.client
    finally:
        shared.users -= 1
        if not shared.users:
            del _shared[loop]
            await shared.client.aclose()


def pause() -> float:
    """Seconds that a stream of the running event loop leaves between two reads, so that bytes gather: 0 while there are
    few. With many, waking up for each delta is what costs most: read every 100 ms, five deltas cost little more than
    one (docs/benchmarks.md).
    """
    shared = _shared.get(asyncio.get_running_loop())
    many = shared.users - FEW if shared else 0
    return min(LONGEST_PAUSE, SHORTEST_PAUSE + MORE * many) if many > 0 else 0.0


@cache
def _tls() -> SSLContext:
    """Loading the certificate authorities takes some 20 ms: once a process. Honours SSL_CERT_FILE and SSL_CERT_DIR."""
    return httpx.create_ssl_context()


def _session() -> aiohttp.ClientSession:
    """No bound on connections, since a run holds one for minutes, and no time limits but the providers' own. Idle ones
    are kept for a little less than the 60 seconds after which most servers close them.

    The environment is trusted for proxies only where it names one: aiohttp would otherwise look into ~/.netrc, in a
    thread, for every request.
    """
    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(_note_reuse)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=_tls(), keepalive_timeout=50),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=bool(getproxies()),
        trace_configs=[trace],
    )


async def _note_reuse(*_: object) -> None:
    reused.set(True)
