"""JSON endpoints: invitation links."""

from typing import Annotated, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from msgspec import Meta, Struct

from .. import store
from ..protocol import objects
from .endpoint import answer_json, body, endpoint

DAY = 24 * 60 * 60


class NewInvitation(Struct, frozen=True, forbid_unknown_fields=True):
    """`expires_in` is in seconds."""

    role: Literal["member", "viewer"] = "member"
    expires_in: Annotated[int, Meta(ge=60, le=90 * DAY)] = 7 * DAY
    max_uses: Annotated[int, Meta(ge=1, le=10_000)] | None = None


class Invitations(Struct, frozen=True):
    invitations: list[objects.Invitation]


@endpoint("GET", "POST")
def invitations(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    if request.method == "GET":
        return answer_json(200, Invitations(store.invitations(request.user.pk, conversation_id)))
    wanted = body(request, NewInvitation)
    made = store.create_invitation(request.user.pk, conversation_id, wanted.role, wanted.expires_in, wanted.max_uses)
    return answer_json(201, made)


@endpoint("DELETE")
def invitation(request: HttpRequest, conversation_id: UUID, invitation_id: UUID) -> HttpResponse:
    store.revoke_invitation(request.user.pk, conversation_id, invitation_id)
    return HttpResponse(status=204)
