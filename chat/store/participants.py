"""Who is in a conversation: see, add, join, change a role, hand over, remove, leave. A system message tells of each."""

from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Case, Value, When
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from msgspec import Struct

from ..conf import conf
from ..i18n import in_site_language
from ..models import Conversation, Invitation, Message, Participant, Removal
from ..permissions import policy
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import append_message, check_can_post, get_membership, lock_membership

OWNER, MEMBER, VIEWER = Participant.Role.OWNER, Participant.Role.MEMBER, Participant.Role.VIEWER


class ParticipantChange(Struct, frozen=True, kw_only=True):
    """What happened to the people of a conversation, and the system message that tells of it."""

    notice: objects.Message
    joined: list[objects.Participant] = []
    updated: list[objects.Participant] = []
    left: list[objects.Participant] = []


def list_participants(user_id: Any, conversation_id: UUID) -> list[objects.Participant]:
    """Everybody in it, in the order in which they came."""
    get_membership(user_id, conversation_id)
    rows = Participant.objects.filter(conversation=conversation_id).select_related("user")
    return [objects.Participant.of(row) for row in rows]


def list_typing_audience(user_id: Any, conversation_id: UUID, most: int) -> list[Any]:
    """In whose lists it shows that this person is typing: the others', unless they are more than `most`. Raises Refused
    for who may not write.
    """
    check_can_post(get_membership(user_id, conversation_id))
    others = Participant.objects.filter(conversation=conversation_id).exclude(user=user_id)
    found = list(others.values_list("user_id", flat=True)[: most + 1])
    return found if len(found) <= most else []


@transaction.atomic
def add_participant(user_id: Any, conversation_id: UUID, username: str, role: str) -> ParticipantChange:
    """Somebody who may invite adds a user by name, as a member or a viewer."""
    mine = lock_membership(user_id, conversation_id)
    conversation = mine.conversation
    if not policy().can_invite(mine):
        raise Refused(ErrorCode.FORBIDDEN, _("You may not add people to this conversation."))
    if role == OWNER:
        raise Refused(ErrorCode.INVALID, _("A conversation is handed over to somebody who is in it."))
    users = get_user_model()
    user = users._default_manager.filter(**{users.USERNAME_FIELD: username}).first()
    if user is None or not policy().can_add(mine, user):
        raise Refused(ErrorCode.NOT_FOUND, _("There is nobody of that name."))
    if Participant.objects.filter(conversation=conversation, user=user).exists():
        raise Refused(
            ErrorCode.CONFLICT, _("%(name)s is in this conversation already.") % {"name": objects.Person.of(user).name}
        )
    return create_participant(conversation, user, role, gettext_noop("%(by)s added %(name)s."), mine.user)


def create_participant(conversation: Conversation, user: Any, role: str, sentence: str, by: Any) -> ParticipantChange:
    """A part of somebody's transaction: a new participant of a locked conversation. Raises Refused where it is full."""
    if Participant.objects.filter(conversation=conversation).count() >= conf.MAX_PARTICIPANTS:
        raise Refused(
            ErrorCode.CONFLICT, _("A conversation may have at most %(most)s people.") % {"most": conf.MAX_PARTICIPANTS}
        )
    row = Participant.objects.create(
        conversation=conversation, user=user, role=role, last_read=conversation.last_seq + 1
    )
    return ParticipantChange(
        notice=_append_notice(conversation, sentence, by, user), joined=[objects.Participant.of(row)]
    )


