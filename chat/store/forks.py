"""A conversation goes on in another one: everything up to a message is copied, for the person who wants it."""

from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from ..models import Attachment, Conversation, Message, Participant, Run, ToolCall
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import check_can_post, get_membership, shown_messages
from .search import index_messages, set_title

MAX_MESSAGES = 2000
"""How many messages are copied, the newest: the database takes no other writes meanwhile where it is SQLite."""

BATCH_SIZE = 500

FILES_AT_ONCE = 10
"""How many files' rows are held at a time: each may hold TEXT_BYTES of text, and a conversation thousands of them."""


@transaction.atomic
def fork_conversation(user_id: Any, conversation_id: UUID, message_id: UUID) -> objects.Conversation:
    """A new conversation that this person owns alone, with what is shown up to the message, that one included, even
    where another alternative is shown; at most MOST messages. Files are not copied, their rows are; what runs took is
    not counted again.
    """
    participant = get_membership(user_id, conversation_id)
    check_can_post(participant)
    source = participant.conversation
    seen = Q(shown=True) | Q(alternative_of__isnull=False)  # what went on in another answer goes when that is deleted
    last = Message.objects.filter(seen, conversation=source, pk=message_id, deleted_at=None).first()
    if last is None:
        raise Refused(ErrorCode.NOT_FOUND, _("There is no such message in this conversation."))
    said = (
        shown_messages(conversation_id)
        .filter(deleted_at=None)
        .exclude(role=Message.Role.SYSTEM)
        .filter(seq__lt=last.seq)
    )
    if last.alternative_of_id is not None:
        said = said.exclude(alternative_of=last.alternative_of_id)
    newest = list(said.prefetch_related(None).order_by("-seq")[: MAX_MESSAGES - 1])
    rows = [*reversed(newest), Message.objects.select_related("run").get(pk=last.pk)]
    if any(row.run.status in Run.ACTIVE for row in rows if hasattr(row, "run")):
        # Not before the last one either: who owns the copy could decide on another person's calls.
        raise Refused(ErrorCode.CONFLICT, _("An answer is being made. Wait for it, or stop it first."))
    copy = Conversation.objects.create(
        agent=source.agent, other_agents=source.other_agents, mode=source.mode, last_seq=len(rows)
    )
    if source.title:
        set_title(copy, source.title, source.title_from)
        copy.save(update_fields=["title", "title_from"])
    _copy_messages(rows, copy)
    Participant.objects.create(
        conversation=copy, user=participant.user, role=Participant.Role.OWNER, last_read=len(rows)
    )
    mine = objects.Yours(Participant.Role.OWNER, 0, len(rows), False, False)
    return objects.Conversation.of(copy, run=None, writers=1, yours=mine)


def _copy_messages(rows: list[Message], into: Conversation) -> None:
    ids = {row.pk: uuid4() for row in rows}
    runs = {row.run.pk: uuid4() for row in rows if hasattr(row, "run")}
    copies = [
        Message(
            pk=ids[row.pk],
            conversation=into,
            seq=seq,
            role=row.role,
            author_id=row.author_id,
            text=row.text,
            thinking=row.thinking,
            reply_to_id=ids.get(row.reply_to_id) if row.reply_to_id else None,
            created_at=row.created_at,
            edited_at=row.edited_at,
        )
        for seq, row in enumerate(rows, 1)
    ]
    Message.objects.bulk_create(copies, batch_size=BATCH_SIZE)
    index_messages(copies)
    Run.objects.bulk_create(
        (_copy_run(row.run, runs[row.run.pk], ids[row.pk], into) for row in rows if hasattr(row, "run")),
        batch_size=BATCH_SIZE,
    )
    calls = []
    for call in ToolCall.objects.filter(run__message__conversation=rows[0].conversation_id, run__in=list(runs)):
        call.pk, call.run_id = uuid4(), runs[call.run_id]
        calls.append(call)
    ToolCall.objects.bulk_create(calls, batch_size=BATCH_SIZE)
    named = list(Attachment.objects.filter(message__in=list(ids)).values_list("pk", flat=True))
    for start in range(0, len(named), FILES_AT_ONCE):
        files = list(Attachment.objects.filter(pk__in=named[start : start + FILES_AT_ONCE]))
        for file in files:
            assert file.message_id is not None
            file.pk, file.conversation, file.message_id = uuid4(), into, ids[file.message_id]
        Attachment.objects.bulk_create(files)
        for file in files:
            file.text = ""  # a row and its file hold each other, until Python looks for such pairs


def _copy_run(run: Run, key: UUID, message: UUID, into: Conversation) -> Run:
    """Without its counts of tokens: they were spent once."""
    kept = ("status", "seq", "agent", "model", "launched_by_id", "stopped_by_id", "host", "finish_reason", "error_code",
            "error_message", "error_detail", "retry_after", "transcript", "created_at", "started_at",
            "finished_at")  # fmt: skip
    return Run(pk=key, conversation=into, message_id=message, **{name: getattr(run, name) for name in kept})
