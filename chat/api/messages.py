"""JSON endpoints: a conversation's messages, and the versions of a message from before its edits."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from msgspec import Struct

from .. import store
from ..protocol import objects
from ..store.executor import run_request
from .endpoint import endpoint, json_response, query_int


class Messages(Struct, frozen=True):
    messages: list[objects.Message]
    more: bool


class Edits(Struct, frozen=True):
    edits: list[objects.Edit]


@endpoint("GET")
async def messages(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    before = query_int(request, "before", 1, 2**31 - 1)
    limit = query_int(request, "limit", 1, 100) or store.PAGE_SIZE
    return json_response(
        200, Messages(*await run_request(store.list_messages, request.user.pk, conversation_id, before, limit))
    )


@endpoint("GET")
async def edits(request: HttpRequest, conversation_id: UUID, message_id: UUID) -> HttpResponse:
    return json_response(200, Edits(await run_request(store.list_edits, request.user.pk, conversation_id, message_id)))
