"""Who is in a conversation, over HTTP (docs/protocol.md, "HTTP"): JSON in, wire objects out, and the frames that tell
of it. The join page (`views.py`) tells by it, too.
"""

from typing import Annotated
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from msgspec import Meta, Struct

from .. import store
from ..actions.participants import tell_later
from ..protocol import objects
from .endpoint import answer_json, body, endpoint


class NewParticipant(Struct, frozen=True, forbid_unknown_fields=True):
    username: Annotated[str, Meta(max_length=300)]
    role: objects.Role = "member"


class NewRole(Struct, frozen=True, forbid_unknown_fields=True):
    role: objects.Role


class Participants(Struct, frozen=True):
    participants: list[objects.Participant]


@endpoint("GET", "POST")
def participants(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    if request.method == "GET":
        return answer_json(200, Participants(store.participants(request.user.pk, conversation_id)))
    wanted = body(request, NewParticipant)
    change = store.add_participant(request.user.pk, conversation_id, wanted.username, wanted.role)
    tell_later(conversation_id, change)
    return answer_json(201, change.joined[0])


@endpoint("PATCH", "DELETE")
def participant(request: HttpRequest, conversation_id: UUID, participant_id: int) -> HttpResponse:
    if request.method == "DELETE":
        tell_later(conversation_id, store.remove_participant(request.user.pk, conversation_id, participant_id))
        return HttpResponse(status=204)
    wanted = body(request, NewRole)
    change = store.change_role(request.user.pk, conversation_id, participant_id, wanted.role)
    tell_later(conversation_id, change)
    return answer_json(200, change.updated[0])
