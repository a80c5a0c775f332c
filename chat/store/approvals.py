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
from .base import lock, lock_as, storable, storable_json
from .budgets import may_spend, record
from .run_lifecycle import Ending, Finished, cost_of, finished, room, spent


def save_call(run_id: UUID, host: str, call: objects.Call, call_id: str) -> None:
    """A tool call is new, or has its result. Writes nothing into a run that is not `host`'s any more."""
    if not Run.objects.filter(pk=run_id, host=host, status=Run.Status.RUNNING).exists():
        return
    fields = {
        "name": storable(call.name)[:100],
        "arguments": storable_json(call.arguments),
        "status": call.status,
        "result": None if call.result is None else storable(call.result),
    }
    ToolCall.objects.update_or_create(
        pk=call.id, defaults=fields, create_defaults=fields | {"run_id": run_id, "call_id": storable(call_id)[:200]}
    )


@transaction.atomic
def await_approval(run_id: UUID, host: str, ending: Ending) -> Finished | None:
    """A run stands still until people have decided on its waiting calls. None where it is no longer `host`'s, or
    somebody has asked to stop it.
    """
    mine = Run.objects.filter(pk=run_id, host=host, status=Run.Status.RUNNING, stop_requested_at=None)
    run = mine.first()
    if run is None:
        return None
    cost = cost_of(run, ending)
    standing = {
        "status": Run.Status.AWAITING_APPROVAL,
        "seq": ending.written.seq,
        "transcript": prompts.stored(ending.transcript),
    }
    if not mine.update(**standing, **spent(ending, cost)):
        return None
    if ending.took is not None:
        record(run, ending.took, cost, ended=False)
    Message.objects.filter(run=run_id).update(text=ending.written.text, thinking=ending.written.thinking)
    waiting = [call.id for call in pending(ending.transcript)]
    ToolCall.objects.filter(run=run_id, call_id__in=waiting).update(
        status=ToolCall.Status.AWAITING_APPROVAL, expires_at=_until()
    )
    return finished(run_id)


def _until() -> datetime | None:
    seconds = conf.APPROVAL_TIMEOUT
    return None if seconds is None else timezone.now() + timedelta(seconds=seconds)


TOO_LATE = gettext_noop("Nobody decided on it in time.")

EXPIRE_AT_ONCE = 20
"""Conversations whose calls expire in one go."""


class Decided(Struct, frozen=True):
    """A decision is in the row; `seq` numbers the frame that tells of it. `start`: it was the last that was missing."""

    run: UUID
    seq: int
    call: objects.Call
    start: bool


@transaction.atomic
def decide(user_id: Any, conversation_id: UUID, asked: ToolDecide, host: str | None) -> Decided:
    """A person approves or rejects a tool call. With the last decision of a run, it is queued for `host`."""
    participant = lock_as(user_id, conversation_id)
    conversation = participant.conversation
    call = ToolCall.objects.select_related("run").filter(pk=asked.call, run__conversation=conversation_id).first()
    if call is None:
        raise Refused(ErrorCode.NOT_FOUND, _("There is no such tool call in this conversation."))
    run = call.run
    if not policy().can_decide(participant, run):
        raise Refused(ErrorCode.FORBIDDEN, _("Only who asked, or an owner of the conversation, can decide on this."))
    if call.status != ToolCall.Status.AWAITING_APPROVAL or run.status != Run.Status.AWAITING_APPROVAL:
        raise Refused(ErrorCode.CONFLICT, _("This has been decided already."))
    may_spend(participant.user, conversation)
    call.decided_by, call.decided_at = participant.user, timezone.now()
    if asked.decision == "reject":
        call.status, call.reason = ToolCall.Status.REJECTED, storable(asked.reason)
    else:
        call.status = ToolCall.Status.RUNNING
        if asked.arguments is not None and asked.arguments != call.arguments:
            call.arguments, call.changed = storable_json(asked.arguments), True
    return _decided(run, call, host)


def expire(host: str) -> list[tuple[UUID, Decided]]:
    """Reject the calls on which nobody has decided in time; what that completes is queued for `host`. Returns what was
    decided, with the ids of the conversations.
    """
    late = ToolCall.objects.filter(status=ToolCall.Status.AWAITING_APPROVAL, expires_at__lt=timezone.now())
    conversations = list(late.values_list("run__conversation", flat=True).distinct()[:EXPIRE_AT_ONCE])
    return [(conversation, decided) for conversation in conversations for decided in _expire(conversation, late, host)]


@transaction.atomic
def _expire(conversation_id: UUID, late: QuerySet[ToolCall], host: str) -> list[Decided]:
    lock(conversation_id)
    decided = []
    run = None
    for call in late.filter(run__conversation=conversation_id, run__status=Run.Status.AWAITING_APPROVAL):
        run = run or Run.objects.get(pk=call.run_id)
        call.status, call.reason, call.decided_at = ToolCall.Status.REJECTED, in_site_language(TOO_LATE), timezone.now()
        decided.append(_decided(run, call, host))
    return decided


def _decided(run: Run, call: ToolCall, host: str | None) -> Decided:
    call.save()
    complete = not run.calls.filter(status=ToolCall.Status.AWAITING_APPROVAL).exists()
    run.seq += 1
    if complete:
        run.status, run.host, run.heartbeat_at = Run.Status.QUEUED, room(host), timezone.now()
    run.save(update_fields=["seq", "status", "host", "heartbeat_at"])
    return Decided(run.id, run.seq, objects.Call.of(call), complete)
