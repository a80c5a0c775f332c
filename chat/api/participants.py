"""Who is in a conversation, over HTTP (docs/protocol.md, "HTTP"): JSON in, wire objects out, and the frames that tell
of it. The join page (`views.py`) tells by it, too.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from asgiref.sync import async_to_sync
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from msgspec import Meta, Struct

from .. import store
from ..protocol import events, objects
from ..realtime import groups, inbox
from .conversations import answer_json, body, endpoint

DAY = 24 * 60 * 60


class NewParticipant(Struct, frozen=True, forbid_unknown_fields=True):
    username: Annotated[str, Meta(max_length=300)]
    role: objects.Role = "member"


class NewRole(Struct, frozen=True, forbid_unknown_fields=True):
    role: objects.Role


class NewInvitation(Struct, frozen=True, forbid_unknown_fields=True):
    """`expires_in` is in seconds."""

    role: Literal["member", "viewer"] = "member"
    expires_in: Annotated[int, Meta(ge=60, le=90 * DAY)] = 7 * DAY
    max_uses: Annotated[int, Meta(ge=1, le=10_000)] | None = None


class Participants(Struct, frozen=True):
    participants: list[objects.Participant]


class Invitations(Struct, frozen=True):
    invitations: list[objects.Invitation]


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


def tell_later(conversation_id: UUID, change: store.Change) -> None:
    """When the request's transaction, if the site has one around it, is committed."""
    transaction.on_commit(partial(async_to_sync(tell), conversation_id, change))


async def tell(conversation_id: UUID, change: store.Change) -> None:
    """Tell a conversation, and the lists of its people, who came, has another role, went."""
    group = groups.conversation(conversation_id)
    kinds: list[tuple[Callable[..., events.Event], list[objects.Participant]]] = [
        (events.ParticipantJoined, change.joined),
        (events.ParticipantUpdated, change.updated),
        (events.ParticipantLeft, change.left),
    ]
    for event, people in kinds:
        for participant in people:
            await groups.publish(group, event(participant=participant))
    await groups.publish(group, events.MessageCreated(message=change.notice))
    for gone in change.left:
        removed = events.ConversationRemoved(conversation=conversation_id, last_seq=change.notice.seq)
        await groups.publish(groups.person(gone.user.id), removed)
    await inbox.announce(conversation_id)
