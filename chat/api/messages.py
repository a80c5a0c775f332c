"""JSON endpoints: a conversation's messages, what a user does with them, and their versions from before edits."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from msgspec import Struct

from .. import store
from ..actions import feedback as feedback_actions
from ..actions import messages as actions
from ..actions.caller import Caller
from ..node.http import max_message_body
from ..protocol import commands, events, objects
from ..store.executor import run_request
from .command import perform
from .endpoint import endpoint, json_body, json_response, query_int

MAX_SEQ = 2**31 - 1
"""The largest number that the column of a message's `seq` can hold."""

MAX_PAGE = 100
"""How many messages a request can get at most."""


class Messages(Struct, frozen=True):
    messages: list[objects.Message]
    more: bool


class Edits(Struct, frozen=True):
    edits: list[objects.Edit]


class YourFeedback(Struct, frozen=True):
    feedback: objects.Feedback | None


@endpoint("GET", "POST")
async def messages(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    if request.method == "POST":
        send = commands.MessageSend
        return await perform(request, conversation_id, send, actions.post, status=201, most=max_message_body())
    before = query_int(request, "before", 1, MAX_SEQ)
    limit = query_int(request, "limit", 1, MAX_PAGE) or store.PAGE_SIZE
    return json_response(
        200, Messages(*await run_request(store.list_messages, request.user.pk, conversation_id, before, limit))
    )


@endpoint("GET")
async def edits(request: HttpRequest, conversation_id: UUID, message_id: UUID) -> HttpResponse:
    return json_response(200, Edits(await run_request(store.list_edits, request.user.pk, conversation_id, message_id)))


@endpoint("GET", "PUT", "DELETE")
async def feedback(request: HttpRequest, conversation_id: UUID, message_id: UUID) -> HttpResponse:
    where = (request.user.pk, conversation_id, message_id)
    if request.method == "GET":
        return json_response(200, YourFeedback(await run_request(store.find_feedback, *where)))
    if request.method == "DELETE":
        await run_request(store.withdraw_feedback, *where)
        return HttpResponse(status=204)
    return json_response(200, await feedback_actions.give(*where, json_body(request, store.NewFeedback)))


@endpoint("PATCH", "DELETE")
async def message(request: HttpRequest, conversation_id: UUID, message_id: UUID) -> HttpResponse:
    if request.method == "DELETE":
        return await perform(request, conversation_id, commands.MessageDelete, actions.change, message=message_id)
    edit, most = commands.MessageEdit, max_message_body()
    return await perform(request, conversation_id, edit, actions.edit, most=most, message=message_id)


@endpoint("POST")
async def restore(request: HttpRequest, conversation_id: UUID, message_id: UUID) -> HttpResponse:
    return await perform(request, conversation_id, commands.MessageRestore, actions.change, message=message_id)


@endpoint("POST")
async def choose(request: HttpRequest, conversation_id: UUID, message_id: UUID) -> HttpResponse:
    return await perform(request, conversation_id, commands.MessageChoose, actions.change, message=message_id)


@endpoint("POST")
async def read(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    return await perform(request, conversation_id, commands.Read, _read)


async def _read(caller: Caller, command: commands.Read) -> None:
    await run_request(store.check_membership, caller.user_id, caller.conversation_id)
    await actions.mark_read(caller, command)
    await caller.reply(events.Ack(ref=command.ref))
