"""Erase for good what was deleted, guests who are gone, and files that were never sent. Called by every process now
and then.
"""

from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from ..conf import conf
from ..models import Attachment, Conversation, DocumentUpdate, Edit, Message, Passage, Run, ToolCall
from .attachments import UNSENT_LIFETIME
from .guests import erase_guests
from .unit_of_work import skip_if_locked, unit_of_work

BATCH_SIZE = 100
"""How many rows of each kind one call of `erase_expired` takes, so that no other writer waits long for it."""

# An answer may consist only of tool calls, or continue another answer.
_HAS_CONTENT = (
    Q(text__gt="")
    | Q(thinking__gt="")
    | Q(run__transcript__gt="")
    | Q(run__error_message__gt="")
    | Q(run__error_detail__gt="")
    | Q(run__calls__arguments__isnull=False)
    | Q(run__calls__result__gt="")
    | Q(run__calls__reason__gt="")
    | Q(replaces__isnull=False, replaces__deleted_at=None)
)


def erase_expired() -> int:
    """Erase what was deleted more than UNDO_SECONDS ago, conversations that have expired (COMPLETION_SECONDS), guests
    who have not written for `keep` seconds, and files that nobody sent within UNSENT_LIFETIME.

    Returns the number of erased rows. As long as it is not 0, there may be more.
    """
    until = timezone.now() - timedelta(seconds=conf.UNDO_SECONDS)
    erased = _erase_conversations(until) + erase_guests(BATCH_SIZE)
    return erased if erased >= BATCH_SIZE else erased + _erase_contents(until)


def _erase_conversations(until: datetime) -> int:
    erased = 0
    over = Q(deleted_at__lt=until) | Q(expires_at__lt=timezone.now())
    expired = Conversation.objects.filter(over).exclude(runs__status__in=Run.ACTIVE)
    for pk in expired.values_list("pk", flat=True)[:BATCH_SIZE]:
        if erased >= BATCH_SIZE:
            return erased
        with skip_if_locked("Conversation", pk), unit_of_work():
            messages = Message.objects.filter(conversation=pk).values_list("pk", flat=True)
            erased += Message.objects.filter(pk__in=list(messages[: BATCH_SIZE - erased])).delete()[0]
            if erased >= BATCH_SIZE:
                return erased
            updates = DocumentUpdate.objects.filter(document__conversation=pk).values_list("pk", flat=True)
            erased += DocumentUpdate.objects.filter(pk__in=list(updates[: BATCH_SIZE - erased])).delete()[0]
            if erased >= BATCH_SIZE:
                return erased
            erased += Conversation.objects.filter(pk=pk).delete()[0]
    return erased


@unit_of_work()
def _erase_contents(until: datetime) -> int:
    """Erase what deleted messages contain, and unsent files. The rows of messages stay: their place is shown."""
    deleted = Message.objects.filter(deleted_at__lt=until)
    unsent = Q(message=None, created_at__lt=timezone.now() - UNSENT_LIFETIME)
    files = Attachment.objects.filter(Q(message__in=deleted) | unsent).values_list("pk", flat=True)
    edits = Edit.objects.filter(message__in=deleted).values_list("pk", flat=True)
    messages = list(deleted.filter(_HAS_CONTENT).values_list("pk", flat=True).distinct()[:BATCH_SIZE])
    erased = Attachment.objects.filter(pk__in=list(files[:BATCH_SIZE])).delete()[0]
    erased += Edit.objects.filter(pk__in=list(edits[:BATCH_SIZE])).delete()[0]
    ToolCall.objects.filter(run__message__in=messages).update(arguments=None, result=None, reason="")
    Run.objects.filter(message__in=messages).update(transcript="", error_message="", error_detail="")
    Passage.objects.filter(message__in=messages).delete()
    erased += Message.objects.filter(pk__in=messages).update(text="", thinking="", parts=None)
    # The answers that these continued hold the beginning of their text: the next call erases them.
    Message.objects.filter(replaced_by__in=messages, deleted_at=None).update(deleted_at=until - timedelta(seconds=1))
    return erased
