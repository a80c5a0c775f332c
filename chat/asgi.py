"""The ASGI application of a site with the chat: `application(get_asgi_application())` in its asgi.py."""

from collections.abc import Awaitable, Callable
from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import OriginValidator
from django.conf import settings
from django.urls import path

from .conf import conf
from .consumers.base import UnknownConsumer
from .node import daphne, node
from .routing import websocket_urlpatterns


def application(http: Any) -> ProtocolTypeRouter:
    """Route HTTP requests to `http`, sockets and the server's lifespan to the chat."""
    return ProtocolTypeRouter({"http": http, "websocket": websocket(), "lifespan": lifespan})


def websocket() -> Any:
    """The chat's sockets alone, for a site that routes sockets of its own as well."""
    daphne.install()
    prefix = conf.WEBSOCKET_URL.removeprefix("/")
    return SameOrigin(
        AuthMiddlewareStack(
            URLRouter([path(prefix, URLRouter(websocket_urlpatterns)), path("<path:other>", UnknownConsumer.as_asgi())])
        )
    )


class SameOrigin(OriginValidator):  # type: ignore[misc]  # channels has no types
    """Accepts sockets from pages of ALLOWED_HOSTS only: the browser sends its cookies whichever site's page opens one.

    A client without an Origin header is not a browser (RFC 6455, 4.1: browsers MUST send it), so no foreign page is
    using it.
    """

    def __init__(self, app: Any) -> None:
        # Not AllowedHostsOriginValidator, which accepts no client without an Origin.
        hosts = settings.ALLOWED_HOSTS
        if settings.DEBUG and not hosts:
            hosts = ["localhost", "127.0.0.1", "[::1]"]
        super().__init__(app, hosts)

    def valid_origin(self, parsed_origin: Any) -> bool:
        return parsed_origin is None or bool(self.validate_origin(parsed_origin))


async def lifespan(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    """Servers that have the ASGI lifespan (uvicorn, hypercorn) wait for it; daphne has none, see `node/daphne.py`."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            await node.current().drain(conf.DRAIN_SECONDS)
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send({"type": "lifespan.startup.complete"})
