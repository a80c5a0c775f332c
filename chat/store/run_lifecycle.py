"""A run's row from queued to its end: the one place that queues runs, and the one UPDATE that decides an end.

Each function runs inside its caller's transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from django.db.models import Case, F, QuerySet, Value, When
from django.db.models.lookups import Exact
from django.utils import timezone
from django.utils.translation import gettext as _
from msgspec import Struct
from msgspec.structs import replace

from .. import engine
from ..models import Conversation, Message, Run, ToolCall
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from . import pricing, prompts
from .base import shown_messages
from .budgets import add_spendings, make_spending
from .prepared import Param, Update
from .responders import pop_waiting
from .text import sanitize_text

HOSTED = (Run.Status.QUEUED, Run.Status.RUNNING)
"""The statuses in which a run belongs to a process."""

UNFINISHED = (ToolCall.Status.RUNNING, ToolCall.Status.AWAITING_APPROVAL)

BUSY_RETRY_AFTER = 5.0
"""Seconds after which a user who was refused by a full queue may try again."""


class Written(Struct, frozen=True):
    """What a run has published: `text`, `thinking`, and `parts` include its frames up to `seq`."""

    seq: int = 0
    text: str = ""
    thinking: str = ""
    parts: tuple[objects.Part, ...] = ()

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the answer's row."""
        return {"text": self.text, "thinking": self.thinking, "parts": objects.encode_parts(self.parts)}


class Ending(Struct, frozen=True, kw_only=True):
    """How a run ended, and what it produced."""

    status: str
    written: Written = Written()
    words: str | None = None
    """What the search index holds of the text (`extract_words`)."""
    usage: engine.Usage | None = None
    """Tokens of the whole run as the provider counted them, None if it did not."""
    charged_usage: engine.Usage | None = None
    """Tokens to charge now: those since the run started or was resumed. None if there are none."""
    estimated: bool = False
    """True if `charged_usage` is an estimate because the provider sent no count."""
    model: str = ""
    """The model that answered, as provider:model; empty if unknown."""
    finish_reason: str | None = None
    error: objects.Failure | None = None
    error_detail: str = ""
    """For staff: what the provider said, and which setting to check. Readers see the message of `error` only."""
    transcript: list[engine.Message] = []
    awaits_approval: bool = False
    """True if this is only a pause: tool calls of the last turn need approvals."""
    leave_next_to_others: bool = False
    """True if any process may adopt the next run, instead of the one that made this run."""
    first_token_at: datetime | None = None
    """When the model sent its first text, thinking, or tool call; None if it sent none."""
    answer: objects.Message | None = None
    """The answer as its process knows it, with `written`, its calls, and its run as it was. None if it does not."""


class Charge(Struct, frozen=True):
    """What the tokens of an ending cost. No price and no cost if there are no tokens, or no price is known."""

    model: str
    """The model that answered, else the one that was asked, as provider:model."""
    price: pricing.AppliedPrice | None = None
    cost: Decimal | None = None


class FinishedRun(Struct, frozen=True):
    """A run that has ended (or paused), its answer, and the run that was queued to follow it."""

    run: objects.Run
    message: objects.Message | None
    next: UUID | None = None


def queue_run(
    conversation: Conversation,
    agent: str,
    user_id: Any,
    host: str | None,
    replaces: Message | None = None,
    continues: bool = False,
    unattended: bool = False,
) -> Run:
    """Queue a run of an agent. `host` is as in `require_host`, `unattended` as in `post_message`."""
    return Run.objects.create(
        conversation=conversation,
        agent=agent,
        launched_by_id=user_id,
        host=require_host(host),
        replaces=replaces,
        continues=continues,
        unattended=unattended,
    )


def require_host(host: str | None) -> str:
    """The host to assign a run to; "" for any process. None means the host is at capacity: raises Refused(BUSY), which
    rolls the transaction back.
    """
    if host is None:
        raise Refused(
            ErrorCode.BUSY,
            _("Too many answers are in progress. Try again in a few seconds."),
            retry_after=BUSY_RETRY_AFTER,
        )
    return host


