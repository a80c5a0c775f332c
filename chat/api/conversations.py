"""JSON endpoints: conversations (docs/protocol.md, "HTTP")."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from msgspec import Struct

from .. import ratelimit, store
from ..actions import conversations as actions
from ..protocol import objects
from ..store.executor import run_request
from .endpoint import endpoint, json_body, json_response, query_time

COPIES_PER_TOKEN = 100
"""How many messages of a fork cost as much as one more request."""


class NewConversation(Struct, frozen=True, forbid_unknown_fields=True):
    title: str = ""
    agent: str | None = None


class Fork(Struct, frozen=True, forbid_unknown_fields=True):
    message: UUID


class Conversations(Struct, frozen=True):
    conversations: list[objects.Conversation]
    more: bool


@endpoint("GET", "POST")
async def conversations(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        before = query_time(request, "before")
        return json_response(200, Conversations(*await run_request(store.list_conversations, request.user.pk, before)))
    new = json_body(request, NewConversation)
    return json_response(201, await actions.create(request.user, new.title, new.agent))


@endpoint("GET", "PATCH", "DELETE")
async def conversation(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    if request.method == "GET":
        return json_response(200, await run_request(store.get_conversation, request.user.pk, conversation_id))
    if request.method == "DELETE":
        await actions.delete(request.user.pk, conversation_id)
        return HttpResponse(status=204)
    changes = json_body(request, store.ConversationChanges)
    return json_response(200, await actions.change(request.user.pk, conversation_id, changes))


@endpoint("POST")
async def restore(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    return json_response(200, await actions.restore(request.user.pk, conversation_id))


@endpoint("POST")
async def fork(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    copy = await actions.fork(request.user.pk, conversation_id, json_body(request, Fork).message)
    documents = await run_request(store.list_documents, request.user.pk, copy.id)
    ratelimit.charge(request.user.pk, copy.last_seq / COPIES_PER_TOKEN + len(documents))
    return json_response(201, copy)
