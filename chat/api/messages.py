"""JSON endpoints: a conversation's messages and their former versions."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from msgspec import Struct

from .. import store
from ..protocol import objects
from .endpoint import _number, answer_json, endpoint


class Messages(Struct, frozen=True):
    messages: list[objects.Message]
    more: bool


class Edits(Struct, frozen=True):
    edits: list[objects.Edit]


@endpoint("GET")
def messages(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    before = _number(request, "before", None, 1, 2**31 - 1)
    limit = _number(request, "limit", store.PAGE, 1, 100) or store.PAGE
    return answer_json(200, Messages(*store.page(request.user.pk, conversation_id, before, limit)))


@endpoint("GET")
def edits(request: HttpRequest, conversation_id: UUID, message_id: UUID) -> HttpResponse:
    return answer_json(200, Edits(store.edits_of(request.user.pk, conversation_id, message_id)))
