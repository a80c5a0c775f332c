"""Links that let people into a conversation: make, see and revoke them, look at one, join with it.

A link's token is the invitation's id, signed: nobody can make one, and no table holds one. It is good as long as it has
not expired, was not revoked or used up, and whoever made it may invite.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from msgspec import Struct

from ..models import Invitation, Participant, Removal
from ..permissions import policy
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import get_membership, lock_conversation, lock_membership
from .participants import ParticipantChange, create_participant

MAX_VALID = 50
"""Links of one conversation that are good at the same time."""


@transaction.atomic
def create_invitation(
    user_id: Any, conversation_id: UUID, role: str, expires_in: int, max_uses: int | None
) -> objects.Invitation:
    """A new link; `expires_in` is in seconds."""
    mine = _check_can_invite(lock_membership(user_id, conversation_id))
    if _valid_invitations(conversation_id).count() >= MAX_VALID:
        raise Refused(
            ErrorCode.CONFLICT, _("There are %(count)s links already. Revoke some first.") % {"count": MAX_VALID}
        )
    Invitation.objects.filter(conversation=conversation_id).exclude(_is_valid()).delete()
    row = Invitation.objects.create(
        conversation_id=conversation_id,
        role=role,
        expires_at=timezone.now() + timedelta(seconds=expires_in),
        max_uses=max_uses,
        created_by=mine.user,
    )
    return objects.Invitation.of(row, _token(row.id))


def list_invitations(user_id: Any, conversation_id: UUID) -> list[objects.Invitation]:
    """The links that are good, newest first."""
    _check_can_invite(get_membership(user_id, conversation_id))
    return [
        objects.Invitation.of(row, _token(row.id))
        for row in _valid_invitations(conversation_id).select_related("created_by")
    ]


@transaction.atomic
def revoke_invitation(user_id: Any, conversation_id: UUID, invitation_id: UUID) -> None:
    """A link that nobody can use from now on."""
    _check_can_invite(lock_membership(user_id, conversation_id))
    if not Invitation.objects.filter(conversation=conversation_id, pk=invitation_id).delete()[0]:
        raise Refused(ErrorCode.NOT_FOUND, _("There is no such invitation in this conversation."))


class InvitationPreview(Struct, frozen=True):
    """What a link is good for, and whether this person is in the conversation already."""

    conversation: UUID
    title: str
    role: str
    by: objects.Person
    people: int
    inside: bool


def preview_invitation(user_id: Any, token: str) -> InvitationPreview:
    """Raises Refused: "not_found" for what is no good link, whatever is wrong with it; "forbidden" for who was removed
    from the conversation.
    """
    row = _get_invitation(user_id, token)
    everybody = Participant.objects.filter(conversation=row.conversation_id)
    inside = everybody.filter(user=user_id).exists()
    if not inside:
        _refuse_removed(user_id, row.conversation_id)
    return InvitationPreview(
        conversation=row.conversation_id,
        title=row.conversation.title,
        role=row.role,
        by=objects.Person.of(row.created_by),
        people=everybody.count(),
        inside=inside,
    )


class Joined(Struct, frozen=True):
    """`change` is None for who was in the conversation already; that uses nothing up."""

    conversation: UUID
    change: ParticipantChange | None


@transaction.atomic
def join_conversation(user: Any, token: str) -> Joined:
    """Come in with a link. Raises Refused as look_at_invitation does, or where the conversation is full."""
    conversation = lock_conversation(_get_invitation(user.pk, token).conversation_id)
    row = _get_invitation(user.pk, token)  # again: another may have used it up while this one waited for the lock
    if Participant.objects.filter(conversation=conversation, user=user).exists():
        return Joined(conversation.id, None)
    _refuse_removed(user.pk, conversation.id)
    Invitation.objects.filter(pk=row.pk).update(uses=F("uses") + 1)
    change = create_participant(
        conversation, user, row.role, gettext_noop("%(name)s joined, invited by %(by)s."), row.created_by
    )
    return Joined(conversation.id, change)


def _check_can_invite(mine: Participant) -> Participant:
    if not policy().can_invite(mine):
        raise Refused(ErrorCode.FORBIDDEN, _("You may not invite people to this conversation."))
    return mine


def _refuse_removed(user_id: Any, conversation_id: UUID) -> None:
    if Removal.objects.filter(conversation=conversation_id, user=user_id).exists():
        raise Refused(
            ErrorCode.FORBIDDEN,
            _("You were removed from this conversation. No link lets you in; ask its owner to add you by name."),
        )


def _is_valid() -> Q:
    return Q(expires_at__gt=timezone.now()) & (Q(max_uses=None) | Q(uses__lt=F("max_uses")))


def _valid_invitations(conversation_id: UUID) -> QuerySet[Invitation]:
    return Invitation.objects.filter(_is_valid(), conversation=conversation_id)


def _get_invitation(user_id: Any, token: str) -> Invitation:
    """Who is in the conversation, perhaps by its last use, finds one that has expired or is used up as well."""
    no_good = Refused(ErrorCode.NOT_FOUND, _("This invitation is not good any more, or never was."))
    try:
        identity = UUID(bytes=urlsafe_b64decode(_signer().unsign(token) + "=="))
    except (BadSignature, ValueError):
        raise no_good from None
    inside = Q(conversation__in=Participant.objects.filter(user=user_id).values("conversation"))
    rows = Invitation.objects.select_related("conversation", "created_by")
    row = rows.filter(_is_valid() | inside, pk=identity).first()
    if row is None:
        raise no_good
    try:
        _check_can_invite(get_membership(row.created_by_id, row.conversation_id))
    except Refused:
        raise no_good from None
    return row


def _token(identity: UUID) -> str:
    return _signer().sign(urlsafe_b64encode(identity.bytes).decode().rstrip("="))


def _signer() -> Signer:
    return Signer(salt="nous_chat.invitation", sep=".")
