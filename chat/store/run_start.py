"""Claim a queued run: create its answer, and build everything that the process needs to make it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Prefetch, QuerySet, prefetch_related_objects
from django.utils import timezone
from django.utils.translation import override
from msgspec import Struct

from .. import agents, database, engine, rooms
from ..conf import AgentConf, Price, conf
from ..engine.approvals import pending_calls
from ..engine.tokens import CHARS_PER_TOKEN, estimate_tokens
from ..models import Conversation, Message, Run, ToolCall
from ..protocol import objects
from . import prompts
from .alternatives import create_answer
from .approvals import call_key
from .base import PAGE_SIZE, lock_conversation
from .budgets import read_remaining
from .inspections import is_inspected
from .prepared import Param, Select, insert
from .pricing import RemainingBudget, find_price
from .prompt_files import read_files_for_prompt
from .responders import drop_waiting
from .unit_of_work import unit_of_work


class TooManyRuns(Exception):
    """The run stays queued: its launcher (`user_id`) has MAX_RUNS_PER_USER running."""

    def __init__(self, user_id: Any) -> None:
        super().__init__(user_id)
        self.user_id = user_id


class StartedRun(Struct, frozen=True):
    """A claimed run: the answer so far, the agent's slug, and what the model is sent."""

    message: objects.Message
    agent: str
    settings: AgentConf
    """The agent as it was when the run began: a change meanwhile is for later runs."""
    prompt: list[engine.Message]
    user: Any
    """The row of the launcher, for tools; None if the account was deleted."""
    conversation: Any
    """The row of the conversation, for tools."""
    transcript: list[engine.Message] = []
    """What the run has added to the conversation before, if it is resumed or continues an answer."""
    omitted_seq: int = 0
    """The number of the newest message that is neither in the prompt nor in the summary; 0 if there is none."""
    decisions: dict[str, engine.Decision] | None = None
    """If the run is resumed after approvals: the decisions by the engine's ids of the calls."""
    call_keys: dict[str, UUID] = {}
    """Ids of its tool calls' rows by `call_key`."""
    room: rooms.Briefing | None = None
    """What the agent gets of the object, if the conversation is the room of one."""
    remaining: list[RemainingBudget] = []
    price: Price | None = None
    inspected: bool = False
    """Whether the run inspector records it."""
    read_at: datetime | None = None
    """When the prompt was read, under the lock of the conversation."""


def create_running(
    run_id: UUID, conversation: Conversation, agent: str, user: Any, host: str, answer: Message, unattended: bool
) -> Run:
    """Create a run that is not queued, because `host` begins it at once. `answer` is its new message."""
    now, resolved = timezone.now(), agents.resolve(agent)
    run = Run(
        id=run_id,
        conversation=conversation,
        agent=agent,
        launched_by=user,
        host=host,
        message=answer,
        status=Run.Status.RUNNING,
        heartbeat_at=now,
        started_at=now,
        model=_model_of(resolved.settings),
        agent_version=resolved.version,
        unattended=unattended,
    )
    insert([run])
    return run


