"""JSON endpoints: conversations (docs/protocol.md, "HTTP")."""

from typing import Annotated
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from msgspec import Meta, Struct

from .. import store
from ..actions import conversations as actions
from ..protocol import objects
from .endpoint import endpoint, json_body, json_response, query_time


class NewConversation(Struct, frozen=True, forbid_unknown_fields=True):
    title: Annotated[str, Meta(max_length=200)] = ""
    agent: str | None = None


class Fork(Struct, frozen=True, forbid_unknown_fields=True):
    message: UUID


class Conversations(Struct, frozen=True):
    conversations: list[objects.Conversation]
    more: bool


@endpoint("GET", "POST")
def conversations(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return json_response(
            200, Conversations(*store.list_conversations(request.user.pk, query_time(request, "before")))
        )
    new = json_body(request, NewConversation)
    return json_response(201, actions.create(request.user, new.title, new.agent))


@endpoint("GET", "PATCH", "DELETE")
def conversation(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    if request.method == "GET":
        return json_response(200, store.get_conversation(request.user.pk, conversation_id))
    if request.method == "DELETE":
        actions.delete(request.user.pk, conversation_id)
        return HttpResponse(status=204)
    changes = json_body(request, store.ConversationChanges)
    return json_response(200, actions.change(request.user.pk, conversation_id, changes))


@endpoint("POST")
def restore(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    return json_response(200, actions.restore(request.user.pk, conversation_id))


@endpoint("POST")
def fork(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    message_id = json_body(request, Fork).message
    return json_response(201, actions.fork(request.user.pk, conversation_id, message_id))
