"""Units of work on the ORM: synchronous, each one transaction, the only writer of the rows.

Called through `database_sync_to_async` by `consumers`, `supervisor` and `runs`, directly by `api` and `views`. What a
person asks for is checked here, in the transaction that does it, and refused with `commands.Refused`. What comes back
are wire objects (`objects.py`), never rows.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import Case, Exists, F, Field, Model, OuterRef, Prefetch, Q, QuerySet, Value, When
from django.utils import timezone
from msgspec import Struct

from . import agents, engine, history, objects
from .commands import Refused, ToolDecide
from .conf import conf
from .engine.approvals import pending
from .models import Conversation, Message, Participant, Run, ToolCall
from .permissions import policy

PAGE = 50
LIST = 200
TITLE_CHARS = 60
SILENT = 3.0
"""Seconds without a heartbeat after which a run's process is not relied on for an answer."""

_ACTIVE_RUN = Exists(Run.objects.filter(conversation=OuterRef("pk"), status__in=Run.ACTIVE))
_NOT_FOUND = "There is no such conversation, or you are not in it."


# --- Conversations


def create_conversation(user: Any, title: str = "", agent: str | None = None) -> objects.Conversation:
    """A new conversation that `user` owns. Raises Refused where the site has no such agent."""
    if agent is not None and agent not in conf.AGENTS:
        raise Refused("invalid", f"There is no such agent; known are {', '.join(sorted(conf.AGENTS))}.")
    with transaction.atomic():
        row = Conversation.objects.create(title=title, agent=agent or agents.default_slug())
        Participant.objects.create(conversation=row, user=user, role=Participant.Role.OWNER)
    return objects.Conversation.of(row, running=False)


def conversations_of(user_id: Any) -> list[objects.Conversation]:
    """A person's conversations, newest first, at most LIST."""
    rows = Conversation.objects.filter(participants__user=user_id).annotate(running=_ACTIVE_RUN)[:LIST]
    return [objects.Conversation.of(row, running=row.running) for row in rows]


class Listing(Struct, frozen=True):
    """A conversation as lists show it, and the ids of the people in whose lists it is."""

    conversation: objects.Conversation
    audience: list[Any]


def listing(conversation_id: UUID) -> Listing | None:
    """None where it is gone."""
    row = Conversation.objects.annotate(running=_ACTIVE_RUN).filter(pk=conversation_id).first()
    if row is None:
        return None
    audience = Participant.objects.filter(conversation=row).values_list("user_id", flat=True)
    return Listing(objects.Conversation.of(row, running=row.running), list(audience))


class Entered(Struct, frozen=True):
    """What a socket shows first."""

    you: objects.You
    conversation: objects.Conversation
    participants: list[objects.Participant]
    messages: list[objects.Message]
    more: bool
    runs: list[objects.Run]


def enter(user_id: Any, conversation_id: UUID) -> Entered:
    """Raises Refused("not_found") where there is no such conversation or the person is not in it."""
    participant = _participant(user_id, conversation_id)
    me = objects.Participant.of(participant)
    everyone = Participant.objects.filter(conversation=conversation_id).select_related("user")
    runs = [objects.Run.of(run) for run in _active_runs(conversation_id)]
    messages, more = _page(conversation_id, before=None, limit=PAGE)
    return Entered(
        you=objects.You(me.user.id, me.user.name, me.role),
        conversation=objects.Conversation.of(participant.conversation, running=bool(runs)),
        participants=[objects.Participant.of(row) for row in everyone],
        messages=messages,
        more=more,
        runs=runs,
    )


def page(user_id: Any, conversation_id: UUID, before: int | None, limit: int) -> tuple[list[objects.Message], bool]:
    """`limit` messages older than number `before` (the newest where it is None), in order; whether there are more."""
    _participant(user_id, conversation_id)
    return _page(conversation_id, before, limit)


# --- Messages


class Posted(Struct, frozen=True):
    """`message` is in the conversation. What follows from it: a run to start, or one to stop first."""

    message: objects.Message
    repeated: bool = False
    start: UUID | None = None
    stop: UUID | None = None
    ended: "Finished | None" = None
    """A run that stood still and was ended by the message."""


