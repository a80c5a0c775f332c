"""The site with a window into its process at /chaos/: what the harness asks and the product has no business to tell.

POST /chaos/process          its tasks by name, memory, runs, sockets, channels, people; what its layer has lost
POST /chaos/runs             [conversation ids] -> every run of these conversations, as its row is
POST /chaos/conversations    {people, mode} -> {id}: a conversation of these, the first its owner
POST /chaos/loss             {seed, drop, double, delay}: what the layer does from now on
"""

import asyncio
import gc
import json
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import psutil
from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.contrib.auth import get_user_model

from chat.models import Conversation, Participant, Run
from chat.node import node
from nousproject.asgi import application as site

from ..support.lossy_layer import Loss


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http" or not scope["path"].startswith("/chaos/"):
        await site(scope, receive, send)
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    answer = await ANSWERS[scope["path"].removeprefix("/chaos/")](json.loads(body or b"null"))
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


async def process(_: object) -> dict[str, Any]:
    gc.collect()
    ours, layer = node.current(), get_channel_layer()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    return {
        "tasks": Counter(getattr(task.get_coro(), "__qualname__", "") for task in others),
        "memory": psutil.Process(os.getpid()).memory_info().rss / 2**20,
        "runs": len(ours.supervisor._runs),
        "sockets": len(ours.hub.sockets),
        "here": len(ours.presence._here),
        "channels": len(layer.channels),
        "groups": sorted(layer.groups),
        "loss": layer.loss.counts,
    }


async def runs(conversations: list[str]) -> list[dict[str, Any]]:
    def read() -> list[dict[str, Any]]:
        rows = Run.objects.filter(conversation__in=map(UUID, conversations)).order_by("created_at")
        return [
            {
                "id": str(run.id), "conversation": str(run.conversation_id), "status": run.status, "seq": run.seq,
                "message": run.message_id and str(run.message_id), "error": run.error_code, "host": run.host,
                "created_at": run.created_at.isoformat(), "ended": run.finished_at is not None,
                "calls": [call.status for call in run.calls.all()],
            }
            for run in rows.prefetch_related("calls")
        ]  # fmt: skip

    found: list[dict[str, Any]] = await database_sync_to_async(read)()
    return found


async def conversations(wanted: dict[str, Any]) -> dict[str, str]:
    def make() -> Conversation:
        room = Conversation.objects.create(agent="told", answers="always", mode=wanted["mode"])
        for name in wanted["people"]:
            role = Participant.Role.MEMBER if room.participants.exists() else Participant.Role.OWNER
            user = get_user_model().objects.get(username=name)
            Participant.objects.create(conversation=room, user=user, role=role)
        return room

    return {"id": str((await database_sync_to_async(make)()).pk)}


async def loss(chances: dict[str, Any]) -> None:
    get_channel_layer().loss = Loss(**chances)


ANSWERS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "process": process,
    "runs": runs,
    "conversations": conversations,
    "loss": loss,
}
