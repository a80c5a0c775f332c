"""JSON over HTTP, authenticated by the session (docs/protocol.md, "HTTP"): commands in, wire objects out."""

from functools import partial
from typing import Annotated
from uuid import UUID

from asgiref.sync import async_to_sync
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from msgspec import Meta, Struct

from .. import store
from ..protocol import objects
from ..realtime import inbox
from .endpoint import _moment, answer_json, body, endpoint


class NewConversation(Struct, frozen=True, forbid_unknown_fields=True):
    title: Annotated[str, Meta(max_length=200)] = ""
    agent: str | None = None


class From(Struct, frozen=True, forbid_unknown_fields=True):
    message: UUID


class Conversations(Struct, frozen=True):
    conversations: list[objects.Conversation]
    more: bool


@endpoint("GET", "POST")
def conversations(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return answer_json(200, Conversations(*store.conversations_of(request.user.pk, _moment(request, "before"))))
    wanted = body(request, NewConversation)
    created = store.create_conversation(request.user, wanted.title, wanted.agent)
    transaction.on_commit(partial(async_to_sync(inbox.announce_to), [request.user.pk], created.id))
    return answer_json(201, created)


@endpoint("GET", "PATCH", "DELETE")
def conversation(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    if request.method == "DELETE":
        deleted = store.delete_conversation(request.user.pk, conversation_id)
        transaction.on_commit(partial(async_to_sync(inbox.announce_deletion), conversation_id, deleted))
        return HttpResponse(status=204)
    if request.method == "GET":
        return answer_json(200, store.look(request.user.pk, conversation_id))
    changes = body(request, store.Changes)
    changed = store.change_conversation(request.user.pk, conversation_id, changes)
    tell = inbox.announce if changes.common else partial(inbox.announce_to, [request.user.pk])
    transaction.on_commit(partial(async_to_sync(tell), conversation_id))
    return answer_json(200, changed)


@endpoint("POST")
def restore(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    restored = store.restore_conversation(request.user.pk, conversation_id)
    transaction.on_commit(partial(async_to_sync(inbox.announce), conversation_id))
    return answer_json(200, restored)


@endpoint("POST")
def fork(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    made = store.fork(request.user.pk, conversation_id, body(request, From).message)
    transaction.on_commit(partial(async_to_sync(inbox.announce), made.id))
    return answer_json(201, made)
