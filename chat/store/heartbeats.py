"""Heartbeats of server processes: keep runs alive, reap those of dead processes, adopt and release queued ones."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, When
from django.utils import timezone
from msgspec import Struct

from .. import engine
from ..conf import conf
from ..engine.tokens import CHARS_PER_TOKEN
from ..fulltext import make_index_text
from ..models import Guest, Message, Run
from ..protocol import objects
from .base import lock_conversation, lock_rows
from .bulk import CaseByPk
from .prepared import Param
from .run_lifecycle import (
    HOSTED,
    Ending,
    FinishedRun,
    Written,
    end_run,
    ends,
    queue_next_run,
    read_finished,
    select_runs,
)
from .search import index_message
from .unit_of_work import skip_if_locked, unit_of_work


class Checkpoint(Struct, frozen=True):
    """What a running run has written so far."""

    run: UUID
    message: UUID
    written: Written


class HeartbeatResult(Struct, frozen=True):
    """`mine`: the runs that still belong to the host; `stop`: those among them that somebody asked to stop."""

    mine: set[UUID]
    stop: list[UUID]


@unit_of_work()
def heartbeat(
    host: str, runs: Sequence[UUID], checkpoints: Sequence[Checkpoint], places: Mapping[UUID, int] | None = None
) -> HeartbeatResult:
    """Keep a host's runs alive, and store the text of running ones and the `places` of queued ones: one UPDATE of runs
    and one of messages, however many there are. Runs that belong to another host by now are left alone, and so are rows
    that somebody has locked: one of them must not make all runs look dead.

    The result says which runs to stop, so a stop takes effect even if the channel layer lost its message.
    """
    mine = Run.objects.filter(pk__in=runs, host=host, status__in=HOSTED)
    free = list(lock_rows(mine.order_by("pk"), skip_locked=True).values_list("pk", flat=True))
    fields: dict[str, Any] = {"heartbeat_at": timezone.now()}
    if places:
        place = CaseByPk(Run, "place", places)
        fields["place"] = Case(When(status=Run.Status.QUEUED, then=place), default=F("place"))
    if checkpoints:
        fields["seq"] = CaseByPk(Run, "seq", {c.run: c.written.seq for c in checkpoints})
    Run.objects.filter(pk__in=free).update(**fields)
    if checkpoints:
        written = {c.message: c.written.fields for c in checkpoints if c.run in free}
        messages = Message.objects.filter(pk__in=list(written), run__status=Run.Status.RUNNING).order_by("pk")
        unlocked = list(lock_rows(messages, skip_locked=True).values_list("pk", flat=True))
        Message.objects.filter(pk__in=unlocked).update(
            **{
                name: CaseByPk(Message, name, {key: fields[name] for key, fields in written.items()})
                for name in ("text", "thinking", "parts")
            }
        )
    found = dict(mine.values_list("pk", "stop_requested_at"))
    return HeartbeatResult(mine=set(found), stop=[run_id for run_id, requested_at in found.items() if requested_at])


def ping_database() -> None:
    """Raises the database's error if it does not respond."""
    Run.objects.exists()


@unit_of_work()
def find_silent_runs() -> dict[UUID, datetime]:
    """Runs whose process has been silent for HOST_TIMEOUT, with their last heartbeats. Those that somebody has locked
    are left out: their process cannot write a heartbeat either.
    """
    return dict(lock_rows(_silent_runs().order_by("pk"), skip_locked=True).values_list("pk", "heartbeat_at"))


def _silent_runs() -> QuerySet[Run]:
    return Run.objects.filter(status__in=HOSTED, heartbeat_at__lt=_silent_since()).exclude(host="")


def _silent_since() -> datetime:
    return timezone.now() - timedelta(seconds=conf.HOST_TIMEOUT)


def reap_runs(run_ids: Collection[UUID]) -> list[FinishedRun]:
    """Take these runs if their processes are still silent: running ones end as `interrupted` and keep their text,
    queued ones become free for another process. Returns those that ended.

    The caller must know that living processes had time for a heartbeat: after an outage of the database all look dead.
    """
    reaped = []
    for run_id, conversation, status in (
        _silent_runs().filter(pk__in=run_ids).values_list("pk", "conversation", "status")
    ):
        with skip_if_locked("Run", run_id):
            if status == Run.Status.QUEUED:
                _release_silent_run(run_id)
            elif ended := _interrupt_run(run_id, conversation):
                reaped.append(ended)
    return reaped


@unit_of_work()
def _release_silent_run(run_id: UUID) -> None:
    _silent_runs().filter(pk=run_id, status=Run.Status.QUEUED).update(host="", place=None)


def _interrupt_run(run_id: UUID, conversation_id: UUID) -> FinishedRun | None:
    text = Message.objects.filter(run=run_id).values_list("text", flat=True).first()
    words = make_index_text(text or "")  # before the transaction, which others wait for
    return _end_interrupted_run(run_id, conversation_id, words)


@unit_of_work()
def _end_interrupted_run(run_id: UUID, conversation_id: UUID, words: str) -> FinishedRun | None:
    conversation = lock_conversation(conversation_id)
    run = select_runs().select_related("message", "replaces").get(pk=run_id)
    ending = Ending(
        status=Run.Status.INTERRUPTED,
        written=Written(run.seq),
        error=objects.Failure.from_code("host_lost"),
        charged_usage=_estimate_usage(run),
        estimated=True,
    )
    if not end_run(run, ending, _UPDATE_SILENT, silent_since=_silent_since()):
        return None
    if run.message is not None:
        index_message(run.message, words)
    return read_finished(run_id, next_run=queue_next_run(conversation, ""))


_UPDATE_SILENT = ends(status=Run.Status.RUNNING, heartbeat_at__lt=Param("silent_since", Run, "heartbeat_at"))


def _estimate_usage(run: Run) -> engine.Usage:
    """By the stored text, without the part that the run continued: its process can no longer tell."""
    chars = len(run.message.text) + len(run.message.thinking) if run.message else 0
    if run.continues and run.replaces is not None:
        chars -= len(run.replaces.text) + len(run.replaces.thinking)
    tokens = max(chars, 0) // CHARS_PER_TOKEN
    return engine.Usage(None, tokens, tokens)


class AdoptedRun(NamedTuple):
    id: UUID
    conversation: UUID
    unattended: bool
    guest: bool
    """A guest has asked for it."""


def adopt_runs(host: str, limit: int, conversations: Collection[UUID] | None = None) -> list[AdoptedRun]:
    """Assign queued runs without a process to `host`: the oldest first, at most `limit`, of these conversations or of
    all. Unattended ones are always among them.
    """
    free = Run.objects.filter(status=Run.Status.QUEUED, host="")
    if conversations is not None:
        free = free.filter(Q(conversation__in=conversations) | Q(unattended=True))
    if not free.exists():  # nearly always: then nothing is locked
        return []
    with unit_of_work():
        oldest = lock_rows(free.order_by("created_at"), skip_locked=True)
        guest = Exists(Guest.objects.filter(user=OuterRef("launched_by")))
        rows = oldest.values_list("pk", "conversation", "unattended", guest)[:limit]
        adopted = [AdoptedRun(*row) for row in rows]
        Run.objects.filter(pk__in=[run.id for run in adopted]).update(host=host, heartbeat_at=timezone.now())
    return adopted


@unit_of_work()
def release_runs(host: str, runs: Collection[UUID]) -> None:
    """Free the queued ones of these runs of `host`, so that any process can adopt them."""
    Run.objects.filter(pk__in=runs, host=host, status=Run.Status.QUEUED).update(host="", place=None)