@transaction.atomic
def change_role(user_id: Any, conversation_id: UUID, participant_id: int, role: str) -> ParticipantChange:
    """Make somebody a member or a viewer; or, an owner alone, the owner, and oneself a member."""
    mine = lock_membership(user_id, conversation_id)
    conversation = mine.conversation
    row = _get_participant(conversation, participant_id)
    if role == OWNER and mine.role != OWNER:
        raise Refused(ErrorCode.FORBIDDEN, _("Only the owner can hand a conversation over."))
    if not policy().can_manage(mine):
        raise Refused(ErrorCode.FORBIDDEN, _("You may not change roles in this conversation."))
    if row.role == role:
        raise Refused(
            ErrorCode.CONFLICT, _("%(name)s has this role already.") % {"name": objects.Person.of(row.user).name}
        )
    if row.role == OWNER:
        raise Refused(ErrorCode.CONFLICT, _("A conversation needs an owner: hand it over to somebody else."))
    changed = [row]
    if role == OWNER:
        mine.role = MEMBER
        mine.save(update_fields=["role"])
        changed.append(mine)
    row.role = role
    row.save(update_fields=["role"])
    sentences = {
        OWNER: gettext_noop("%(by)s handed the conversation over to %(name)s."),
        MEMBER: gettext_noop("%(by)s made %(name)s a member, who can write."),
        VIEWER: gettext_noop("%(by)s made %(name)s a viewer, who reads only."),
    }
    notice = _append_notice(conversation, sentences[Participant.Role(role)], mine.user, row.user)
    return ParticipantChange(notice=notice, updated=[objects.Participant.of(each) for each in changed])


@transaction.atomic
def remove_participant(user_id: Any, conversation_id: UUID, participant_id: int) -> ParticipantChange:
    """Take somebody out of a conversation, or leave it oneself. It never loses its owner; who was taken out comes back
    with no link, until he is added by name.
    """
    mine = lock_membership(user_id, conversation_id)
    conversation = mine.conversation
    row = _get_participant(conversation, participant_id)
    leaving = row.pk == mine.pk
    if not leaving and not policy().can_manage(mine):
        raise Refused(ErrorCode.FORBIDDEN, _("You may not remove people from this conversation."))
    if row.role == OWNER and not _has_other_owner(row):
        if leaving:
            raise Refused(ErrorCode.CONFLICT, _("Hand the conversation over first, or delete it."))
        raise Refused(ErrorCode.CONFLICT, _("The owner cannot be removed."))
    gone = objects.Participant.of(row)
    if leaving:
        Removal.objects.filter(conversation=conversation, user=row.user).delete()
    else:
        Removal.objects.update_or_create(
            conversation=conversation, user=row.user, defaults={"removed_at": timezone.now()}
        )
    Invitation.objects.filter(conversation=conversation, created_by=row.user_id).delete()
    row.delete()
    sentence = gettext_noop("%(name)s left.") if leaving else gettext_noop("%(by)s removed %(name)s.")
    return ParticipantChange(notice=_append_notice(conversation, sentence, mine.user, row.user), left=[gone])


def ensure_owner(conversation_id: UUID) -> None:
    """Where the owner is gone (his account was deleted), whoever has been in it the longest owns a conversation."""
    rows = Participant.objects.filter(conversation=conversation_id)
    if rows.filter(role=OWNER).exists():
        return
    members_first = Case(When(role=MEMBER, then=Value(0)), default=Value(1))
    heir = rows.order_by(members_first, "joined_at", "pk").first()
    if heir is not None:
        heir.role = OWNER
        heir.save(update_fields=["role"])


def _get_participant(conversation: Conversation, participant_id: int) -> Participant:
    row = Participant.objects.select_related("user").filter(conversation=conversation, pk=participant_id).first()
    if row is None:
        raise Refused(ErrorCode.NOT_FOUND, _("There is no such participant in this conversation."))
    return row


def _has_other_owner(row: Participant) -> bool:
    owners = Participant.objects.filter(conversation=row.conversation_id, role=OWNER)
    return owners.exclude(pk=row.pk).exists()


def _append_notice(conversation: Conversation, sentence: str, by: Any, user: Any) -> objects.Message:
    text = in_site_language(sentence) % {"by": objects.Person.of(by).name, "name": objects.Person.of(user).name}
    return objects.Message.of(append_message(conversation, role=Message.Role.SYSTEM, text=text))
