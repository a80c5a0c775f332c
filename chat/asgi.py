"""The ASGI application of a site with the chat: `application(get_asgi_application())` in its asgi.py."""

import asyncio
import logging
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.exceptions import DisallowedHost
from django.http import HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.urls import path

from . import logs
from .addresses import below_prefix, note_root_path
from .api.handoff import HANDOFF, Handoff
from .concurrency import detached
from .conf import conf
from .consumers.base import UnknownConsumer
from .consumers.conversation import ConversationConsumer
from .consumers.event_stream import EventStream
from .consumers.follower import Follower
from .consumers.inbox import InboxConsumer
from .consumers.run_response import RunResponse
from .node import daphne, node, uvicorn
from .node.bearer import read_bearer, request_of
from .node.garbage import tune_collector
from .node.http import ASGIApplication, Receive, Send, find_address, limit_bodies
from .node.http_origins import allow_origins
from .node.http_threads import reuse_threads
from .node.http_turns import take_turns
from .node.probes import with_probes
from .routing import websocket_urlpatterns

logger = logging.getLogger("nous_chat.consumers")

ANSWERED = {"api-completions", "api-responses", "api-ai-sdk", "api-ai-sdk-stream", "api-ag-ui"}
"""Addresses whose views hand their answer over (`api.handoff.followed`)."""

_IN_PATHS = ("/stream/", "/v1/", "/ai-sdk/", "/ag-ui/")
"""What the paths of streams and of those addresses contain."""


def application(http: Any, max_body: int | None = None, strangers: float = 1.0) -> ProtocolTypeRouter:
    """Route HTTP requests to `http`, sockets and the server's lifespan to the chat.

    `max_body` is for a site without uploads of its own: the longest body, in bytes, of a request to its other URLs.
    `strangers` is for a site without public pages of its own: the part of the time, above 0 and up to 1, in which
    requests of people who are not signed in may be answered.
    """
    return ProtocolTypeRouter(
        {"http": bounded(http, max_body, strangers), "websocket": websocket(), "lifespan": lifespan}
    )


def bounded(http: Any, max_body: int | None = None, strangers: float = 1.0) -> ASGIApplication:
    """The site's HTTP application, with bodies limited, few requests at once, threads that are used again, and streams.
    `application` does it; this is for a site that routes by itself.
    """
    turned = limit_bodies(take_turns(reuse_threads(http), strangers), max_body)
    return with_ids(with_probes(allow_origins(with_streams(turned))))


def with_ids(http: ASGIApplication) -> ASGIApplication:
    """The application, with the id of its request in everything that is logged meanwhile."""

    async def wrapped(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        logs.bind_request(scope["headers"])
        await http(scope, receive, send)

    return wrapped


def with_streams(http: ASGIApplication) -> ASGIApplication:
    """The application, with the chat's event streams and the answers to foreign clients: not as views, because a stream
    is open for hours, and what Django puts around a view would hold it up.
    """
    uvicorn.announce_shutdowns()
    conversation = SameOrigin(ConversationConsumer.as_asgi())
    consumers = {"api-stream": conversation, "api-inbox-stream": SameOrigin(InboxConsumer.as_asgi())}

    async def wrapped(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        is_candidate = scope["method"] in ("GET", "POST") and any(part in scope["path"] for part in _IN_PATHS)
        match = find_address(scope["path"]) if is_candidate else None
        if match is not None and match.url_name in ANSWERED:
            await _answer(http, conversation, scope, receive, send)
            return
        if match is None or match.url_name not in consumers or scope["method"] != "GET":
            await http(scope, receive, send)
            return
        route = {"kwargs": {name: str(value) for name, value in match.kwargs.items()}}
        follower = Follower() if match.kwargs else None
        stream = EventStream(consumers[match.url_name], follower)
        await stream(scope | {"url_route": route}, receive, send)

    return wrapped


async def _answer(
    http: ASGIApplication, consumer: ASGIApplication, scope: dict[str, Any], receive: Receive, send: Send
) -> None:
    """A view asks, or refuses. If it has asked, its response is dropped, and the answer is followed here."""
    handoff: Handoff = asyncio.get_running_loop().create_future()
    gone: dict[str, Any] | None = None

    async def receive_noting() -> dict[str, Any]:
        nonlocal gone
        if gone is not None:
            return gone
        message = await receive()
        if message["type"] == "http.disconnect":
            gone = message
        return message

    async def send_refusal(message: dict[str, Any]) -> None:
        if not handoff.done():
            await send(message)

    try:
        await http(scope | {HANDOFF: handoff}, receive_noting, send_refusal)
    finally:  # also if the server has cancelled the request, because its client is gone
        if handoff.done():
            await RunResponse(consumer, *handoff.result(), send).respond(scope, receive_noting)


def websocket() -> Any:
    """The chat's sockets alone, for a site that routes sockets of its own as well."""
    daphne.install(open_node)
    prefix = conf.WEBSOCKET_URL.removeprefix("/")
    # One router: a second one would keep another copy of each socket's scope.
    sockets = [path(f"{prefix}{url.pattern}", url.callback) for url in websocket_urlpatterns]
    return SameOrigin(URLRouter([*sockets, path("<path:other>", UnknownConsumer.as_asgi())]))


class SameOrigin:
    """Refuses sockets and streams of other sites' pages with HTTP 403: a browser sends its cookies whichever page opens
    them. With a token, cookies are ignored, so the origin does not matter.

    The rule is Django's for forms: the page's origin is the scheme, host, and port to which the request was sent, which
    ALLOWED_HOSTS must contain, or it is in CSRF_TRUSTED_ORIGINS. A client without an Origin header is not a browser
    (RFC 6455, 4.1: browsers MUST send it), so no foreign page is using it.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._csrf = CsrfViewMiddleware(lambda _: HttpResponse())

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        note_root_path(scope)
        # Channels' router refuses a path that does not begin with `root_path`, but many proxies remove it.
        path = scope.get("path_remaining", scope["path"])
        scope["path_remaining"] = below_prefix(f"/{path.lstrip('/')}")
        if self._is_allowed(scope):
            await self._app(scope, receive, send)
        else:
            await send({"type": "websocket.close"})

    def _is_allowed(self, scope: dict[str, Any]) -> bool:
        request = request_of(scope)
        try:
            address = f"{request.scheme}://{request.get_host()}"
        except DisallowedHost as error:
            logger.warning("Refused a socket. %s", error)
            return False
        if "HTTP_ORIGIN" not in request.META or read_bearer(scope["headers"]) is not None:
            return True
        if self._csrf._origin_verified(request):  # type: ignore[attr-defined]
            return True
        logger.warning(
            "Refused a socket of a page at %a, because the request was sent to %a. If that page is yours, the proxy "
            "must pass Host and X-Forwarded-Proto on for sockets too (docs/troubleshooting.md, HTTP 403).",
            request.META["HTTP_ORIGIN"],
            address,
        )
        return False


def open_node() -> None:
    """Make this process ready for runs as soon as its server runs: other processes may have queued some, and their
    users may have no socket.
    """
    here = node.current()
    detached(here.open_soon(), here.tasks.optional)


async def lifespan(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Servers that have the ASGI lifespan (uvicorn, hypercorn) wait for it; daphne has none, see `node/daphne.py`."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            await node.current().drain(conf.DRAIN_SECONDS)
            await send({"type": "lifespan.shutdown.complete"})
            return
        uvicorn.let_several_wait()
        tune_collector()
        open_node()
        await send({"type": "lifespan.startup.complete"})
