"""Runs, in the order of their life: asked for, started, alive, ended or stopped, looked up, left behind."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override
from msgspec import Struct

from .. import agents, engine
from ..conf import Price, conf
from ..engine.approvals import pending_calls
from ..engine.tokens import CHARS_PER_TOKEN, estimate_tokens
from ..models import Message, Run, ToolCall
from ..permissions import policy
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from . import prompts
from .alternatives import create_answer
from .base import PAGE_SIZE, check_can_post, lock_conversation, lock_membership, prompt_messages, shown_messages, touch
from .budgets import read_remaining
from .pricing import RemainingBudget, find_price
from .prompt_files import read_files_for_prompt
from .responders import check_responder
from .run_lifecycle import (
    Ending,
    FinishedRun,
    active_runs,
    end_run,
    queue_next_run,
    queue_run,
    read_answer,
    read_finished,
    select_runs,
    stop_run,
)
from .search import index_messages

SILENT_AFTER = 3.0
"""Seconds without a heartbeat after which a run's process is not relied on for an answer."""


@transaction.atomic
def request_run(
    user_id: Any,
    conversation_id: UUID,
    message_id: UUID | None,
    host: str | None,
    agent: str | None = None,
    *,
    continues: bool = False,
) -> UUID:
    """Queue a run without a new message: an answer to what was said last; with the last answer's id that again, as an
    alternative; with `continues` its end, where it was cut off. `agent` is the slug of who is to give it.
    """
    participant = lock_membership(user_id, conversation_id)
    conversation = participant.conversation
    check_can_post(participant)
    asked = check_responder(participant, conversation, agent)
    if active_runs(conversation_id).exists():
        raise Refused(ErrorCode.CONFLICT, _("An answer is being made. Wait for it, or stop it first."))
    last = (
        shown_messages(conversation_id)
        .filter(deleted_at=None)
        .exclude(role=Message.Role.SYSTEM)
        .order_by("-seq")
        .first()
    )
    if continues and message_id is None:
        raise Refused(ErrorCode.INVALID, "`continue` needs the `message` that is to go on.")
    if last is None:
        raise Refused(ErrorCode.CONFLICT, _("There is nothing to answer yet."))
    if message_id is None:
        return queue_run(conversation, asked, participant.user_id, host).id
    if not Message.objects.filter(conversation=conversation_id, pk=message_id).exists():
        raise Refused(ErrorCode.NOT_FOUND, _("There is no such message in this conversation."))
    if message_id != last.id:
        raise Refused(ErrorCode.CONFLICT, _("Only the last answer can be made again, or go on."))
    replaces = last if last.role == Message.Role.ASSISTANT else None
    if continues and (replaces is None or not last.run.cut_off):
        raise Refused(ErrorCode.CONFLICT, _("There is nothing to go on with: this was not cut off."))
    if replaces is not None and (agent is None or continues) and last.run.agent in conversation.agents:
        asked = check_responder(participant, conversation, last.run.agent)
    return queue_run(conversation, asked, participant.user_id, host, replaces=replaces, continues=continues).id


class TooManyRuns(Exception):
    """The run stays queued: its launcher (`user_id`) has MAX_RUNS_PER_USER running."""

    def __init__(self, user_id: Any) -> None:
        super().__init__(user_id)
        self.user_id = user_id


class StartedRun(Struct, frozen=True):
    """A run that this process has begun: the answer so far, the agent, and what the model is sent.

    `decisions` are of a run that goes on after approvals, by the model's id of each call; None for a new one.
    """

    message: objects.Message
    agent: str
    prompt: list[engine.Message]
    user: Any
    """The row of who launched it, and of its conversation: for tools."""
    conversation: Any
    transcript: list[engine.Message] = []
    """What it has added to the history before, if it goes on."""
    omitted_seq: int = 0
    """The number of the newest message that did not fit into the prompt and is in no summary; 0 if there is none."""
    decisions: dict[str, engine.Decision] | None = None
    call_ids: dict[str, UUID] = {}
    """Our ids of its calls by the model's."""
    remaining: list[RemainingBudget] = []
    """What is left of the budgets that it is held against."""
    price: Price | None = None