def queue_next_run(conversation: Conversation, host: str | None) -> UUID | None:
    """Queue a run for the next waiting agent, and return its id. Every end of a run must call this, or agents that were
    asked meanwhile never answer.
    """
    if not conversation.waiting:
        return None
    waiting = pop_waiting(conversation)
    conversation.save(update_fields=["waiting"])
    return None if waiting is None else queue_run(conversation, *waiting, host).id


def stop_run(run: Run, user_id: Any) -> bool:
    """Mark a run to be stopped, and end it at once if no process is working on it. Returns True if it has ended."""
    Run.objects.filter(pk=run.pk, stop_requested_at=None).update(stop_requested_at=timezone.now(), stopped_by=user_id)
    stopped = Ending(status=Run.Status.STOPPED, written=Written(run.seq))
    return end_run(run, stopped, _UPDATE_UNTOUCHED)


def ends(**where: Any) -> Update:
    """The one UPDATE that ends a run, if it still matches `where`."""
    stopped = Exact(Param("status", Run, "status"), Value(Run.Status.STOPPED))
    # It ended by itself, or was stopped by that person.
    stopped_by = Case(When(stopped, then=F("stopped_by")), default=Value(None))
    rows = partial(Run.objects.filter, pk=Param("run", Run, "id"), **where)
    return Update(rows, _END_FIELDS, stopped_by=stopped_by)


_END_FIELDS = (
    *("status", "first_token_at", "finished_at", "place", "seq", "finish_reason", "transcript"),
    *("error_code", "error_message", "error_detail", "retry_after"),
    *(*objects.Usage.__struct_fields__, "tokens", "cost", "price"),
)
_UPDATE_UNTOUCHED = ends(status__in=(Run.Status.QUEUED, Run.Status.AWAITING_APPROVAL))


def end_run(run: Run, ending: Ending, update: Update, **where: Any) -> bool:
    """End a run by `update`, one of `ends`; `where` are its values. Returns True to exactly one caller.

    Fields that the ending leaves unchanged are written as `run` has them, so nobody may have changed them since it was
    read.
    """
    return end_runs([(run, ending)], update, [where])


def end_runs(endings: Sequence[tuple[Run, Ending]], update: Update, wheres: Sequence[Mapping[str, Any]]) -> bool:
    """The same for several, with the values of each. False if not all of them have ended here: then the caller rolls
    back.
    """
    charges = [compute_charge(run, ending) for run, ending in endings]
    fields = [_ended_fields(run, ending, charge) for (run, ending), charge in zip(endings, charges, strict=True)]
    written = [
        {"run": run.pk, **{name: each.get(name, getattr(run, name)) for name in _END_FIELDS}, **where}
        for (run, _), each, where in zip(endings, fields, wheres, strict=True)
    ]
    if update.execute_many(written) < len(endings):
        return False
    spendings = []
    for (run, ending), each, charge in zip(endings, fields, charges, strict=True):
        for name, value in each.items():
            setattr(run, name, value)
        if ending.status != Run.Status.STOPPED:
            run.stopped_by = None
        if ending.charged_usage is not None:
            spendings.append(make_spending(run, ending.charged_usage, charge.cost, charge.model, ended=True))
    if spendings:
        add_spendings(spendings)
    calling = [run.pk for run, ending in endings if ending.answer is None or ending.answer.calls]
    if calling:
        unfinished = ToolCall.objects.filter(run__in=calling, status__in=UNFINISHED)
        unfinished.update(status=ToolCall.Status.STOPPED)
    return True


