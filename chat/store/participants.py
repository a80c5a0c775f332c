"""Participants: list, add, change a role, transfer ownership, remove, leave. A system message records each change."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Case, Value, When
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from msgspec import Struct

from ..conf import conf
from ..i18n import in_site_language
from ..models import Conversation, Invitation, Message, Participant, Removal
from ..permissions import is_guest, policy
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import append_message, check_can_post, get_membership, lock_membership, next_message, touch
from .prepared import insert
from .text import sanitize_text
from .unit_of_work import unit_of_work

OWNER, MEMBER, VIEWER = Participant.Role.OWNER, Participant.Role.MEMBER, Participant.Role.VIEWER


class ParticipantChange(Struct, frozen=True, kw_only=True):
    """Who joined, changed role or left, and the system message that says so."""

    notice: objects.Message
    joined: list[objects.Participant] = []
    updated: list[objects.Participant] = []
    left: list[objects.Participant] = []


def list_participants(user_id: Any, conversation_id: UUID) -> list[objects.Participant]:
    """All participants, in the order in which they joined."""
    get_membership(user_id, conversation_id)
    rows = Participant.objects.filter(conversation=conversation_id).select_related("user")
    return [objects.Participant.of(row) for row in rows]


def list_typing_audience(user_id: Any, conversation_id: UUID, most: int) -> list[Any]:
    """The ids of the other participants, whose lists show that this user is typing; none if they are more than `most`.
    Raises Refused if the user may not post.
    """
    check_can_post(get_membership(user_id, conversation_id))
    others = Participant.objects.filter(conversation=conversation_id, conversation__listed=True).exclude(user=user_id)
    found = list(others.values_list("user_id", flat=True)[: most + 1])
    return found if len(found) <= most else []


@unit_of_work()
def add_participant(user_id: Any, conversation_id: UUID, username: str, role: str) -> ParticipantChange:
    """Add a user by name, as a member or a viewer."""
    mine = lock_membership(user_id, conversation_id)
    conversation = mine.conversation
    if not policy().can_invite(mine):
        raise Refused(ErrorCode.FORBIDDEN, _("You can't add people to this conversation."))
    if role == OWNER:
        raise Refused(ErrorCode.INVALID, _("Only a participant can become the owner. Add the user first."))
    users = get_user_model()
    user = users._default_manager.filter(**{users.USERNAME_FIELD: sanitize_text(username)}).first()
    if user is None or not policy().can_add(mine, user):
        raise Refused(ErrorCode.NOT_FOUND, _("No user with that name."))
    if Participant.objects.filter(conversation=conversation, user=user).exists():
        raise Refused(
            ErrorCode.CONFLICT, _("%(name)s is already in this conversation.") % {"name": objects.Person.of(user).name}
        )
    if not count_free_places(conversation):
        raise conversation_full()
    (change,) = create_participants(conversation, [user], role, gettext_noop("%(by)s added %(name)s."), mine.user)
    return change


def count_free_places(conversation: Conversation) -> int:
    """How many more people a locked conversation can have."""
    return max(0, conf.MAX_PARTICIPANTS - Participant.objects.filter(conversation=conversation).count())


def conversation_full() -> Refused:
    """The refusal of who has no place in the conversation."""
    return Refused(
        ErrorCode.CONFLICT, _("A conversation can have up to %(most)s people.") % {"most": conf.MAX_PARTICIPANTS}
    )


def create_participants(
    conversation: Conversation, users: Sequence[Any], role: str, notice: str, by: Any
) -> list[ParticipantChange]:
    """Create participants of a locked conversation that has places for them, inside the caller's transaction."""
    notices = [
        next_message(conversation, role=Message.Role.SYSTEM, text=_notice_text(notice, by, user)) for user in users
    ]
    rows = [
        # A newcomer has read up to the notice, and has nothing unread.
        Participant(conversation=conversation, user=user, role=role, last_read=row.seq)
        for user, row in zip(users, notices, strict=True)
    ]
    for row in rows:
        row.save(force_insert=True)
    touch(conversation)
    insert(notices)
    return [
        ParticipantChange(
            notice=objects.Message.of(message, objects.Belongings()), joined=[objects.Participant.of(row)]
        )
        for row, message in zip(rows, notices, strict=True)
    ]


