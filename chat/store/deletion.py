"""Delete a conversation for everyone, and restore it. `retention` erases it later."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _
from msgspec import Struct

from ..conf import conf
from ..models import Conversation, Participant
from ..permissions import can_see, policy
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import conversation_not_found, lock_if_exists, lock_membership
from .conversations import find_conversation
from .run_lifecycle import active_runs, stop_run
from .unit_of_work import unit_of_work


class DeletedConversation(Struct, frozen=True):
    """The ids of its participants, and the run whose process still has to stop it."""

    audience: list[Any]
    stop: UUID | None


@unit_of_work()
def delete_conversation(user_id: Any, conversation_id: UUID) -> DeletedConversation:
    """Hide it from everyone, and stop its run. It can be restored within UNDO_SECONDS."""
    participant = lock_membership(user_id, conversation_id)
    conversation = participant.conversation
    if not policy().can_manage(participant):
        raise Refused(ErrorCode.FORBIDDEN, _("Only a conversation owner can delete it."))
    return hide_conversation(conversation, participant.user_id)


def hide_conversation(conversation: Conversation, user_id: Any) -> DeletedConversation:
    """Delete a locked conversation, inside the caller's transaction. `user_id` is None if the site does it."""
    active = active_runs(conversation.pk).first()
    to_stop = None if active is None or stop_run(active, user_id) else active.id
    conversation.deleted_at, conversation.waiting = timezone.now(), []
    conversation.save(update_fields=["deleted_at", "waiting"])
    audience = Participant.objects.filter(conversation=conversation).values_list("user_id", flat=True)
    return DeletedConversation(list(audience), to_stop)


@unit_of_work()
def restore_conversation(user_id: Any, conversation_id: UUID) -> objects.Conversation:
    """Undo a deletion, as an owner. Changes nothing if the conversation is not deleted."""
    lock_if_exists(conversation_id)  # or it could be deleted again between the update and the answer
    rows = Participant.objects.select_related("user", "conversation")
    participant = rows.filter(user=user_id, conversation=conversation_id).first()
    if participant is None or not can_see(participant):
        raise conversation_not_found()
    deleted_at = participant.conversation.deleted_at
    if deleted_at is not None:
        if not policy().can_manage(participant) or deleted_at < timezone.now() - timedelta(seconds=conf.UNDO_SECONDS):
            raise conversation_not_found()
        Conversation.objects.filter(pk=conversation_id).update(deleted_at=None)
    restored = find_conversation(user_id, conversation_id)
    assert restored is not None
    return restored
