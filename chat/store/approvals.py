"""Tool calls and their approvals: store a call, wait for decisions, decide, expire."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from msgspec import Struct
from msgspec.structs import replace

from ..conf import conf
from ..engine.approvals import pending_calls
from ..engine.messages import MAX_DEPTH, is_deeper
from ..i18n import in_site_language
from ..models import Message, Run, ToolCall
from ..permissions import policy
from ..protocol import objects
from ..protocol.commands import ToolDecide
from ..protocol.errors import ErrorCode, Refused
from . import prompts
from .base import lock_conversation, lock_membership
from .budgets import check_budgets, record_spending
from .bulk import CaseByPk
from .run_lifecycle import Ending, FinishedRun, compute_charge, read_finished, require_host, usage_fields
from .search import index_message
from .text import sanitize_json, sanitize_text, truncate
from .unit_of_work import skip_if_locked, unit_of_work

EXPIRED = gettext_noop("Nobody decided in time.")
"""The reason of a rejection that nobody made."""

MAX_KEY_CHARS = 200
"""The length of the column `ToolCall.call_id`."""

MAX_NAME_CHARS = 100
"""The length of the column `ToolCall.name`."""

MAX_CALL_CHARS = 256 * 1024
"""The longest arguments, and the longest result, that people see. The tools of a model have lower limits (`Limits`,
`max_chars`); custom agents set their own.
"""

EXPIRE_AT_ONCE = 20
"""In how many conversations one call of `expire_approvals` expires calls."""


def call_key(call_id: str) -> str:
    """What the row of a tool call stores to be found by the id of the call. That is the id itself, or a hash of it if
    the column cannot hold it: custom agents choose their ids as they like.
    """
    if len(call_id) <= MAX_KEY_CHARS and sanitize_text(call_id) == call_id:
        return call_id
    return hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()


@unit_of_work()
def save_calls(run_id: UUID, host: str, calls: Mapping[str, objects.Call]) -> None:
    """Store new tool calls, or their results, by their keys. Does nothing if the run no longer belongs to `host`."""
    if not Run.objects.filter(pk=run_id, host=host, status=Run.Status.RUNNING).exists():
        return
    now = timezone.now()
    rows = [
        ToolCall(
            id=call.id,
            run_id=run_id,
            call_id=key,
            name=call.name,
            arguments=call.arguments,
            status=call.status,
            result=call.result,
            created_at=now + timedelta(microseconds=number),  # rows are ordered by it
        )
        for number, (key, call) in enumerate(calls.items())
    ]
    known = set(ToolCall.objects.filter(pk__in=[row.pk for row in rows]).values_list("pk", flat=True))
    ToolCall.objects.bulk_create([row for row in rows if row.pk not in known])
    changes = {
        name: CaseByPk(ToolCall, name, {row.pk: getattr(row, name) for row in rows if row.pk in known})
        for name in ("name", "arguments", "status", "result")
    }
    if known:
        ToolCall.objects.filter(pk__in=known).update(**changes)


def sanitize_call(call: objects.Call) -> objects.Call:
    """A call as its row and a frame can hold it. Arguments are left out if they are longer than MAX_CALL_CHARS, nested
    deeper than MAX_DEPTH, or hold half a character, as those of a custom agent may; a result is cut.
    """
    try:
        arguments = None if is_deeper(call.arguments, MAX_DEPTH) else sanitize_json(call.arguments)
        if len(msgspec.json.encode(arguments)) > MAX_CALL_CHARS:
            arguments = None
    except UnicodeEncodeError:
        arguments = None
    return replace(
        call,
        name=sanitize_text(call.name)[:MAX_NAME_CHARS],
        arguments=arguments,
        result=None if call.result is None else truncate(sanitize_text(call.result), MAX_CALL_CHARS),
    )


@unit_of_work()
def await_approval(run_id: UUID, host: str, ending: Ending) -> FinishedRun | None:
    """Pause a run until people have decided on its pending calls. None if it no longer belongs to `host`, or somebody
    has asked to stop it.
    """
    mine = Run.objects.filter(pk=run_id, host=host, status=Run.Status.RUNNING, stop_requested_at=None)
    run = mine.first()
    if run is None:
        return None
    charge = compute_charge(run, ending)
    fields = {
        "status": Run.Status.AWAITING_APPROVAL,
        "seq": ending.written.seq,
        "transcript": prompts.encode_transcript(ending.transcript),
    }
    if not mine.update(**fields, **usage_fields(run, ending, charge)):
        return None
    if ending.charged_usage is not None:
        record_spending(run, ending.charged_usage, charge.cost, charge.model, ended=False)
    Message.objects.filter(run=run_id).update(**ending.written.fields)
    answer = Message(pk=run.message_id, conversation_id=run.conversation_id, text=ending.written.text)
    index_message(answer, ending.words)
    undecided = {call_key(call.id) for call in pending_calls(ending.transcript)}
    waiting = ToolCall.objects.filter(run=run_id, call_id__in=undecided).update(
        status=ToolCall.Status.AWAITING_APPROVAL, expires_at=_expiry()
    )
    if not undecided or waiting != len(undecided):  # a custom agent's mistake; nobody could ever decide
        raise LookupError("Some calls that await approval have come without a ToolCall event, or not in the messages.")
    return read_finished(run_id)


def _expiry() -> datetime | None:
    seconds = conf.APPROVAL_TIMEOUT
    return None if seconds is None else timezone.now() + timedelta(seconds=seconds)


class CallDecision(Struct, frozen=True):
    """A stored decision. `seq` is the number of the frame that announces it; `start` is true if it was the last missing
    one, so that the run is queued again.
    """

    run: UUID
    seq: int
    call: objects.Call
    start: bool


@unit_of_work()
def decide_call(
    user_id: Any, conversation_id: UUID, command: ToolDecide, host: str | None, unattended: bool = False
) -> CallDecision:
    """Approve or reject a tool call. The last decision of a run queues it for `host`. `unattended` is as in
    `post_message`.
    """
    participant = lock_membership(user_id, conversation_id)
    conversation = participant.conversation
    call = ToolCall.objects.select_related("run").filter(pk=command.call, run__conversation=conversation_id).first()
    if call is None:
        raise Refused(ErrorCode.NOT_FOUND, _("This tool call is not in the conversation."))
    run = call.run
    if not policy().can_decide(participant, run):
        raise Refused(
            ErrorCode.FORBIDDEN, _("Only the person who asked or a conversation owner can approve or reject this.")
        )
    if call.status != ToolCall.Status.AWAITING_APPROVAL or run.status != Run.Status.AWAITING_APPROVAL:
        raise Refused(ErrorCode.CONFLICT, _("This has already been decided."))
    check_budgets(participant.user, conversation)
    call.decided_by, call.decided_at = participant.user, timezone.now()
    run.unattended = run.unattended or unattended
    if command.decision == "reject":
        call.status, call.reason = ToolCall.Status.REJECTED, sanitize_text(command.reason)
    else:
        call.status = ToolCall.Status.RUNNING
        if command.arguments is not None and command.arguments != call.arguments:
            call.arguments, call.changed = sanitize_json(command.arguments), True
    return _save_decision(run, call, host)


def expire_approvals(host: str) -> list[tuple[UUID, CallDecision]]:
    """Reject the calls that nobody decided on in time, and queue the runs that this completes for `host`.

    Returns the decisions, each with the id of its conversation.
    """
    late = ToolCall.objects.filter(status=ToolCall.Status.AWAITING_APPROVAL, expires_at__lt=timezone.now())
    conversations = list(late.values_list("run__conversation", flat=True).distinct()[:EXPIRE_AT_ONCE])
    decided = []
    for conversation in conversations:
        with skip_if_locked("Conversation", conversation):
            decided += [(conversation, decision) for decision in _expire_calls(conversation, late, host)]
    return decided


@unit_of_work()
def _expire_calls(conversation_id: UUID, late: QuerySet[ToolCall], host: str) -> list[CallDecision]:
    lock_conversation(conversation_id)
    decisions = []
    run = None
    for call in late.filter(run__conversation=conversation_id, run__status=Run.Status.AWAITING_APPROVAL):
        run = run or Run.objects.get(pk=call.run_id)  # one object, because each decision advances its `seq`
        call.status, call.reason, call.decided_at = ToolCall.Status.REJECTED, in_site_language(EXPIRED), timezone.now()
        decisions.append(_save_decision(run, call, host))
    return decisions


def _save_decision(run: Run, call: ToolCall, host: str | None) -> CallDecision:
    call.save()
    complete = not run.calls.filter(status=ToolCall.Status.AWAITING_APPROVAL).exists()
    run.seq += 1
    if complete:
        run.status, run.host, run.heartbeat_at = Run.Status.QUEUED, require_host(host), timezone.now()
    run.save(update_fields=["seq", "status", "host", "heartbeat_at", "unattended"])
    return CallDecision(run.id, run.seq, objects.Call.of(call), complete)
