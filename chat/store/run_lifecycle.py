"""How a run begins and ends as a row: the one place that queues it, and the one UPDATE that decides its end. Each
function is a part of somebody's transaction.
"""

from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _
from msgspec import Struct

from .. import engine
from ..models import Conversation, Message, Run, ToolCall
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from . import pricing, prompts
from .base import messages, storable
from .budgets import record
from .responders import next_waiting
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
    took: engine.Usage | None = None
    """What it took since it began or went on, None if nothing: as the provider counted, or `estimated`."""
    estimated: bool = False
    model: str = ""
    """Who answered, as provider:model, where that is known."""
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
    room: then nothing of the transaction is to stay. Raises Refused(BUSY).
    """
    if host is None:
        raise Refused(
            ErrorCode.BUSY, _("Too many answers are being made at the moment. Try again soon."), retry_after=BUSY
        )
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
    if not end(run, stopped, status__in=(Run.Status.QUEUED, Run.Status.AWAITING_APPROVAL)):
        return False
    index(Message.objects.filter(run=run.pk))
    return True


def end(run: Run, ending: Ending, **where: Any) -> bool:
    """The UPDATE that decides a run's end, on condition of what it was; true for exactly one caller."""
    error, cost = ending.error, cost_of(run, ending)
    fields: dict[str, Any] = {
        "status": ending.status,
        "finished_at": timezone.now(),
        "place": None,
        "seq": ending.written.seq,
        "finish_reason": ending.finish_reason and storable(ending.finish_reason)[:100],
        **spent(ending, cost),
    }
    if error is not None:
        fields |= {
            "error_code": error.code[:50],
            "error_message": storable(error.message),
            "retry_after": error.retry_after,
        }
    if ending.status != Run.Status.STOPPED:
        fields["stopped_by"] = None
    if ending.transcript and prompts.is_whole(ending.transcript):
        fields["transcript"] = prompts.stored(ending.transcript)
    if not Run.objects.filter(pk=run.pk, **where).update(**fields):
        return False
    if ending.took is not None:
        record(run, ending.took, cost, ended=True)
    unfinished = (ToolCall.Status.RUNNING, ToolCall.Status.AWAITING_APPROVAL)
    ToolCall.objects.filter(run=run.pk, status__in=unfinished).update(status=ToolCall.Status.STOPPED)
    return True


def cost_of(run: Run, ending: Ending) -> Decimal | None:
    """What this part of a run cost, None where the site knows no price."""
    price = pricing.price_of(ending.model, run.model)
    return None if price is None or ending.took is None else pricing.cost_of(ending.took, price)


def spent(ending: Ending, cost: Decimal | None) -> dict[str, Any]:
    """What a run took as columns: in all, with what it took before people decided on its calls."""
    usage = ending.usage
    fields: dict[str, Any] = {}
    if usage is not None:
        fields = {name: _countable(getattr(usage, name)) for name in objects.Usage.__struct_fields__}
    if ending.estimated and ending.took is not None:
        before = 0 if usage is not None else Coalesce(F("output_tokens"), 0)
        fields["tokens"] = before + (ending.took.output_tokens or 0)
    if cost is not None:
        fields["cost"] = Coalesce(F("cost"), Decimal(0)) + cost
    return fields


def _countable(tokens: int | None) -> int | None:
    """What a column can hold, whatever a provider says."""
    return None if tokens is None else min(max(tokens, 0), pricing.MOST_TOKENS)


def finished(run_id: UUID, following: UUID | None = None) -> Finished:
    row = runs().get(pk=run_id)
    return Finished(objects.Run.of(row), answer(row), following)


def answer(run: Run) -> objects.Message | None:
    row = messages(run.conversation_id).filter(pk=run.message_id).first() if run.message_id else None
    return objects.Message.of(row) if row else None
