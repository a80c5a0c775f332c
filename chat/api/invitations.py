"""JSON endpoints: the invitation links of a conversation (docs/protocol.md, "HTTP")."""

from typing import Annotated, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from msgspec import Meta, Struct

from .. import store
from ..protocol import objects
from ..store.executor import run_request
from .endpoint import endpoint, json_body, json_response

DAY = 24 * 60 * 60


class NewInvitation(Struct, frozen=True, forbid_unknown_fields=True):
    role: Literal["member", "viewer"] = "member"
    expires_in: Annotated[int, Meta(ge=60, le=90 * DAY)] = 7 * DAY
    """Seconds."""

    max_uses: Annotated[int, Meta(ge=1, le=10_000)] | None = None


class Invitations(Struct, frozen=True):
    invitations: list[objects.Invitation]


@endpoint("GET", "POST")
async def invitations(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    if request.method == "GET":
        return json_response(
            200, Invitations(await run_request(store.list_invitations, request.user.pk, conversation_id))
        )
    new = json_body(request, NewInvitation)
    created = await run_request(
        store.create_invitation, request.user.pk, conversation_id, new.role, new.expires_in, new.max_uses
    )
    return json_response(201, created)


@endpoint("DELETE")
async def invitation(request: HttpRequest, conversation_id: UUID, invitation_id: UUID) -> HttpResponse:
    await run_request(store.revoke_invitation, request.user.pk, conversation_id, invitation_id)
    return HttpResponse(status=204)
