"""Invitation links: create, list, revoke and preview them. `joining` lets people in.

A link's token is the invitation's signed id, so it cannot be guessed and no table holds it. A link is valid until it
expires, is revoked or is used up, and only as long as its creator may invite.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.signing import BadSignature, Signer
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from msgspec import Struct

from ..models import Invitation, Participant, Removal
from ..permissions import policy
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import get_membership, lock_membership
from .unit_of_work import unit_of_work

MAX_VALID = 50
"""How many valid links one conversation can have."""


@unit_of_work()
def create_invitation(
    user_id: Any, conversation_id: UUID, role: str, expires_in: int, max_uses: int | None
) -> objects.Invitation:
    """Create a link; `expires_in` is in seconds."""
    mine = _check_can_invite(lock_membership(user_id, conversation_id))
    if _valid_invitations(conversation_id).count() >= MAX_VALID:
        raise Refused(
            ErrorCode.CONFLICT, _("There are already %(count)s links. Revoke some first.") % {"count": MAX_VALID}
        )
    Invitation.objects.filter(conversation=conversation_id).exclude(_is_valid()).delete()
    row = Invitation.objects.create(
        conversation_id=conversation_id,
        role=role,
        expires_at=timezone.now() + timedelta(seconds=expires_in),
        max_uses=max_uses,
        created_by=mine.user,
    )
    return objects.Invitation.of(row, _make_token(row.id))


def list_invitations(user_id: Any, conversation_id: UUID) -> list[objects.Invitation]:
    """The valid links, newest first."""
    _check_can_invite(get_membership(user_id, conversation_id))
    rows = _valid_invitations(conversation_id).select_related("created_by")
    return [objects.Invitation.of(row, _make_token(row.id)) for row in rows]


@unit_of_work()
def revoke_invitation(user_id: Any, conversation_id: UUID, invitation_id: UUID) -> None:
    _check_can_invite(lock_membership(user_id, conversation_id))
    if not Invitation.objects.filter(conversation=conversation_id, pk=invitation_id).delete()[0]:
        raise Refused(ErrorCode.NOT_FOUND, _("This invitation does not exist any more."))


class InvitationPreview(Struct, frozen=True):
    """What a link's page shows. `inside`: the user is in the conversation already."""

    conversation: UUID
    title: str
    role: str
    by: objects.Person
    people: int
    inside: bool


def preview_invitation(user_id: Any, token: str) -> InvitationPreview:
    """What the page of a link shows. Raises Refused: NOT_FOUND if the link is not valid, for any reason; FORBIDDEN if
    the user was removed from the conversation.
    """
    row = _get_invitation(user_id, token)
    participants = Participant.objects.filter(conversation=row.conversation_id)
    inside = participants.filter(user=user_id).exists()
    if not inside and Removal.objects.filter(conversation=row.conversation_id, user=user_id).exists():
        raise removed_before()
    return InvitationPreview(
        conversation=row.conversation_id,
        title=row.conversation.title,
        role=row.role,
        by=objects.Person.of(row.created_by),
        people=participants.count(),
        inside=inside,
    )


def _check_can_invite(participant: Participant) -> Participant:
    if not policy().can_invite(participant):
        raise Refused(ErrorCode.FORBIDDEN, _("You can't invite people to this conversation."))
    return participant


def removed_before() -> Refused:
    """The refusal of who was removed from the conversation."""
    return Refused(ErrorCode.FORBIDDEN, _("You were removed from this conversation. Ask its owner to add you by name."))


def _is_valid() -> Q:
    return Q(expires_at__gt=timezone.now()) & (Q(max_uses=None) | Q(uses__lt=F("max_uses")))


def _valid_invitations(conversation_id: UUID) -> QuerySet[Invitation]:
    return Invitation.objects.filter(_is_valid(), conversation=conversation_id)


def find_invitation(identity: UUID) -> Invitation | None:
    """The invitation, with its conversation and creator, unless who made it may not invite any more. It may have
    expired, or be used up.
    """
    return _check_creator(_invitations().filter(pk=identity).first())


def _get_invitation(user_id: Any, token: str) -> Invitation:
    """The invitation that a link leads to. Raises Refused(NOT_FOUND) if the link is not valid.

    Participants find expired and used up ones as well: the last use may have been their own.
    """
    inside = Q(conversation__in=Participant.objects.filter(user=user_id).values("conversation"))
    row = _check_creator(_invitations().filter(_is_valid() | inside, pk=read_token(token)).first())
    if row is None:
        raise invalid_link()
    return row


def _invitations() -> QuerySet[Invitation]:
    return Invitation.objects.select_related("conversation", "created_by")


def _check_creator(row: Invitation | None) -> Invitation | None:
    """None also if who made the link may not invite any more."""
    if row is None:
        return None
    try:
        _check_can_invite(get_membership(row.created_by_id, row.conversation_id))
    except Refused:
        return None
    return row


def read_token(token: str) -> UUID:
    """The invitation's id. Raises Refused(NOT_FOUND)."""
    try:
        return UUID(bytes=urlsafe_b64decode(_signer().unsign(token) + "=="))
    except (BadSignature, ValueError):
        raise invalid_link() from None


def invalid_link() -> Refused:
    """One answer for all links that are not valid, so that nobody can probe which exist."""
    return Refused(ErrorCode.NOT_FOUND, _("This invitation has expired or is invalid."))


def _make_token(identity: UUID) -> str:
    return _signer().sign(urlsafe_b64encode(identity.bytes).decode().rstrip("="))


def _signer() -> Signer:
    return Signer(salt="nous_chat.invitation", sep=".")