def _ended_fields(run: Run, ending: Ending, charge: Charge) -> dict[str, Any]:
    """The fields that an ending changes."""
    error = ending.error
    fields: dict[str, Any] = {
        "status": ending.status,
        "finished_at": timezone.now(),
        "place": None,
        "seq": ending.written.seq,
        "first_token_at": run.first_token_at or ending.first_token_at,  # the first one, also after an approval
        "finish_reason": ending.finish_reason and sanitize_text(ending.finish_reason)[:100],
        **usage_fields(run, ending, charge),
    }
    if error is not None:
        fields |= {
            "error_code": error.code[:50],
            "error_message": sanitize_text(error.message),
            "error_detail": sanitize_text(ending.error_detail),
            "retry_after": error.retry_after,
        }
    if ending.transcript and prompts.has_all_results(ending.transcript):
        fields["transcript"] = prompts.encode_transcript(ending.transcript)
    return fields


def compute_charge(run: Run, ending: Ending) -> Charge:
    """The cost of `charged_usage` at the price of today. It stays as it is when prices change."""
    model = ending.model if ending.model.strip(":") else run.model
    price = None if ending.charged_usage is None else pricing.find_price(model, run.model)
    if price is None or ending.charged_usage is None:
        return Charge(model)
    return Charge(model, price, pricing.compute_cost(ending.charged_usage, price))


def usage_fields(run: Run, ending: Ending, charge: Charge) -> dict[str, Any]:
    """The columns of a run's usage. Cost and estimated tokens add to what the run took before an approval, and to what
    the answer took that it continues.
    """
    usage = ending.usage
    fields: dict[str, Any] = {}
    if usage is not None:
        fields = {name: _clamp_tokens(getattr(usage, name)) for name in objects.Usage.__struct_fields__}
    if ending.charged_usage is not None:
        # All output, as long as part of it is an estimate; else null. Sums must fit into the column.
        before = run.tokens
        if before is None and ending.estimated:
            before = run.output_tokens or 0
        if before is not None:
            fields["tokens"] = before + min(ending.charged_usage.output_tokens or 0, pricing.MAX_TOKENS // 100)
    if charge.price is not None and charge.cost is not None:
        fields["cost"] = (run.cost or Decimal(0)) + charge.cost
        # Another price may have held before an approval.
        fields["price"] = pricing.add_price(run.price, charge.price)
    return fields


def _clamp_tokens(tokens: int | None) -> int | None:
    """A provider may report anything; the column holds 0 to MAX_TOKENS."""
    return None if tokens is None else min(max(tokens, 0), pricing.MAX_TOKENS)


def active_runs(conversation_id: UUID) -> QuerySet[Run]:
    return select_runs().filter(conversation=conversation_id, status__in=Run.ACTIVE)


def describe_finished(run: Run, answer: objects.Message | None, next_run: UUID | None) -> FinishedRun:
    """A run that `end_run` has just ended, with `Ending.answer`: nothing is read again. If a person has stopped it, or
    its process does not know the answer, everything is.
    """
    if answer is None or run.status == Run.Status.STOPPED:
        return read_finished(run.pk, next_run)
    ended = objects.Run.of(run)
    calls = tuple(replace(call, status="stopped") if call.status in UNFINISHED else call for call in answer.calls)
    answer = replace(
        answer,
        replaces=answer.replaces if answer.continues else None,  # it is no longer made again
        calls=calls,
        parts=tuple(objects.complete_parts(answer.parts, answer.text, answer.thinking, calls)),
        run=ended,
    )
    return FinishedRun(ended, answer, next_run)


def read_finished(run_id: UUID, next_run: UUID | None = None) -> FinishedRun:
    row = select_runs().get(pk=run_id)
    return FinishedRun(objects.Run.of(row), read_answer(row), next_run)


def select_runs() -> QuerySet[Run]:
    """Runs with everything that `objects.Run.of` reads."""
    return Run.objects.select_related("launched_by", "stopped_by")


def read_answer(run: Run) -> objects.Message | None:
    row = shown_messages(run.conversation_id).filter(pk=run.message_id).first() if run.message_id else None
    return objects.Message.of(row) if row else None
