"""Fork a conversation: copy everything up to a message into a new conversation of one user."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from django.db.models import Q, QuerySet

from ..models import Attachment, Conversation, Message, Participant, Run, ToolCall
from ..protocol import objects
from .alternatives import copy_parts
from .base import REACHABLE, check_can_create, check_can_post, get_membership, message_not_found, run_in_progress
from .documents import copy_documents
from .quotas import check_copied_files
from .search import copy_index, set_title
from .unit_of_work import unit_of_work

MAX_MESSAGES = 2000
"""How many messages a fork copies, the newest: on SQLite, the copying blocks every other writer."""

BATCH_SIZE = 500

FILES_AT_ONCE = 10
"""How many files' rows are in memory at a time: each can hold TEXT_BYTES, and a conversation thousands of them."""


@unit_of_work()
def fork_conversation(user_id: Any, conversation_id: UUID, message_id: UUID) -> objects.Conversation:
    """A new conversation that the user owns alone, with the shown messages up to this one, at most MAX_MESSAGES.

    The message itself is included even if another alternative is shown. Copied attachments share the original's file,
    and count for this user as well (STORAGE_BYTES_PER_USER), because the copy keeps the file. Raises Refused.
    """
    participant = get_membership(user_id, conversation_id)
    check_can_post(participant)
    check_can_create(participant.user)
    source = participant.conversation
    copy = _copy_shown(
        participant,
        Q(pk=message_id),
        {"agent": source.agent, "other_agents": source.other_agents, "mode": source.mode},
    )
    copy_documents(source, copy, participant.user)
    if source.title:
        set_title(copy, source.title, source.title_from)
        copy.save(update_fields=["title", "title_from"])
    state = objects.Yours(Participant.Role.OWNER, 0, copy.last_seq, False, False)
    return objects.Conversation.of(copy, run=None, responder=None, writers=1, yours=state)


def copy_answer(user_id: Any, run_id: UUID, fields: Mapping[str, Any]) -> Conversation:
    """A new conversation with these fields that the user owns alone, with the shown messages up to the answer of a run,
    at most MAX_MESSAGES. The caller has checked that they may create one. Raises Refused.
    """
    found = Run.objects.filter(pk=run_id, conversation__participants__user=user_id)
    conversation_id = found.values_list("conversation", flat=True).first()
    if conversation_id is None:
        raise message_not_found()
    participant = get_membership(user_id, conversation_id)
    check_can_post(participant)
    return _copy_shown(participant, Q(run=run_id), fields)


def _copy_shown(participant: Participant, last_is: Q, fields: Mapping[str, Any]) -> Conversation:
    """The shown messages up to one, in a new conversation of the participant's user."""
    source = participant.conversation
    last = Message.objects.filter(REACHABLE, last_is, conversation=source, deleted_at=None).first()
    if last is None:
        raise message_not_found()
    shown = Message.objects.filter(conversation=source, shown=True, deleted_at=None)
    earlier = shown.filter(seq__lt=last.seq).exclude(role=Message.Role.SYSTEM)
    if last.alternative_of_id is not None:
        earlier = earlier.exclude(alternative_of=last.alternative_of_id)
    newest = list(earlier.select_related("run").order_by("-seq")[: MAX_MESSAGES - 1])
    rows = [*reversed(newest), Message.objects.select_related("run").get(pk=last.pk)]
    if any(row.run.status in Run.ACTIVE for row in rows if hasattr(row, "run")):
        # Of any message, not only the last: the owner of a copy could decide on another user's tool calls.
        raise run_in_progress()
    files = Attachment.objects.filter(message__in=[row.pk for row in rows])
    check_copied_files(participant.user_id, files)
    copy = Conversation.objects.create(last_seq=len(rows), **fields)
    ids = _copy_messages(rows, copy)
    _copy_attachments(files, ids, copy, participant.user)
    Participant.objects.create(
        conversation=copy, user=participant.user, role=Participant.Role.OWNER, last_read=len(rows)
    )
    return copy


def _copy_messages(rows: list[Message], into: Conversation) -> dict[UUID, UUID]:
    """Returns the ids of the copies by those of the originals."""
    ids = {row.pk: uuid4() for row in rows}
    run_ids = {row.run.pk: uuid4() for row in rows if hasattr(row, "run")}
    in_source = ToolCall.objects.filter(run__message__conversation=rows[0].conversation_id)
    calls = list(in_source.filter(run__in=list(run_ids)))
    call_ids = {call.pk: uuid4() for call in calls}
    copies = [
        Message(
            pk=ids[row.pk],
            conversation=into,
            seq=seq,
            role=row.role,
            author_id=row.author_id,
            text=row.text,
            thinking=row.thinking,
            parts=copy_parts(row, call_ids),
            reply_to_id=ids.get(row.reply_to_id) if row.reply_to_id else None,
            selection=row.selection,
            created_at=row.created_at,
            edited_at=row.edited_at,
        )
        for seq, row in enumerate(rows, 1)
    ]
    Message.objects.bulk_create(copies, batch_size=BATCH_SIZE)
    copy_index(into, ids, BATCH_SIZE)
    runs = (_copy_run(row.run, run_ids[row.run.pk], ids[row.pk], into) for row in rows if hasattr(row, "run"))
    Run.objects.bulk_create(runs, batch_size=BATCH_SIZE)
    for call in calls:
        call.pk, call.run_id = call_ids[call.pk], run_ids[call.run_id]
    ToolCall.objects.bulk_create(calls, batch_size=BATCH_SIZE)
    return ids


def _copy_run(run: Run, key: UUID, message: UUID, into: Conversation) -> Run:
    """A copy of a run, without its usage, which was spent once."""
    kept = ("status", "seq", "agent", "agent_version", "model", "launched_by_id", "stopped_by_id", "host",
            "finish_reason", "error_code", "error_message", "error_detail", "retry_after", "transcript", "created_at",
            "started_at", "finished_at")  # fmt: skip
    return Run(pk=key, conversation=into, message_id=message, **{name: getattr(run, name) for name in kept})


def _copy_attachments(
    originals: QuerySet[Attachment], message_ids: dict[UUID, UUID], into: Conversation, user: Any
) -> None:
    keys = list(originals.values_list("pk", flat=True))
    for start in range(0, len(keys), FILES_AT_ONCE):
        files = list(Attachment.objects.filter(pk__in=keys[start : start + FILES_AT_ONCE]))
        for file in files:
            assert file.message_id is not None
            file.pk, file.conversation, file.message_id = uuid4(), into, message_ids[file.message_id]
            file.uploaded_by = user
        Attachment.objects.bulk_create(files)
        for file in files:
            file.text = ""  # a row and its file refer to each other: without this, the texts stay until a gc pass
