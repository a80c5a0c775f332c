"""JSON endpoints: the documents of a conversation, their texts, logs, versions, and proposals."""

import asyncio
from functools import partial
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.http import content_disposition_header
from msgspec import Struct

from .. import ratelimit, store
from ..actions import documents as actions
from ..documents.files import make_file
from ..protocol import commands, objects
from ..store.document_snapshots import KEEP_EVERY
from ..store.executor import run_request
from .attachments import HEADERS
from .command import perform
from .endpoint import NO_STORE, client_of, endpoint, json_body, json_response, query_int

MAX_VERSION = 2**31 - 1
"""The largest number that the column of a document's version can hold."""


UPDATES_PER_TOKEN = 200
"""So many updates that are looked at cost as much as one request: some 10 ms."""


class Documents(Struct, frozen=True):
    documents: list[objects.Document]


class Proposals(Struct, frozen=True):
    proposals: list[objects.DocumentProposal]


@endpoint("GET", "POST")
async def documents(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    if request.method == "POST":
        new = json_body(request, store.NewDocument)
        return json_response(201, await actions.create(request.user.pk, conversation_id, new))
    return json_response(200, Documents(await run_request(store.list_documents, request.user.pk, conversation_id)))


@endpoint("PATCH", "DELETE")
async def document_in(request: HttpRequest, conversation_id: UUID, document_id: UUID) -> HttpResponse:
    if request.method == "DELETE":
        return await perform(request, conversation_id, commands.DocumentDelete, actions.delete, document=document_id)
    return await perform(request, conversation_id, commands.DocumentUpdate, actions.update, document=document_id)


@endpoint("POST")
async def undelete(request: HttpRequest, conversation_id: UUID, document_id: UUID) -> HttpResponse:
    return await perform(request, conversation_id, commands.DocumentUndelete, actions.undelete, document=document_id)


@endpoint("POST")
async def push(request: HttpRequest, conversation_id: UUID, document_id: UUID) -> HttpResponse:
    return await perform(request, conversation_id, commands.DocumentPush, actions.push, document=document_id)


@endpoint("POST")
async def take_over(request: HttpRequest, conversation_id: UUID, document_id: UUID) -> HttpResponse:
    return await perform(request, conversation_id, commands.DocumentTakeOver, actions.take_over, document=document_id)


@endpoint("POST")
async def restore(request: HttpRequest, conversation_id: UUID, document_id: UUID) -> HttpResponse:
    return await perform(request, conversation_id, commands.DocumentRestore, actions.restore, document=document_id)


@endpoint("POST")
async def name(request: HttpRequest, conversation_id: UUID, document_id: UUID) -> HttpResponse:
    return await perform(request, conversation_id, commands.DocumentName, actions.name, document=document_id)


@endpoint("POST")
async def resolve(request: HttpRequest, conversation_id: UUID, document_id: UUID, proposal_id: UUID) -> HttpResponse:
    return await perform(
        request,
        conversation_id,
        commands.DocumentResolve,
        actions.resolve,
        document=document_id,
        proposal=proposal_id,
    )


@endpoint("GET")
async def document(request: HttpRequest, document_id: UUID) -> HttpResponse:
    version = query_int(request, "version", 0, MAX_VERSION)
    if version is None:
        return json_response(200, await run_request(store.get_document, request.user.pk, document_id))
    _spend(request, KEEP_EVERY)
    return json_response(200, await run_request(store.get_document_at, request.user.pk, document_id, version))


@endpoint("GET")
async def versions(request: HttpRequest, document_id: UUID) -> HttpResponse:
    until = query_int(request, "until", 0, MAX_VERSION)
    return json_response(200, await run_request(store.list_versions, request.user.pk, document_id, until))


@endpoint("GET")
async def blame(request: HttpRequest, document_id: UUID) -> HttpResponse:
    version = query_int(request, "version", 0, MAX_VERSION)
    newest = await run_request(store.newest_version, request.user.pk, document_id)
    _spend(request, min(newest if version is None else version, newest, store.MAX_BLAMED_UPDATES))
    return json_response(200, await run_request(store.blame, request.user.pk, document_id, version))


@endpoint("GET")
async def download(request: HttpRequest, document_id: UUID) -> HttpResponse:
    version = query_int(request, "version", 0, MAX_VERSION)
    work = store.get_document if version is None else partial(store.get_document_at, version=version)
    _spend(request, KEEP_EVERY)
    found = await run_request(work, request.user.pk, document_id)
    file = await asyncio.to_thread(make_file, found.title, found.kind, found.language, found.text)
    headers = HEADERS | {"Cache-Control": NO_STORE}
    headers["Content-Disposition"] = content_disposition_header(True, file.name) or "attachment"
    return HttpResponse(file.content, content_type=file.type, headers=headers)


@endpoint("GET")
async def proposals(request: HttpRequest, document_id: UUID) -> HttpResponse:
    return json_response(200, Proposals(await run_request(store.list_proposals, request.user.pk, document_id)))


@endpoint("GET")
async def updates(request: HttpRequest, document_id: UUID) -> HttpResponse:
    since = query_int(request, "since", 0, MAX_VERSION) or 0
    return json_response(200, await run_request(store.list_updates, request.user.pk, document_id, since))


def _spend(request: HttpRequest, updates: int) -> None:
    """Take the tokens for updates that are looked at, before they are. Raises Refused."""
    ratelimit.spend(client_of(request), updates / UPDATES_PER_TOKEN)