@transaction.atomic
def post_message(
    user_id: Any, conversation_id: UUID, text: str, client_id: UUID | None, mode: str | None, host: str
) -> Posted:
    """A person says something; the same `client_id` twice is one message.

    Without an active run, one is queued for `host`. During a run the message waits for the run's end, where
    `finish_run` queues the next one; with mode `interrupt` (default for one's own run) that end is asked for now.
    """
    participant = _participant(user_id, conversation_id)
    conversation = _lock(conversation_id)
    if client_id is not None:
        earlier = _messages(conversation_id).filter(author=user_id, client_id=client_id).first()
        if earlier is not None:
            return Posted(objects.Message.of(earlier), repeated=True)
    _may_post(participant)
    text = storable(text)
    if not text.strip():
        raise Refused("empty", "The message has no text.")
    if len(text) > conf.MAX_MESSAGE_CHARS:
        raise Refused(
            "too_large",
            f"A message may have at most {conf.MAX_MESSAGE_CHARS:,} characters; this one has {len(text):,}.",
        )
    if not conversation.title:
        conversation.title = _title(text)
    row = _append(conversation, role=Message.Role.USER, author=participant.user, text=text, client_id=client_id)
    message = objects.Message.of(row)
    active = _active_runs(conversation_id).first()
    if active is None:
        return Posted(message, start=_queue(conversation, participant.user_id, host).id)
    own = active.launched_by_id == participant.user_id
    interrupt = mode == "interrupt" or (mode is None and own and conversation.mode == Conversation.Mode.INTERRUPT)
    if not interrupt or not policy().can_stop(participant, active):
        return Posted(message)
    ended = _stop(active, participant.user_id)
    if ended is None:
        return Posted(message, stop=active.id)
    return Posted(message, ended=ended, start=_queue(conversation, participant.user_id, host).id)


# --- Runs


@transaction.atomic
def request_run(user_id: Any, conversation_id: UUID, message_id: UUID | None, host: str) -> UUID:
    """Queue a run without a new message: an answer to what was said last, or, with the last answer's id, that again."""
    participant = _participant(user_id, conversation_id)
    conversation = _lock(conversation_id)
    _may_post(participant)
    if _active_runs(conversation_id).exists():
        raise Refused("conflict", "An answer is being made. Wait for it, or stop it first.")
    last = _messages(conversation_id).order_by("-seq").first()
    if last is None:
        raise Refused("conflict", "There is nothing to answer yet.")
    if message_id is None:
        return _queue(conversation, participant.user_id, host).id
    if not Message.objects.filter(conversation=conversation_id, pk=message_id).exists():
        raise Refused("not_found", "There is no such message in this conversation.")
    if message_id != last.id:
        raise Refused("conflict", "Only the last answer can be made again.")
    replaces = last if last.role == Message.Role.ASSISTANT else None
    return _queue(conversation, participant.user_id, host, replaces=replaces).id


class Started(Struct, frozen=True):
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
    decisions: dict[str, engine.Decision] | None = None
    call_ids: dict[str, UUID] = {}
    """Our ids of its calls by the model's."""


@transaction.atomic
def start_run(run_id: UUID, host: str) -> Started | None:
    """Claim a queued run. None where it is no longer to be run: stopped before it began, or taken from this host."""
    run = Run.objects.select_related("launched_by").filter(pk=run_id).first()
    if run is None:
        return None
    conversation = _lock(run.conversation_id)
    now = timezone.now()
    agent = agents.find(run.agent)
    claimed = Run.objects.filter(pk=run_id, host=host, status=Run.Status.QUEUED, stop_requested_at=None).update(
        status=Run.Status.RUNNING,
        started_at=run.started_at or now,
        heartbeat_at=now,
        model=agents.model_of(agent)[:200],
    )
    if not claimed:
        return None
    answer = run.message
    if answer is None:
        answer = _append(conversation, role=Message.Role.ASSISTANT, replaces=run.replaces)
        Run.objects.filter(pk=run_id).update(message=answer)
    earlier = _messages(conversation.id).filter(seq__lt=answer.seq).order_by("-seq")
    transcript = history.transcript(run)
    calls = {call.call_id: call for call in run.calls.all()}
    waiting = [call.id for call in pending(transcript)]
    return Started(
        message=objects.Message.of(_messages(conversation.id).get(pk=answer.pk)),
        agent=run.agent,
        prompt=history.prompt(earlier.iterator(chunk_size=PAGE), conf.HISTORY_TOKENS) + transcript,
        user=run.launched_by,
        conversation=conversation,
        transcript=transcript,
        decisions={call_id: _decision(calls[call_id]) for call_id in waiting} if waiting else None,
        call_ids={call_id: call.id for call_id, call in calls.items()},
    )


