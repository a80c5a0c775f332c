"""Tool calls, and what people decide on those that need it."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from msgspec import Struct

from ..conf import conf
from ..engine.approvals import pending
from ..i18n import in_site_language
from ..models import Message, Run, ToolCall
from ..permissions import policy
from ..protocol import objects
from ..protocol.commands import ToolDecide
from ..protocol.errors import ErrorCode, Refused
from . import prompts
from .base import lock_conversation, lock_membership, sanitize_json, sanitize_text
from .budgets import check_budgets, record_spending
from .run_lifecycle import Ending, FinishedRun, compute_ending_cost, read_finished, require_host, usage_fields


def save_call(run_id: UUID, host: str, call: objects.Call, call_id: str) -> None:
    """A tool call is new, or has its result. Writes nothing into a run that is not `host`'s any more."""
    if not Run.objects.filter(pk=run_id, host=host, status=Run.Status.RUNNING).exists():
        return
    fields = {
        "name": sanitize_text(call.name)[:100],
        "arguments": sanitize_json(call.arguments),
        "status": call.status,
        "result": None if call.result is None else sanitize_text(call.result),
    }
    ToolCall.objects.update_or_create(
        pk=call.id,
        defaults=fields,
        create_defaults=fields | {"run_id": run_id, "call_id": sanitize_text(call_id)[:200]},
    )


@transaction.atomic
def await_approval(run_id: UUID, host: str, ending: Ending) -> FinishedRun | None:
    """A run stands still until people have decided on its waiting calls. None where it is no longer `host`'s, or
    somebody has asked to stop it.
    """
    mine = Run.objects.filter(pk=run_id, host=host, status=Run.Status.RUNNING, stop_requested_at=None)
    run = mine.first()
    if run is None:
        return None
    cost = compute_ending_cost(run, ending)
    standing = {
        "status": Run.Status.AWAITING_APPROVAL,
        "seq": ending.written.seq,
        "transcript": prompts.encode_transcript(ending.transcript),
    }
    if not mine.update(**standing, **usage_fields(ending, cost)):
        return None
    if ending.charged_usage is not None:
        record_spending(run, ending.charged_usage, cost, ended=False)
    Message.objects.filter(run=run_id).update(text=ending.written.text, thinking=ending.written.thinking)
    waiting = [call.id for call in pending(ending.transcript)]
    ToolCall.objects.filter(run=run_id, call_id__in=waiting).update(
        status=ToolCall.Status.AWAITING_APPROVAL, expires_at=_expiry()
    )
    return read_finished(run_id)


def _expiry() -> datetime | None:
    seconds = conf.APPROVAL_TIMEOUT
    return None if seconds is None else timezone.now() + timedelta(seconds=seconds)


TOO_LATE = gettext_noop("Nobody decided on it in time.")

EXPIRE_AT_ONCE = 20
"""Conversations whose calls expire in one go."""


class CallDecision(Struct, frozen=True):
    """A decision is in the row; `seq` numbers the frame that tells of it. `start`: it was the last that was missing."""

    run: UUID
    seq: int
    call: objects.Call
    start: bool


@transaction.atomic
def decide_call(user_id: Any, conversation_id: UUID, asked: ToolDecide, host: str | None) -> CallDecision:
    """A person approves or rejects a tool call. With the last decision of a run, it is queued for `host`."""
    participant = lock_membership(user_id, conversation_id)
    conversation = participant.conversation
    call = ToolCall.objects.select_related("run").filter(pk=asked.call, run__conversation=conversation_id).first()
    if call is None:
        raise Refused(ErrorCode.NOT_FOUND, _("There is no such tool call in this conversation."))
    run = call.run
    if not policy().can_decide(participant, run):
        raise Refused(ErrorCode.FORBIDDEN, _("Only who asked, or an owner of the conversation, can decide on this."))
    if call.status != ToolCall.Status.AWAITING_APPROVAL or run.status != Run.Status.AWAITING_APPROVAL:
        raise Refused(ErrorCode.CONFLICT, _("This has been decided already."))
    check_budgets(participant.user, conversation)
    call.decided_by, call.decided_at = participant.user, timezone.now()
    if asked.decision == "reject":
        call.status, call.reason = ToolCall.Status.REJECTED, sanitize_text(asked.reason)
    else:
        call.status = ToolCall.Status.RUNNING
        if asked.arguments is not None and asked.arguments != call.arguments:
            call.arguments, call.changed = sanitize_json(asked.arguments), True
    return _save_decision(run, call, host)


def expire_approvals(host: str) -> list[tuple[UUID, CallDecision]]:
    """Reject the calls on which nobody has decided in time; what that completes is queued for `host`. Returns what was
    decided, with the ids of the conversations.
    """
    late = ToolCall.objects.filter(status=ToolCall.Status.AWAITING_APPROVAL, expires_at__lt=timezone.now())
    conversations = list(late.values_list("run__conversation", flat=True).distinct()[:EXPIRE_AT_ONCE])
    return [
        (conversation, decided) for conversation in conversations for decided in _expire_calls(conversation, late, host)
    ]


@transaction.atomic
def _expire_calls(conversation_id: UUID, late: QuerySet[ToolCall], host: str) -> list[CallDecision]:
    lock_conversation(conversation_id)
    decided = []
    run = None
    for call in late.filter(run__conversation=conversation_id, run__status=Run.Status.AWAITING_APPROVAL):
        run = run or Run.objects.get(pk=call.run_id)
        call.status, call.reason, call.decided_at = ToolCall.Status.REJECTED, in_site_language(TOO_LATE), timezone.now()
        decided.append(_save_decision(run, call, host))
    return decided


def _save_decision(run: Run, call: ToolCall, host: str | None) -> CallDecision:
    call.save()
    complete = not run.calls.filter(status=ToolCall.Status.AWAITING_APPROVAL).exists()
    run.seq += 1
    if complete:
        run.status, run.host, run.heartbeat_at = Run.Status.QUEUED, require_host(host), timezone.now()
    run.save(update_fields=["seq", "status", "host", "heartbeat_at"])
    return CallDecision(run.id, run.seq, objects.Call.of(call), complete)
