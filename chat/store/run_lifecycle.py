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
from .base import shown_messages
from .budgets import record_spending
from .responders import pop_waiting
from .search import index_messages
from .text import sanitize_text


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
    charged_usage: engine.Usage | None = None
    """What it took since it began or went on, None if nothing: as the provider counted, or `estimated`."""
    estimated: bool = False
    model: str = ""
    """Who answered, as provider:model, where that is known."""
    finish_reason: str | None = None
    error: objects.Failure | None = None
    error_detail: str = ""
    """For staff: what the provider said, and which setting to check. Readers see the message of `error` only."""
    transcript: list[engine.Message] = []
    awaits_approval: bool = False
    """It is no end yet: calls of the transcript's last turn wait for people."""
    leave_next_to_others: bool = False
    """Whether the run that follows is for whichever process takes it up, instead of the one that made this."""


class FinishedRun(Struct, frozen=True):
    """A run that is over, its answer, and the run that was queued to follow it."""

    run: objects.Run
    message: objects.Message | None
    next: UUID | None = None


def select_runs() -> QuerySet[Run]:
    return Run.objects.select_related("launched_by", "stopped_by")


def active_runs(conversation_id: UUID) -> QuerySet[Run]:
    return select_runs().filter(conversation=conversation_id, status__in=Run.ACTIVE)


BUSY_RETRY_AFTER = 5.0
"""Seconds after which somebody whom a full queue refused may try again."""


def queue_run(
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
        host=require_host(host),
        replaces=replaces,
        continues=continues,
    )


def require_host(host: str | None) -> str:
    """The process that is to make a run; empty for whichever takes it up. None stands for one that was asked and has no
    room: then nothing of the transaction is to stay. Raises Refused(BUSY).
    """
    if host is None:
        raise Refused(
            ErrorCode.BUSY,
            _("Too many answers are being made at the moment. Try again soon."),
            retry_after=BUSY_RETRY_AFTER,
        )
    return host


def queue_next_run(conversation: Conversation, host: str | None) -> UUID | None:
    """Queue the answer to what was asked while a run was active; several messages to one agent get one answer. However
    a run ends, it is asked.
    """
    if not conversation.waiting:
        return None
    following = pop_waiting(conversation)
    conversation.save(update_fields=["waiting"])
    return None if following is None else queue_run(conversation, *following, host).id


def stop_run(run: Run, user_id: Any) -> bool:
    """Ask for a run's end, and end it where no process is at work on it: true then."""
    Run.objects.filter(pk=run.pk, stop_requested_at=None).update(stop_requested_at=timezone.now(), stopped_by=user_id)
    stopped = Ending(status=Run.Status.STOPPED, written=Written(run.seq))
    if not end_run(run, stopped, status__in=(Run.Status.QUEUED, Run.Status.AWAITING_APPROVAL)):
        return False
    index_messages(Message.objects.filter(run=run.pk))
    return True


def end_run(run: Run, ending: Ending, **where: Any) -> bool:
    """The UPDATE that decides a run's end, on condition of what it was; true for exactly one caller."""
    error, cost = ending.error, compute_ending_cost(run, ending)
    fields: dict[str, Any] = {
        "status": ending.status,
        "finished_at": timezone.now(),
        "place": None,
        "seq": ending.written.seq,
        "finish_reason": ending.finish_reason and sanitize_text(ending.finish_reason)[:100],
        **usage_fields(ending, cost),
    }
    if error is not None:
        fields |= {
            "error_code": error.code[:50],
            "error_message": sanitize_text(error.message),
            "error_detail": sanitize_text(ending.error_detail),
            "retry_after": error.retry_after,
        }
    if ending.status != Run.Status.STOPPED:
        fields["stopped_by"] = None
    if ending.transcript and prompts.has_all_results(ending.transcript):
        fields["transcript"] = prompts.encode_transcript(ending.transcript)
    if not Run.objects.filter(pk=run.pk, **where).update(**fields):
        return False
    if ending.charged_usage is not None:
        record_spending(run, ending.charged_usage, cost, ended=True)
    unfinished = (ToolCall.Status.RUNNING, ToolCall.Status.AWAITING_APPROVAL)
    ToolCall.objects.filter(run=run.pk, status__in=unfinished).update(status=ToolCall.Status.STOPPED)
    return True


def compute_ending_cost(run: Run, ending: Ending) -> Decimal | None:
    """What this part of a run cost, None where the site knows no price."""
    price = pricing.find_price(ending.model, run.model)
    return None if price is None or ending.charged_usage is None else pricing.compute_cost(ending.charged_usage, price)


def usage_fields(ending: Ending, cost: Decimal | None) -> dict[str, Any]:
    """What a run took as columns: in all, with what it took before people decided on its calls."""
    usage = ending.usage
    fields: dict[str, Any] = {}
    if usage is not None:
        fields = {name: _clamp_tokens(getattr(usage, name)) for name in objects.Usage.__struct_fields__}
    if ending.estimated and ending.charged_usage is not None:
        before = 0 if usage is not None else Coalesce(F("output_tokens"), 0)
        fields["tokens"] = before + (ending.charged_usage.output_tokens or 0)
    if cost is not None:
        fields["cost"] = Coalesce(F("cost"), Decimal(0)) + cost
    return fields


def _clamp_tokens(tokens: int | None) -> int | None:
    """What a column can hold, whatever a provider says."""
    return None if tokens is None else min(max(tokens, 0), pricing.MAX_TOKENS)


def read_finished(run_id: UUID, following: UUID | None = None) -> FinishedRun:
    row = select_runs().get(pk=run_id)
    return FinishedRun(objects.Run.of(row), read_answer(row), following)


def read_answer(run: Run) -> objects.Message | None:
    row = shown_messages(run.conversation_id).filter(pk=run.message_id).first() if run.message_id else None
    return objects.Message.of(row) if row else None