def save_call(run_id: UUID, host: str, call: objects.Call, call_id: str) -> None:
    """A tool call is new, or has its result. Writes nothing into a run that is not `host`'s any more."""
    if not Run.objects.filter(pk=run_id, host=host, status=Run.Status.RUNNING).exists():
        return
    fields = {
        "name": call.name[:100],
        "arguments": _storable_json(call.arguments),
        "status": call.status,
        "result": None if call.result is None else storable(call.result),
    }
    ToolCall.objects.update_or_create(
        pk=call.id, defaults=fields, create_defaults=fields | {"run_id": run_id, "call_id": call_id[:200]}
    )


@transaction.atomic
def await_approval(run_id: UUID, host: str, written: "Written", transcript: list[engine.Message]) -> "Finished | None":
    """A run stands still until people have decided on its waiting calls. None where it is no longer `host`'s."""
    mine = Run.objects.filter(pk=run_id, host=host, status=Run.Status.RUNNING)
    if not mine.update(status=Run.Status.AWAITING_APPROVAL, seq=written.seq, transcript=history.stored(transcript)):
        return None
    Message.objects.filter(run=run_id).update(text=written.text, thinking=written.thinking)
    waiting = [call.id for call in pending(transcript)]
    ToolCall.objects.filter(run=run_id, call_id__in=waiting).update(status=ToolCall.Status.AWAITING_APPROVAL)
    return _finished(run_id)


class Decided(Struct, frozen=True):
    """A decision is in the row; `seq` numbers the frame that tells of it. `start`: it was the last that was missing."""

    run: UUID
    seq: int
    call: objects.Call
    start: bool


@transaction.atomic
def decide(user_id: Any, conversation_id: UUID, asked: ToolDecide, host: str) -> Decided:
    """A person approves or rejects a tool call. With the last decision of a run, it is queued for `host`."""
    participant = _participant(user_id, conversation_id)
    _lock(conversation_id)
    call = ToolCall.objects.select_related("run").filter(pk=asked.call, run__conversation=conversation_id).first()
    if call is None:
        raise Refused("not_found", "There is no such tool call in this conversation.")
    run = call.run
    if not policy().can_decide(participant, run):
        raise Refused("forbidden", "Only who asked, or an owner of the conversation, can decide on this.")
    if call.status != ToolCall.Status.AWAITING_APPROVAL or run.status != Run.Status.AWAITING_APPROVAL:
        raise Refused("conflict", "This has been decided already.")
    call.decided_by, call.decided_at = participant.user, timezone.now()
    if asked.decision == "reject":
        call.status, call.reason = ToolCall.Status.REJECTED, storable(asked.reason)
    else:
        call.status = ToolCall.Status.RUNNING
        if asked.arguments is not None and asked.arguments != call.arguments:
            call.arguments, call.changed = _storable_json(asked.arguments), True
    call.save()
    complete = not run.calls.filter(status=ToolCall.Status.AWAITING_APPROVAL).exists()
    run.seq += 1
    if complete:
        run.status, run.host, run.heartbeat_at = Run.Status.QUEUED, host, timezone.now()
    run.save(update_fields=["seq", "status", "host", "heartbeat_at"])
    return Decided(run.id, run.seq, objects.Call.of(call), complete)


class Written(Struct, frozen=True):
    """What a run has published: `text` and `thinking` include its frames up to `seq`."""

    seq: int = 0
    text: str = ""
    thinking: str = ""


class Checkpoint(Struct, frozen=True):
    run: UUID
    message: UUID
    written: Written


@transaction.atomic
def heartbeat(host: str, runs: Sequence[UUID], checkpoints: Sequence[Checkpoint]) -> list[UUID]:
    """These runs of `host` live, and some are this far: one UPDATE of runs, one of messages, however many there are.

    Returns the ids of those that somebody asked to stop, so that no stop depends on a message that may be lost.
    Only what still belongs to `host` is written.
    """
    mine = Run.objects.filter(pk__in=runs, host=host, status__in=Run.ACTIVE)
    if checkpoints:
        mine.update(heartbeat_at=timezone.now(), seq=_each(Run, "seq", {c.run: c.written.seq for c in checkpoints}))
        Message.objects.filter(
            pk__in=[c.message for c in checkpoints], run__host=host, run__status=Run.Status.RUNNING
        ).update(
            text=_each(Message, "text", {c.message: c.written.text for c in checkpoints}),
            thinking=_each(Message, "thinking", {c.message: c.written.thinking for c in checkpoints}),
        )
    else:
        mine.update(heartbeat_at=timezone.now())
    return list(mine.exclude(stop_requested_at=None).values_list("pk", flat=True))


class Ending(Struct, frozen=True, kw_only=True):
    """How a run ended, and with what."""

    status: str
    written: Written = Written()
    usage: engine.Usage | None = None
    finish_reason: str | None = None
    error: objects.Failure | None = None
    transcript: list[engine.Message] = []
    answer_waiting: bool = True
    """Whether messages that came during the run get the next one."""