@transaction.atomic
def start_run(run_id: UUID, host: str) -> StartedRun | None:
    """Claim a queued run. None where it is no longer to be run: stopped before it began, or taken from this host.

    Raises OneTooMany. (Two processes that begin runs of one person in the same instant may exceed the limit by one.)
    """
    rows = Run.objects.select_related("launched_by", "message", "replaces__run", "replaces__alternative_of")
    run = rows.filter(pk=run_id).first()
    if run is None:
        return None
    if run.launched_by_id is not None:
        others = Run.objects.filter(launched_by=run.launched_by_id, status=Run.Status.RUNNING).exclude(pk=run_id)
        if others.count() >= conf.MAX_RUNS_PER_USER:
            raise TooManyRuns(run.launched_by_id)
    conversation = lock_conversation(run.conversation_id)
    if run.message is None:
        conversation.waiting = [entry for entry in conversation.waiting if entry[0] != run.agent]
        run.message = create_answer(conversation, run)
    answer = run.message
    run.status, run.place, run.heartbeat_at = Run.Status.RUNNING, None, timezone.now()
    run.started_at = run.started_at or run.heartbeat_at
    run.model = agents.model_of(agents.find(run.agent))[:200]
    claimed = Run.objects.filter(pk=run_id, host=host, status=Run.Status.QUEUED, stop_requested_at=None).update(
        **{name: getattr(run, name) for name in ("message", "status", "place", "heartbeat_at", "started_at", "model")}
    )
    if not claimed:
        transaction.set_rollback(True)
        return None
    earlier = prompt_messages(conversation.id).filter(seq__lt=answer.seq).order_by("-seq")
    transcript = prompts.decode_transcript(run)
    if run.continues and run.replaces is not None and not transcript:
        transcript = prompts.build_continuation(run.replaces)
    calls = {call.call_id: call for call in run.calls.select_related("decided_by")}
    waiting = [call.id for call in pending_calls(transcript)]
    budget = agents.find(run.agent).history_tokens or conf.HISTORY_TOKENS
    prompt = prompts.build_prompt(
        earlier.iterator(chunk_size=PAGE_SIZE),
        budget - sum(map(estimate_tokens, transcript)),
        run.agent,
        read_files_for_prompt(conversation.id, answer.seq, budget * CHARS_PER_TOKEN // 2),
        conversation.summary,
    )
    with override(settings.LANGUAGE_CODE):  # why it ends, if it ends at one of them, is kept for all
        remaining = read_remaining(run.launched_by, conversation)
    return StartedRun(
        message=objects.Message.of(answer),
        agent=run.agent,
        prompt=prompt.messages + transcript,
        omitted_seq=prompt.omitted_seq if prompt.omitted_seq > conversation.summary_seq else 0,
        user=run.launched_by,
        conversation=conversation,
        transcript=transcript,
        decisions={call_id: _decision(calls[call_id]) for call_id in waiting} if waiting else None,
        call_ids={call_id: call.id for call_id, call in calls.items()},
        remaining=remaining,
        price=find_price(run.model),
    )


@transaction.atomic
def finish_run(run_id: UUID, host: str, ending: Ending) -> FinishedRun | None:
    """The one terminal write of a run. None where it no longer belongs to `host`: its end was written by another."""
    run = Run.objects.filter(pk=run_id).first()
    if run is None:
        return None
    conversation = lock_conversation(run.conversation_id)
    if not end_run(run, ending, host=host, status=Run.Status.RUNNING):
        return None
    assert run.message_id is not None  # it was running
    Message.objects.filter(pk=run.message_id).update(text=ending.written.text, thinking=ending.written.thinking)
    index_messages([Message(pk=run.message_id, conversation=conversation, text=ending.written.text)])
    touch(conversation)
    return read_finished(run_id, following=queue_next_run(conversation, "" if ending.leave_next_to_others else host))


@transaction.atomic
def request_stop(user_id: Any, conversation_id: UUID, run_id: UUID, host: str = "") -> FinishedRun | None:
    """Somebody stops a run. What no process is at work on ends here and comes back, and what was said meanwhile is
    queued for `host`; else the column is set, and the run's host obeys.
    """
    participant = lock_membership(user_id, conversation_id)
    conversation = participant.conversation
    run = Run.objects.filter(pk=run_id, conversation=conversation_id).first()
    if run is None:
        raise Refused(ErrorCode.NOT_FOUND, _("There is no such run in this conversation."))
    if run.status not in Run.ACTIVE:
        raise Refused(ErrorCode.RUN_OVER, _("This answer has ended already."))
    if not policy().can_stop(participant, run):
        raise Refused(ErrorCode.FORBIDDEN, _("Only who asked, or an owner of the conversation, can stop this answer."))
    if not stop_run(run, participant.user_id):
        return None
    return read_finished(run_id, following=queue_next_run(conversation, host))


class StoredRun(Struct, frozen=True):
    """A run and its answer as their rows are; `silent` where its process has missed some heartbeats."""

    run: objects.Run
    message: objects.Message | None
    silent: bool


def get_run(conversation_id: UUID, run_id: UUID) -> StoredRun:
    """Raises Refused(NOT_FOUND)."""
    row = select_runs().filter(conversation=conversation_id, pk=run_id).first()
    if row is None:
        raise Refused(ErrorCode.NOT_FOUND, _("There is no such run in this conversation."))
    silent = row.heartbeat_at < timezone.now() - timedelta(seconds=SILENT_AFTER)
    return StoredRun(objects.Run.of(row), read_answer(row), silent)


def _decision(call: ToolCall) -> engine.Decision:
    if call.status == ToolCall.Status.REJECTED:
        return engine.Reject(call.reason)
    return engine.Approve(call.arguments if call.changed else None)
