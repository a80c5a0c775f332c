"""Join a conversation with an invitation link (`invitations`). A crowd with one link joins in one transaction."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_noop, override
from msgspec import Struct

from ..models import Conversation, Invitation, Participant, Removal
from ..protocol.errors import Refused
from .base import lock_if_exists
from .invitations import find_invitation, invalid_link, read_token, removed_before
from .participants import ParticipantChange, conversation_full, count_free_places, create_participants
from .unit_of_work import unit_of_work


class Join(Struct, frozen=True):
    """A user with a link. `language` is that of a refusal."""

    user: Any
    token: str
    language: str


class Joined(Struct, frozen=True):
    """`change` is None if the user was in the conversation already, which does not use up the link."""

    conversation: UUID
    change: ParticipantChange | None


@unit_of_work()
def join_together(joins: Sequence[Join]) -> list[Joined | Refused]:
    """Let users in who have the same link, 50 at most. Returns what became of each. Raises Refused, in the first one's
    language, if the link leads nowhere.
    """
    with override(joins[0].language):
        identity = read_token(joins[0].token)
        # Nothing else is read before the lock: what a crowd does while it waits, it does again after each attempt.
        invited = Invitation.objects.filter(pk=identity).values_list("conversation", flat=True).first()
        conversation = None if invited is None else lock_if_exists(invited)
        if conversation is None:
            raise invalid_link()
    door = _Door(conversation, identity, [join.user.pk for join in joins])
    refusals = [_ask(door, join) for join in joins]
    changes = door.let_in()
    return [
        Joined(conversation.id, changes.pop(join.user.pk, None)) if refusal is None else refusal
        for join, refusal in zip(joins, refusals, strict=True)
    ]


def _ask(door: "_Door", join: Join) -> Refused | None:
    with override(join.language):
        try:
            door.admit(join.user)
        except Refused as refused:
            return refused
    return None


class _Door:
    """Decides who comes in, by what is true under the conversation's lock."""

    def __init__(self, conversation: Conversation, identity: UUID, user_ids: Sequence[Any]) -> None:
        self._conversation = conversation
        self._link = find_invitation(identity)
        self._inside = _users(Participant, conversation, user_ids)
        self._removed = _users(Removal, conversation, user_ids)
        self._places = count_free_places(conversation)
        self._newcomers: list[Any] = []

    def admit(self, user: Any) -> None:
        """Note a newcomer. Who is inside already may use a link that has expired. Raises Refused."""
        link, coming = self._link, len(self._newcomers)
        if link is None:
            raise invalid_link()
        if user.pk in self._inside:
            return
        if link.expires_at <= timezone.now() or (link.max_uses is not None and link.uses + coming >= link.max_uses):
            raise invalid_link()
        if user.pk in self._removed:
            raise removed_before()
        if coming >= self._places:
            raise conversation_full()
        self._inside.add(user.pk)
        self._newcomers.append(user)

    def let_in(self) -> dict[Any, ParticipantChange]:
        """Write down all newcomers. Returns what changed with each, by the user's primary key."""
        link, users = self._link, self._newcomers
        if link is None or not users:
            return {}
        Invitation.objects.filter(pk=link.pk).update(uses=F("uses") + len(users))
        notice = gettext_noop("%(name)s joined, invited by %(by)s.")
        changes = create_participants(self._conversation, users, link.role, notice, link.created_by)
        return {user.pk: change for user, change in zip(users, changes, strict=True)}


def _users(model: type[Participant] | type[Removal], conversation: Conversation, user_ids: Sequence[Any]) -> set[Any]:
    rows = model._default_manager.filter(conversation=conversation, user__in=user_ids)
    return set(rows.values_list("user", flat=True))