@unit_of_work()
def start_run(run_id: UUID, host: str) -> StartedRun | None:
    """Claim a queued run for `host`. None if it was stopped, or belongs to another host by now. Raises TooManyRuns.

    Two processes that start runs of one user at the same moment can exceed the limit by one.
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
        # The prompt includes everything posted so far, so this run also answers what its agent was asked meanwhile.
        drop_waiting(conversation, run.agent)
        run.message = create_answer(conversation, run)
    run.status, run.place, run.heartbeat_at = Run.Status.RUNNING, None, timezone.now()
    resolved = agents.resolve(run.agent, run.agent_version)
    run.started_at = run.started_at or run.heartbeat_at
    run.model, run.agent_version = _model_of(resolved.settings), resolved.version
    claimed = Run.objects.filter(pk=run_id, host=host, status=Run.Status.QUEUED, stop_requested_at=None).update(
        **{name: getattr(run, name) for name in _CLAIMED}
    )
    if not claimed:
        transaction.set_rollback(True, using=database.alias())  # takes back the answer's row
        return None
    return describe_start(run, conversation)


_CLAIMED = ("message", "status", "place", "heartbeat_at", "started_at", "model", "agent_version")


def _model_of(agent: AgentConf) -> str:
    return agents.model_of(agent)[:200]


def describe_start(
    run: Run, conversation: Conversation, question: Message | None = None, has_files: bool = True
) -> StartedRun:
    """What the process of a claimed run needs. `question` is the message before a new answer, if the caller has it;
    `has_files` is false if no message of the conversation has attachments.
    """
    answer, read_at = run.message, timezone.now()
    assert answer is not None
    transcript = prompts.decode_transcript(run)
    if run.continues and run.replaces is not None and not transcript:
        transcript = prompts.build_continuation(run.replaces)
    is_new = question is not None
    calls = {} if is_new else {call.call_id: call for call in run.calls.select_related("decided_by")}
    decided = [call.id for call in pending_calls(transcript)]  # ids that the engine knows; rows have keys
    agent = agents.resolve(run.agent, run.agent_version).settings
    budget = agent.history_tokens or conf.HISTORY_TOKENS
    earlier = _read_earlier(conversation, answer.seq) if question is None else _read_before(conversation, question)
    prompt = prompts.build_prompt(
        earlier,
        budget - sum(map(estimate_tokens, transcript)),
        run.agent,
        read_files_for_prompt(conversation.id, answer.seq, budget * CHARS_PER_TOKEN // 2) if has_files else {},
        conversation.summary,
    )
    with override(settings.LANGUAGE_CODE):  # a budget that ends the run is stored as its error, which everyone reads
        remaining = read_remaining(run.launched_by, conversation)
    return StartedRun(
        message=objects.Message.of(answer, objects.Belongings() if is_new else None),
        agent=run.agent,
        settings=agent,
        prompt=prompt.messages + transcript,
        omitted_seq=prompt.omitted_seq if prompt.omitted_seq > conversation.summary_seq else 0,
        user=run.launched_by,
        conversation=conversation,
        transcript=transcript,
        decisions={key: _read_decision(calls.get(call_key(key))) for key in decided} if decided else None,
        call_keys={key: call.id for key, call in calls.items()},
        room=rooms.brief(conversation),
        remaining=remaining,
        price=find_price(run.model),
        read_at=read_at,
        inspected=is_inspected(conversation.pk, run.agent),
    )


def _read_before(conversation: Conversation, question: Message) -> Iterator[Message]:
    """A message, and those before it, newest first, with what `prompts` reads of them."""
    yield question
    if question.seq > 1:
        yield from _read_earlier(conversation, question.seq)


def _read_earlier(conversation: Conversation, seq: int) -> Iterator[Message]:
    """The messages before number `seq`, newest first: shown and not deleted. What does not fit into the prompt is not
    read, except for the rest of a page.
    """
    page = _NEWEST.all(conversation=conversation.pk, before=seq)
    yield from _with_replies(page)
    if len(page) == PAGE_SIZE:
        for older in _EARLIER.pages(PAGE_SIZE, conversation=conversation.pk, before=page[-1].seq):
            yield from _with_replies(older)


def _with_replies(page: list[Message]) -> list[Message]:
    if replies := [row for row in page if row.reply_to_id is not None]:
        read = ("text", "author", "deleted_at", "shown", "run__agent")
        replied = Message.objects.select_related("author", "run").only(*read)
        prefetch_related_objects(replies, Prefetch("reply_to", replied))
    return page


def _earlier() -> QuerySet[Message]:
    rows = Message.objects.filter(
        conversation=Param("conversation", Message, "conversation"),
        seq__lt=Param("before", Message, "seq"),
        shown=True,
        deleted_at=None,
    )
    run = ("run__agent", "run__status", "run__transcript")
    read = ("seq", "role", "text", "author", "reply_to", "selection", *run)
    return rows.select_related("author", "run").only(*read).order_by("-seq")


_NEWEST = Select(lambda: _earlier()[:PAGE_SIZE])
_EARLIER = Select(_earlier)


def _read_decision(call: ToolCall | None) -> engine.Decision:
    """What the row of a call says. Only an approval makes the call: anything unexpected counts as a rejection."""
    if call is not None and call.status == ToolCall.Status.RUNNING and call.decided_at is not None:
        return engine.Approve(call.arguments if call.changed else None)
    return engine.Reject(call.reason if call is not None else "")
