"""JSON endpoints: the participants of a conversation (docs/protocol.md, "HTTP")."""

from typing import Annotated
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from msgspec import Meta, Struct

from .. import store
from ..actions import participants as actions
from ..protocol import objects
from ..store.executor import run_request
from .endpoint import endpoint, json_body, json_response


class NewParticipant(Struct, frozen=True, forbid_unknown_fields=True):
    username: Annotated[str, Meta(max_length=300)]
    role: objects.Role = "member"


class NewRole(Struct, frozen=True, forbid_unknown_fields=True):
    role: objects.Role


class Participants(Struct, frozen=True):
    participants: list[objects.Participant]


@endpoint("GET", "POST")
async def participants(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    if request.method == "GET":
        return json_response(
            200, Participants(await run_request(store.list_participants, request.user.pk, conversation_id))
        )
    new = json_body(request, NewParticipant)
    return json_response(201, await actions.add(request.user.pk, conversation_id, new.username, new.role))


@endpoint("PATCH", "DELETE")
async def participant(request: HttpRequest, conversation_id: UUID, participant_id: int) -> HttpResponse:
    if request.method == "DELETE":
        await actions.remove(request.user.pk, conversation_id, participant_id)
        return HttpResponse(status=204)
    role = json_body(request, NewRole).role
    return json_response(200, await actions.change_role(request.user.pk, conversation_id, participant_id, role))
