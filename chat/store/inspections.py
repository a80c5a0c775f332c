"""The run inspector: which runs are recorded, and what was recorded of them.

A recording holds what a conversation said, so it goes with it: it is neither written nor shown if a message that it may
hold has been deleted meanwhile, and `retention` and `erasure` erase it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import agents
from ..conf import conf
from ..models import Conversation, Erasure, Inspection, Message, Run, RunRecording
from ..protocol.errors import ErrorCode, Refused
from .base import conversation_not_found, lock_if_exists
from .cached import Cached
from .prepared import Select
from .unit_of_work import unit_of_work

PERMISSION = "nous_chat.inspect_runs"

MAX_HOURS = 7 * 24
"""How long an inspection may last."""


@unit_of_work()
def start_inspection(by: Any | None, hours: float, *, conversation: UUID | None = None, agent: str = "") -> int:
    """Record runs from now on: those in a conversation, of an agent (a slug), of both, or all of the site. Returns the
    key of the inspection. `by` is a user with the permission `inspect_runs`, or None for the site's code. Raises
    Refused.
    """
    if by is not None and not by.has_perm(PERMISSION):
        raise Refused(ErrorCode.FORBIDDEN, _("You can't inspect answers."))
    if conf.SEAL_TRANSCRIPTS:
        raise Refused(ErrorCode.FORBIDDEN, _("This site keeps conversations from its staff (SEAL_TRANSCRIPTS)."))
    if not 0 < hours <= MAX_HOURS:
        raise Refused(ErrorCode.INVALID, _("An inspection lasts up to %(hours)s hours.") % {"hours": MAX_HOURS})
    if agent and agent not in agents.all_agents():
        raise Refused(ErrorCode.NOT_FOUND, _("There is no such agent."))
    if conversation is not None and not Conversation.objects.filter(pk=conversation, deleted_at=None).exists():
        raise conversation_not_found()
    until = timezone.now() + timedelta(hours=hours)
    return Inspection.objects.create(conversation_id=conversation, agent=agent, until=until, started_by=by).pk


_ROWS = Select(Inspection.objects.all)
inspections: Cached[Sequence[Inspection]] = Cached(_ROWS.all)
"""Each process keeps them for a few seconds, so runs that are not recorded cost nothing."""


def is_inspected(conversation_id: UUID, agent: str) -> bool:
    """Whether a run that begins now is recorded."""
    now = timezone.now()
    return not conf.SEAL_TRANSCRIPTS and any(
        row.until > now and row.conversation_id in (None, conversation_id) and row.agent in ("", agent)
        for row in inspections.get()
    )


CLOCK_SKEW = 5.0
"""Seconds by which the clocks of the site's servers may differ: what was deleted so long before a run may be in it."""


@unit_of_work()
def save_recording(run_id: UUID, conversation_id: UUID, read_at: datetime, content: str) -> bool:
    """Keep what was recorded of a run, or of a part of it, whose prompt was read at `read_at`. Returns False if it is
    not kept, because something that it may hold has been deleted or erased since.
    """
    # Under the lock, because deletions and erasures take it as well: they find the recording, or this finds them.
    if lock_if_exists(conversation_id) is None:
        return False
    row = RunRecording(run_id=run_id, since=read_at - timedelta(seconds=CLOCK_SKEW), content=content)
    being_erased = Erasure.objects.filter(Q(finished_at=None) | Q(finished_at__gte=row.since))
    deleted = Message.objects.filter(conversation=conversation_id, deleted_at__gte=row.since)
    if being_erased.exists() or deleted.exists() or not Run.objects.filter(pk=run_id).exists():
        return False
    row.save()
    return True


def find_recordings(run_id: UUID) -> QuerySet[RunRecording]:
    """The recordings of a run, in order. None if what they may hold is deleted."""
    rows = RunRecording.objects.filter(~holds_deleted(), run=run_id, run__conversation__deleted_at=None)
    return rows.order_by("since", "pk")


def holds_deleted(**deleted: Any) -> Exists:
    """Recordings that may hold a message that was deleted later, or one that also fits `deleted`. Without a join of
    recordings and runs: while there are no recordings, SQLite would read all runs for it.
    """
    here = Run.objects.filter(pk=OuterRef(OuterRef("run"))).values("conversation")
    return Exists(Message.objects.filter(conversation__in=here, deleted_at__gte=OuterRef("since"), **deleted))


def old_recordings(now: datetime) -> QuerySet[RunRecording]:
    """Recordings to erase: older than INSPECTION_SECONDS, or of messages that were deleted UNDO_SECONDS ago."""
    until = now - timedelta(seconds=conf.INSPECTION_SECONDS)
    erased = holds_deleted(deleted_at__lt=now - timedelta(seconds=conf.UNDO_SECONDS))
    return RunRecording.objects.filter(Q(since__lt=until) | Q(erased)).order_by()


def ended_inspections(now: datetime) -> QuerySet[Inspection]:
    """Inspections of which no recording can be left."""
    return Inspection.objects.filter(until__lt=now - timedelta(seconds=conf.INSPECTION_SECONDS)).order_by()
