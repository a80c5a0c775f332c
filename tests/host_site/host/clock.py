"""A WebSocket of the site: tells a user who is signed in the time."""

from typing import Any

from channels.generic.websocket import JsonWebsocketConsumer
from django.utils import timezone


class ClockConsumer(JsonWebsocketConsumer):
    def connect(self) -> None:
        self.accept()
        self.send_json({"name": str(self.scope["user"]), "time": timezone.now().isoformat()})

    def receive_json(self, content: Any, **kwargs: Any) -> None:
        self.send_json(content)
