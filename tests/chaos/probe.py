"""The site with additional endpoints at /chaos/, for what the chaos tests must know and a site does not publish.

POST /chaos/process          its tasks by name, memory, runs, sockets, channels, presence; what its layer has lost
POST /chaos/runs             [conversation ids] -> the rows of all runs of these conversations
POST /chaos/conversations    {people, mode} -> {id}: a new conversation of these users; the first one owns it
POST /chaos/loss             {seed, drop, double, delay}: what the channel layer does from now on
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
    content = await HANDLERS[scope["path"].removeprefix("/chaos/")](json.loads(body or b"null"))
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})


async def process(_: object) -> dict[str, Any]:
    gc.collect()
    this_node, layer = node.current(), get_channel_layer()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    return {
        "tasks": Counter(getattr(task.get_coro(), "__qualname__", "") for task in others),
        "memory": psutil.Process(os.getpid()).memory_info().rss / 2**20,
        "runs": len(this_node.supervisor._runs),
        "sockets": len(this_node.hub.sockets),
        "presence": len(this_node.presence._here),
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


async def conversations(options: dict[str, Any]) -> dict[str, str]:
    def create() -> Conversation:
        room = Conversation.objects.create(agent="told", answers="always", mode=options["mode"])
        for name in options["people"]:
            role = Participant.Role.MEMBER if room.participants.exists() else Participant.Role.OWNER
            user = get_user_model().objects.get(username=name)
            Participant.objects.create(conversation=room, user=user, role=role)
        return room

    return {"id": str((await database_sync_to_async(create)()).pk)}


async def loss(chances: dict[str, Any]) -> None:
    get_channel_layer().loss = Loss(**chances)


HANDLERS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "process": process,
    "runs": runs,
    "conversations": conversations,
    "loss": loss,
}

# The site is imported now. Each collection, and there are several a second, takes a tenth of the time without it.
gc.collect()
gc.freeze()
