"""JSON endpoints: the documents of a conversation, their texts, and their logs."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from msgspec import Struct

from .. import store
from ..actions import documents as actions
from ..protocol import commands, objects
from ..store.executor import run_request
from .command import perform
from .endpoint import endpoint, json_body, json_response, query_int

MAX_VERSION = 2**31 - 1
"""The largest number that the column of a document's version can hold."""


class Documents(Struct, frozen=True):
    documents: list[objects.Document]


@endpoint("GET", "POST")
async def documents(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    if request.method == "POST":
        new = json_body(request, store.NewDocument)
        return json_response(201, await actions.create(request.user.pk, conversation_id, new))
    return json_response(200, Documents(await run_request(store.list_documents, request.user.pk, conversation_id)))


@endpoint("POST")
async def push(request: HttpRequest, conversation_id: UUID, document_id: UUID) -> HttpResponse:
    return await perform(request, conversation_id, commands.DocumentPush, actions.push, document=document_id)


@endpoint("GET")
async def document(request: HttpRequest, document_id: UUID) -> HttpResponse:
    return json_response(200, await run_request(store.get_document, request.user.pk, document_id))


@endpoint("GET")
async def updates(request: HttpRequest, document_id: UUID) -> HttpResponse:
    since = query_int(request, "since", 0, MAX_VERSION) or 0
    return json_response(200, await run_request(store.list_updates, request.user.pk, document_id, since))