class Finished(Struct, frozen=True):
    """A run that is over, its answer, and the run that was queued to follow it."""

    run: objects.Run
    message: objects.Message | None
    next: UUID | None = None


@transaction.atomic
def finish_run(run_id: UUID, host: str, ending: Ending) -> Finished | None:
    """The one terminal write of a run. None where it no longer belongs to `host`: its end was written by another."""
    run = Run.objects.filter(pk=run_id).first()
    if run is None:
        return None
    conversation = _lock(run.conversation_id)
    mine = Run.objects.filter(pk=run_id, host=host, status=Run.Status.RUNNING)
    if not _end(mine, ending):
        return None
    Message.objects.filter(run=run_id).update(text=ending.written.text, thinking=ending.written.thinking)
    Run.objects.filter(pk=run_id).update(transcript=history.stored(ending.transcript))
    _touch(conversation)
    return _finished(run_id, following=_next_run(conversation, run, host) if ending.answer_waiting else None)


@transaction.atomic
def request_stop(user_id: Any, conversation_id: UUID, run_id: UUID) -> Finished | None:
    """Somebody stops a run. What no process is at work on ends here and comes back; else the column is set, and the
    run's host obeys.
    """
    participant = _participant(user_id, conversation_id)
    _lock(conversation_id)
    run = Run.objects.filter(pk=run_id, conversation=conversation_id).first()
    if run is None:
        raise Refused("not_found", "There is no such run in this conversation.")
    if run.status not in Run.ACTIVE:
        raise Refused("run_over", "This answer has ended already.")
    if not policy().can_stop(participant, run):
        raise Refused("forbidden", "Only who asked, or an owner of the conversation, can stop this answer.")
    return _stop(run, participant.user_id)


class Stored(Struct, frozen=True):
    """A run and its answer as their rows are; `silent` where its process has missed some heartbeats."""

    run: objects.Run
    message: objects.Message | None
    silent: bool


def find_run(conversation_id: UUID, run_id: UUID) -> Stored:
    """Raises Refused("not_found")."""
    row = _runs().filter(conversation=conversation_id, pk=run_id).first()
    if row is None:
        raise Refused("not_found", "There is no such run in this conversation.")
    silent = row.heartbeat_at < timezone.now() - timedelta(seconds=SILENT)
    return Stored(objects.Run.of(row), _answer(row), silent)


def reap(conversation_id: UUID | None = None) -> list[Finished]:
    """Mark `interrupted` what silent processes left behind, in one conversation or everywhere; the text is kept."""
    silent = timezone.now() - timedelta(seconds=conf.HOST_TIMEOUT)
    stale = Run.objects.filter(status__in=(Run.Status.QUEUED, Run.Status.RUNNING), heartbeat_at__lt=silent).filter(
        Q(conversation=conversation_id) if conversation_id else Q()
    )
    reaped = []
    for run_id, seq in stale.values_list("pk", "seq"):
        lost = objects.Failure(
            "host_lost", "The server that was writing this answer ended. What it had written is kept."
        )
        ending = Ending(status=Run.Status.INTERRUPTED, written=Written(seq), error=lost)
        if _end(stale.filter(pk=run_id), ending):
            reaped.append(_finished(run_id))
    return reaped


# --- Parts of the above


