"""The host site as an ASGI application, with a WebSocket of its own: what docs/embedding.md says, to the letter."""

import os

from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "host.settings")
http = ASGIStaticFilesHandler(get_asgi_application())

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.urls import path, re_path

from host.clock import ClockConsumer  # yours
from nous_chat import asgi as chat

clock = AllowedHostsOriginValidator(AuthMiddlewareStack(ClockConsumer.as_asgi()))
application = ProtocolTypeRouter(
    {
        "http": chat.bounded(http),
        "websocket": URLRouter([path("live/clock/", clock), re_path("", chat.websocket())]),
        "lifespan": chat.lifespan,
    }
)
