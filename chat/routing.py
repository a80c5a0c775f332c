"""URL patterns of the WebSockets, below `WEBSOCKET_URL`."""

from django.urls import path

from .consumers.base import UnknownConsumer
from .consumers.conversation import ConversationConsumer
from .consumers.dashboard import DashboardConsumer, LogConsumer
from .consumers.inbox import InboxConsumer

websocket_urlpatterns = [
    path("", InboxConsumer.as_asgi()),
    path("dashboard/", DashboardConsumer.as_asgi()),
    path("dashboard/log/", LogConsumer.as_asgi()),
    path("<str:conversation_id>/", ConversationConsumer.as_asgi()),
    path("<path:rest>", UnknownConsumer.as_asgi()),
]
