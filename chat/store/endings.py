"""How a run begins and ends as a row: the one place that queues it, and the one UPDATE that decides its end. Each
function is a part of somebody's transaction.
"""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from msgspec import Struct

from .. import engine, history, objects
from ..commands import Refused
from ..models import Conversation, Message, Run, ToolCall
from .asking import next_waiting
from .rows import messages, storable
from .search import index


class Written(Struct, frozen=True):
    """What a run has published: `text` and `thinking` include its frames up to `seq`."""

    seq: int = 0
    text: str = ""
    thinking: str = ""


class Ending(Struct, frozen=True, kw_only=True):
    """How a run ended, and with what."""

    status: str
    written: Written = Written()
    usage: engine.Usage | None = None
    finish_reason: str | None = None
    error: objects.Failure | None = None
    transcript: list[engine.Message] = []
    awaits_approval: bool = False
    """It is no end yet: calls of the transcript's last turn wait for people."""
    hand_over: bool = False
    """Whether the run that follows is for whichever process takes it up, instead of the one that made this."""


class Finished(Struct, frozen=True):
    """A run that is over, its answer, and the run that was queued to follow it."""

    run: objects.Run
    message: objects.Message | None
    next: UUID | None = None


def runs() -> QuerySet[Run]:
    return Run.objects.select_related("launched_by", "stopped_by")


def active_runs(conversation_id: UUID) -> QuerySet[Run]:
    return runs().filter(conversation=conversation_id, status__in=Run.ACTIVE)


BUSY = 5.0
"""Seconds after which somebody whom a full queue refused may try again."""


def queue(
    conversation: Conversation,
    agent: str,
    user_id: Any,
    host: str | None,
    replaces: Message | None = None,
    continues: bool = False,
) -> Run:
    """`host` is as for `room`."""
    return Run.objects.create(
        conversation=conversation,
        agent=agent,
        launched_by_id=user_id,
        host=room(host),
        replaces=replaces,
        continues=continues,
    )


def room(host: str | None) -> str:
    """The process that is to make a run; empty for whichever takes it up. None stands for one that was asked and has no
    room: then nothing of the transaction is to stay. Raises Refused("busy").
    """
    if host is None:
        raise Refused("busy", "Too many answers are being made at the moment. Try again soon.", retry_after=BUSY)
    return host


def queue_next(conversation: Conversation, host: str | None) -> UUID | None:
    """Queue the answer to what was asked while a run was active; several messages to one agent get one answer. However
    a run ends, it is asked.
    """
    if not conversation.waiting:
        return None
    following = next_waiting(conversation)
    conversation.save(update_fields=["waiting"])
    return None if following is None else queue(conversation, *following, host).id


def stop(run: Run, user_id: Any) -> bool:
    """Ask for a run's end, and end it where no process is at work on it: true then."""
    Run.objects.filter(pk=run.pk, stop_requested_at=None).update(stop_requested_at=timezone.now(), stopped_by=user_id)
    stopped = Ending(status=Run.Status.STOPPED, written=Written(run.seq))
    if not end(run.pk, stopped, status__in=(Run.Status.QUEUED, Run.Status.AWAITING_APPROVAL)):
        return False
    index(Message.objects.filter(run=run.pk))
    return True


def end(run_id: UUID, ending: Ending, **where: Any) -> bool:
    """The UPDATE that decides a run's end, on condition of what it was; true for exactly one caller."""
    error = ending.error
    fields: dict[str, Any] = {
        "status": ending.status,
        "finished_at": timezone.now(),
        "place": None,
        "seq": ending.written.seq,
        "finish_reason": ending.finish_reason and storable(ending.finish_reason)[:100],
        **spent(ending.usage),
    }
    if error is not None:
        fields |= {
            "error_code": error.code[:50],
            "error_message": storable(error.message),
            "retry_after": error.retry_after,
        }
    if ending.status != Run.Status.STOPPED:
        fields["stopped_by"] = None
    if ending.transcript and history.is_whole(ending.transcript):
        fields["transcript"] = history.stored(ending.transcript)
    if not Run.objects.filter(pk=run_id, **where).update(**fields):
        return False
    unfinished = (ToolCall.Status.RUNNING, ToolCall.Status.AWAITING_APPROVAL)
    ToolCall.objects.filter(run=run_id, status__in=unfinished).update(status=ToolCall.Status.STOPPED)
    return True


def spent(usage: engine.Usage | None) -> dict[str, int | None]:
    """Token counts as columns of a run."""
    return {} if usage is None else {name: getattr(usage, name) for name in objects.Usage.__struct_fields__}


def finished(run_id: UUID, following: UUID | None = None) -> Finished:
    row = runs().get(pk=run_id)
    return Finished(objects.Run.of(row), answer(row), following)


def answer(run: Run) -> objects.Message | None:
    row = messages(run.conversation_id).filter(pk=run.message_id).first() if run.message_id else None
    return objects.Message.of(row) if row else None
