"""Fork a conversation: copy everything up to a message into a new conversation of one user."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from msgspec import Struct

from ..models import Attachment, Conversation, Message, Participant, Run, ToolCall
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .alternatives import copy_parts
from .base import REACHABLE, check_can_create, check_can_post, get_membership, message_not_found, run_in_progress
from .copied_rows import copy_rows
from .documents import copy_documents
from .prepared import Param, Update
from .quotas import check_copied_files
from .search import copy_index, set_title
from .unit_of_work import give_way, outlast_locks, unit_of_work

MAX_MESSAGES = 2000
"""How many messages a copy has, the newest."""

MESSAGES_AT_ONCE = 250
"""How many messages one transaction of a fork copies: on SQLite, it blocks every other writer."""

LONGEST_FORK = timedelta(hours=1)


def fork_conversation(user_id: Any, conversation_id: UUID, message_id: UUID) -> objects.Conversation:
    """A new conversation that the user owns alone, with the shown messages up to this one, at most MAX_MESSAGES.

    The message itself is included even if another alternative is shown. Copied attachments share the original's file,
    and count for this user as well (STORAGE_BYTES_PER_USER), because the copy keeps the file. Raises Refused.

    Takes several transactions. Until the last one, the new conversation counts as deleted: if that is never reached,
    what was copied is erased like all that is deleted (`retention`).
    """
    shown, copy = outlast_locks(partial(_begin_copy, user_id, conversation_id, message_id))
    for _part in give_way(_copy_in_parts(shown, copy)):
        pass
    outlast_locks(partial(_complete_copy, user_id, conversation_id, shown, copy))
    state = objects.Yours(Participant.Role.OWNER, 0, copy.last_seq, False, False)
    return objects.Conversation.of(copy, run=None, responder=None, writers=1, yours=state)


@unit_of_work()
def _begin_copy(user_id: Any, conversation_id: UUID, message_id: UUID) -> tuple["_Shown", Conversation]:
    participant = _check_can_fork(user_id, conversation_id)
    source = participant.conversation
    shown = _read_shown(participant, Q(pk=message_id))
    copy = Conversation.objects.create(
        agent=source.agent,
        other_agents=source.other_agents,
        mode=source.mode,
        last_seq=len(shown.messages),
        deleted_at=timezone.now() + LONGEST_FORK,  # and not erased before, however short UNDO_SECONDS is
    )
    return shown, copy


@unit_of_work()
def _complete_copy(user_id: Any, conversation_id: UUID, shown: "_Shown", copy: Conversation) -> None:
    participant = _check_can_fork(user_id, conversation_id)
    source = participant.conversation
    _copy_files(shown, copy, participant.user)
    copy_documents(source, copy, participant.user)
    if source.title:
        set_title(copy, source.title, source.title_from)
    copy.deleted_at = None
    copy.save(update_fields=["title", "title_from", "deleted_at"])
    _make_owner(participant.user, copy)


def _check_can_fork(user_id: Any, conversation_id: UUID) -> Participant:
    participant = get_membership(user_id, conversation_id)
    check_can_post(participant)
    check_can_create(participant.user)
    return participant


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
    shown = _read_shown(participant, Q(run=run_id))
    copy = Conversation.objects.create(last_seq=len(shown.messages), **fields)
    _copy_messages(shown, 0, len(shown.messages), copy)
    _copy_files(shown, copy, participant.user)
    _make_owner(participant.user, copy)
    return copy


def _make_owner(user: Any, copy: Conversation) -> None:
    Participant.objects.create(conversation=copy, user=user, role=Participant.Role.OWNER, last_read=copy.last_seq)


_OF_MESSAGE = ("pk", "seq", "reply_to", "run", "run__status")


class _Shown(Struct):
    """The shown messages up to one, in their order, by their _OF_MESSAGE; and by their ids, those of their copies. The
    run of each tool call, and the message of each attachment.
    """

    messages: list[tuple[Any, ...]]
    ids: dict[UUID, UUID]
    calls: dict[UUID, UUID]
    files: dict[UUID, UUID]


def _read_shown(participant: Participant, last_is: Q) -> _Shown:
    source = participant.conversation
    last = Message.objects.filter(REACHABLE, last_is, conversation=source, deleted_at=None).first()
    if last is None:
        raise message_not_found()
    shown = Message.objects.filter(conversation=source, shown=True, deleted_at=None)
    earlier = shown.filter(seq__lt=last.seq).exclude(role=Message.Role.SYSTEM)
    if last.alternative_of_id is not None:
        earlier = earlier.exclude(alternative_of=last.alternative_of_id)
    newest = list(earlier.order_by("-seq").values_list(*_OF_MESSAGE)[: MAX_MESSAGES - 1])
    messages = [*reversed(newest), Message.objects.values_list(*_OF_MESSAGE).get(pk=last.pk)]
    if any(status in Run.ACTIVE for *_, status in messages):
        # Of any message, not only the last: the owner of a copy could decide on another user's tool calls.
        raise run_in_progress()
    ids = {key: uuid4() for key, *_ in messages}
    seqs = messages[0][1], last.seq
    attached = Attachment.objects.filter(conversation=source, message__seq__range=seqs).values_list("pk", "message")
    files = {file: message for file, message in attached if message in ids}
    _check_files(files, participant.user_id)
    calls = ToolCall.objects.filter(run__conversation=source, run__message__seq__range=seqs).values_list("pk", "run")
    return _Shown(messages, ids, dict(calls), files)


def _check_files(files: Mapping[UUID, UUID], user_id: Any) -> None:
    check_copied_files(user_id, Attachment.objects.filter(pk__in=list(files)))


def _copy_in_parts(shown: _Shown, into: Conversation) -> Iterator[None]:
    """Copy the messages. Yields after each transaction."""
    for start in range(0, len(shown.messages), MESSAGES_AT_ONCE):
        outlast_locks(partial(unit_of_work()(_copy_messages), shown, start, start + MESSAGES_AT_ONCE, into))
        yield


def _copy_messages(shown: _Shown, start: int, end: int, into: Conversation) -> None:
    """Copy these messages with their runs, inside the caller's transaction. Raises Refused, if some of them have been
    deleted since they were read.
    """
    rows = shown.messages[start:end]
    ids = {key: shown.ids[key] for key, *_ in rows}
    if Message.objects.filter(pk__in=list(ids), deleted_at=None).count() < len(ids):
        raise Refused(ErrorCode.CONFLICT, _("A message was deleted while you copied the conversation. Try again."))
    copy_rows(
        Message,
        {
            key: {"id": ids[key], "seq": number, "reply_to_id": shown.ids.get(reply_to)}
            for number, (key, _, reply_to, *_) in enumerate(rows, start + 1)
        },
        {"conversation_id": into.pk},
        ("role", "author_id", "text", "thinking", "parts", "selection", "created_at", "edited_at"),
    )
    copy_index(into, ids)
    runs = {run: ids[key] for key, _, _, run, _ in rows if run is not None}
    _copy_runs(runs, {call: run for call, run in shown.calls.items() if run in runs}, into)


def _copy_runs(messages: Mapping[UUID, UUID], calls: Mapping[UUID, UUID], into: Conversation) -> None:
    """Copy runs with their tool calls, but without their usage, which was spent once. `messages` are the copies of
    their answers, by the ids of the runs; `calls` the runs, by the ids of their calls.
    """
    run_ids = {run: uuid4() for run in messages}
    call_ids = {call: uuid4() for call in calls}
    copy_rows(
        Run,
        {run: {"id": run_ids[run], "message_id": message} for run, message in messages.items()},
        {"conversation_id": into.pk},
        ("status", "seq", "agent", "agent_version", "model", "launched_by_id", "stopped_by_id", "host", "finish_reason",
         "error_code", "error_message", "error_detail", "retry_after", "transcript", "created_at", "started_at",
         "finished_at"),
    )  # fmt: skip
    copy_rows(
        ToolCall,
        {call: {"id": call_ids[call], "run_id": run_ids[run]} for call, run in calls.items()},
        {},
        ("call_id", "name", "arguments", "status", "result", "decided_by_id", "decided_at", "reason", "changed",
         "expires_at", "created_at"),
    )  # fmt: skip
    answers = Message.objects.filter(pk__in={messages[run] for run in calls.values()}, parts__isnull=False)
    if changed := [{"key": row.pk, "parts": copy_parts(row, call_ids)} for row in answers.only("parts")]:
        _SET_PARTS.execute_many(changed)


_SET_PARTS = Update(lambda: Message.objects.filter(pk=Param("key", Message, "id")), ("parts",))


def _copy_files(shown: _Shown, into: Conversation, user: Any) -> None:
    """Copy the attachments of messages that are copied. Raises Refused, if others took the place meanwhile."""
    _check_files(shown.files, user.pk)
    copy_rows(
        Attachment,
        {file: {"id": uuid4(), "message_id": shown.ids[message]} for file, message in shown.files.items()},
        {"conversation_id": into.pk, "uploaded_by_id": user.pk},
        ("file", "name", "type", "size", "text", "created_at"),
    )