@unit_of_work()
def change_role(user_id: Any, conversation_id: UUID, participant_id: int, role: str) -> ParticipantChange:
    """Make a participant a member or a viewer. With role `owner`, an owner transfers ownership and becomes a member."""
    mine = lock_membership(user_id, conversation_id)
    conversation = mine.conversation
    row = _get_participant(conversation, participant_id)
    if role == OWNER and mine.role != OWNER:
        raise Refused(ErrorCode.FORBIDDEN, _("Only the owner can transfer ownership."))
    if not policy().can_manage(mine):
        raise Refused(ErrorCode.FORBIDDEN, _("You can't change roles in this conversation."))
    if row.role == role:
        raise Refused(
            ErrorCode.CONFLICT, _("%(name)s already has this role.") % {"name": objects.Person.of(row.user).name}
        )
    if row.role == OWNER:
        raise Refused(ErrorCode.CONFLICT, _("A conversation needs an owner. Transfer ownership first."))
    changed = [row]
    if role == OWNER:
        mine.role = MEMBER
        mine.save(update_fields=["role"])
        changed.append(mine)
    row.role = role
    row.save(update_fields=["role"])
    notices = {
        OWNER: gettext_noop("%(by)s transferred ownership to %(name)s."),
        MEMBER: gettext_noop("%(by)s made %(name)s a member."),
        VIEWER: gettext_noop("%(by)s made %(name)s a viewer."),
    }
    notice = _append_notice(conversation, notices[Participant.Role(role)], mine.user, row.user)
    return ParticipantChange(notice=notice, updated=[objects.Participant.of(each) for each in changed])


@unit_of_work()
def remove_participant(user_id: Any, conversation_id: UUID, participant_id: int) -> ParticipantChange:
    """Remove a participant, or leave. The last owner can do neither.

    A removed user cannot return by a link until they are added by name (`Removal`).
    """
    mine = lock_membership(user_id, conversation_id)
    conversation = mine.conversation
    row = _get_participant(conversation, participant_id)
    leaving = row.pk == mine.pk
    if not leaving and not policy().can_manage(mine):
        raise Refused(ErrorCode.FORBIDDEN, _("You can't remove people from this conversation."))
    if leaving and is_guest(row.user):
        raise Refused(ErrorCode.FORBIDDEN, _("Guests can't leave their conversation. It is deleted by itself."))
    if row.role == OWNER and not _has_other_owner(row):
        if leaving:
            raise Refused(ErrorCode.CONFLICT, _("Transfer ownership first, or delete the conversation."))
        raise Refused(ErrorCode.CONFLICT, _("The owner can't be removed."))
    gone = objects.Participant.of(row)
    if leaving:
        Removal.objects.filter(conversation=conversation, user=row.user).delete()
    else:
        Removal.objects.update_or_create(
            conversation=conversation, user=row.user, defaults={"removed_at": timezone.now()}
        )
    Invitation.objects.filter(conversation=conversation, created_by=row.user_id).delete()
    row.delete()
    notice = gettext_noop("%(name)s left.") if leaving else gettext_noop("%(by)s removed %(name)s.")
    return ParticipantChange(notice=_append_notice(conversation, notice, mine.user, row.user), left=[gone])


def ensure_owner(conversation_id: UUID) -> None:
    """If the owner is gone because their account was deleted, make the longest-standing participant the owner, but no
    guest. Rooms of objects have none: the site's rule decides what the owner of a conversation would.
    """
    rows = Participant.objects.filter(conversation=conversation_id, conversation__content_type=None)
    if rows.filter(role=OWNER).exists():
        return
    members_first = Case(When(role=MEMBER, then=Value(0)), default=Value(1))
    in_line = rows.select_related("user").order_by(members_first, "joined_at", "pk")
    heir = next((row for row in in_line if not is_guest(row.user)), None)
    if heir is not None:
        heir.role = OWNER
        heir.save(update_fields=["role"])


def _get_participant(conversation: Conversation, participant_id: int) -> Participant:
    row = Participant.objects.select_related("user").filter(conversation=conversation, pk=participant_id).first()
    if row is None:
        raise Refused(ErrorCode.NOT_FOUND, _("This participant is not in the conversation."))
    return row


def _has_other_owner(row: Participant) -> bool:
    owners = Participant.objects.filter(conversation=row.conversation_id, role=OWNER)
    return owners.exclude(pk=row.pk).exists()


def _append_notice(conversation: Conversation, sentence: str, by: Any, user: Any) -> objects.Message:
    text = _notice_text(sentence, by, user)
    return objects.Message.of(append_message(conversation, role=Message.Role.SYSTEM, text=text), objects.Belongings())


def _notice_text(sentence: str, by: Any, user: Any) -> str:
    return in_site_language(sentence) % {"by": objects.Person.of(by).name, "name": objects.Person.of(user).name}