def storable(text: str) -> str:
    """`text` without the one character that PostgreSQL's text cannot hold."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _participant(user_id: Any, conversation_id: UUID) -> Participant:
    row = (
        Participant.objects.select_related("user", "conversation")
        .filter(user=user_id, conversation=conversation_id)
        .first()
    )
    if row is None or not policy().can_see(row):
        raise Refused("not_found", _NOT_FOUND)
    return row


def _may_post(participant: Participant) -> None:
    if not policy().can_post(participant):
        raise Refused("forbidden", "You can read this conversation, but not write in it.")


def _lock(conversation_id: UUID) -> Conversation:
    """The row, locked until the transaction ends: whatever orders messages or runs does so one after another."""
    return Conversation.objects.select_for_update().get(pk=conversation_id)


def _append(conversation: Conversation, **fields: Any) -> Message:
    """The next message of a locked conversation."""
    conversation.last_seq += 1
    _touch(conversation)
    return Message.objects.create(conversation=conversation, seq=conversation.last_seq, **fields)


def _touch(conversation: Conversation) -> None:
    conversation.updated_at = timezone.now()
    conversation.save(update_fields=["title", "last_seq", "updated_at"])


def _title(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= TITLE_CHARS else words[: TITLE_CHARS - 1].rstrip() + "…"


def _messages(conversation_id: UUID) -> QuerySet[Message]:
    """The messages that count: an answer that was made again is not among them."""
    rows = Message.objects.filter(conversation=conversation_id, replaced_by=None)
    calls = Prefetch("run__calls", ToolCall.objects.select_related("decided_by"))
    return rows.select_related("author", "run__launched_by", "run__stopped_by").prefetch_related(calls)


def _page(conversation_id: UUID, before: int | None, limit: int) -> tuple[list[objects.Message], bool]:
    rows = _messages(conversation_id).order_by("-seq")
    if before is not None:
        rows = rows.filter(seq__lt=before)
    newest_first = list(rows[: limit + 1])
    return [objects.Message.of(row) for row in reversed(newest_first[:limit])], len(newest_first) > limit


def _each(model: type[Model], field: str, values: dict[UUID, Any]) -> Case:
    """For an UPDATE that gives each of several rows a value of its own."""
    cases = [When(pk=key, then=Value(value)) for key, value in values.items()]
    column = model._meta.get_field(field)
    assert isinstance(column, Field)
    return Case(*cases, default=F(field), output_field=column)


def _runs() -> QuerySet[Run]:
    return Run.objects.select_related("launched_by", "stopped_by")


def _active_runs(conversation_id: UUID) -> QuerySet[Run]:
    return _runs().filter(conversation=conversation_id, status__in=Run.ACTIVE)


def _queue(conversation: Conversation, user_id: Any, host: str, replaces: Message | None = None) -> Run:
    return Run.objects.create(
        conversation=conversation, agent=conversation.agent, launched_by_id=user_id, host=host, replaces=replaces
    )


def _next_run(conversation: Conversation, run: Run, host: str) -> UUID | None:
    """Queue the answer to what was said while `run` was active; several messages get one answer."""
    said = _messages(conversation.id).filter(role=Message.Role.USER).order_by("-seq").first()
    if said is None or run.message is None or said.seq < run.message.seq:
        return None
    return _queue(conversation, said.author_id, host).id


def _stop(run: Run, user_id: Any) -> "Finished | None":
    """Ask for a run's end, and end it where no process is at work on it."""
    Run.objects.filter(pk=run.pk, stop_requested_at=None).update(stop_requested_at=timezone.now(), stopped_by=user_id)
    still = Run.objects.filter(pk=run.pk, status__in=(Run.Status.QUEUED, Run.Status.AWAITING_APPROVAL))
    if _end(still, Ending(status=Run.Status.STOPPED, written=Written(run.seq))):
        return _finished(run.pk)
    return None


def _decision(call: ToolCall) -> engine.Decision:
    if call.status == ToolCall.Status.REJECTED:
        return engine.Reject(call.reason)
    return engine.Approve(call.arguments if call.changed else None)


def _storable_json(value: Any) -> Any:
    """PostgreSQL's JSON cannot hold the character that its text cannot hold either."""
    return msgspec.json.decode(msgspec.json.encode(value).replace(b"\\u0000", b"\\ufffd"))


def _end(runs: QuerySet[Run], ending: Ending) -> bool:
    """The conditional UPDATE that decides a run's end: true for exactly one caller."""
    error, usage = ending.error, ending.usage
    fields: dict[str, Any] = {
        "status": ending.status,
        "finished_at": timezone.now(),
        "seq": ending.written.seq,
        "finish_reason": ending.finish_reason and ending.finish_reason[:100],
    }
    if error is not None:
        fields |= {
            "error_code": error.code[:50],
            "error_message": storable(error.message),
            "retry_after": error.retry_after,
        }
    if usage is not None:
        fields |= {name: getattr(usage, name) for name in objects.Usage.__struct_fields__}
    if ending.status != Run.Status.STOPPED:
        fields["stopped_by"] = None
    ids = list(runs.values_list("pk", flat=True))
    ended = bool(runs.update(**fields))
    if ended:
        open_calls = ToolCall.objects.filter(
            run__in=ids, status__in=(ToolCall.Status.RUNNING, ToolCall.Status.AWAITING_APPROVAL)
        )
        open_calls.update(status=ToolCall.Status.STOPPED)
    return ended


def _finished(run_id: UUID, following: UUID | None = None) -> Finished:
    row = _runs().get(pk=run_id)
    return Finished(objects.Run.of(row), _answer(row), following)


def _answer(run: Run) -> objects.Message | None:
    row = _messages(run.conversation_id).filter(pk=run.message_id).first() if run.message_id else None
    return objects.Message.of(row) if row else None
