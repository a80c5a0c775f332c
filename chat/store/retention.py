"""Erases deleted rows for good."""

from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from ..conf import conf
from ..models import Attachment, Conversation, Edit, Message, Passage, Run, ToolCall
from .attachments import UNSENT_LIFETIME

BATCH_SIZE = 100
"""How many rows of a kind one call of `clean` takes, so that nobody waits for it for long."""


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
"""An answer may be nothing but its calls, or the rest of another one."""


def erase_expired() -> int:
    """Erase for good what was deleted more than UNDO_SECONDS ago, and files that nobody has sent within a day. Returns
    how many rows that were: while it is not 0, there may be more.
    """
    until = timezone.now() - timedelta(seconds=conf.UNDO_SECONDS)
    done = 0
    gone = Conversation.objects.filter(deleted_at__lt=until).exclude(runs__status__in=Run.ACTIVE)
    for pk in gone.values_list("pk", flat=True)[:BATCH_SIZE]:
        if done >= BATCH_SIZE:
            return done
        with transaction.atomic():
            messages = Message.objects.filter(conversation=pk).values_list("pk", flat=True)
            done += Message.objects.filter(pk__in=list(messages[: BATCH_SIZE - done])).delete()[0]
            if done >= BATCH_SIZE:
                return done
            done += Conversation.objects.filter(pk=pk).delete()[0]
    with transaction.atomic():
        said = Message.objects.filter(deleted_at__lt=until)
        texts = said.filter(_HAS_CONTENT).values_list("pk", flat=True).distinct()
        left = Q(message__in=said) | Q(message=None, created_at__lt=timezone.now() - UNSENT_LIFETIME)
        files = Attachment.objects.filter(left).values_list("pk", flat=True)
        edits = Edit.objects.filter(message__in=said).values_list("pk", flat=True)
        done += Attachment.objects.filter(pk__in=list(files[:BATCH_SIZE])).delete()[0]
        done += Edit.objects.filter(pk__in=list(edits[:BATCH_SIZE])).delete()[0]
        erased = list(texts[:BATCH_SIZE])
        ToolCall.objects.filter(run__message__in=erased).update(arguments=None, result=None, reason="")
        Run.objects.filter(message__in=erased).update(transcript="", error_message="", error_detail="")
        Passage.objects.filter(message__in=erased).delete()
        done += Message.objects.filter(pk__in=erased).update(text="", thinking="")
        # What went on in these answers is their beginning: the next call takes it.
        Message.objects.filter(replaced_by__in=erased, deleted_at=None).update(deleted_at=until - timedelta(seconds=1))
    return done
