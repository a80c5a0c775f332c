"""Runs: request one, finish it, stop it, look it up. `run_start` claims it in between."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from msgspec import Struct
from msgspec.structs import replace

from .. import database
from ..models import Conversation, Message, Run, ToolCall
from ..permissions import policy
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .access import find_staff_rights
from .alternatives import create_answer
from .base import (
    check_can_post,
    conversation_not_found,
    get_membership,
    lock_conversation,
    lock_if_exists,
    lock_membership,
    message_not_found,
    run_in_progress,
    shown_messages,
    touch_all,
)
from .executor import may_recover
from .guests import check_guest
from .prepared import Param, Select, SelectIn, Update
from .responders import check_responder
from .run_lifecycle import (
    HOSTED,
    Ending,
    FinishedRun,
    Written,
    active_runs,
    describe_finished,
    end_run,
    end_runs,
    ends,
    queue_next_run,
    queue_run,
    read_answer,
    read_finished,
    select_runs,
    stop_run,
)
from .search import index_messages
from .staff_log import note
from .unit_of_work import ConversationLocked, is_lock_timeout, locking, unit_of_work

logger = logging.getLogger("nous_chat.store")

SILENT_AFTER = 3.0
"""Seconds without a heartbeat after which a run's process is not expected to respond."""


@unit_of_work()
def request_run(
    user_id: Any,
    conversation_id: UUID,
    message_id: UUID | None,
    host: str | None,
    agent: str | None = None,
    *,
    continues: bool = False,
    unattended: bool = False,
) -> UUID:
    """Queue a run without a new message, and return its id. `unattended` is as in `post_message`.

    Without `message_id` it answers the last message. With the id of the last answer it regenerates that answer as an
    alternative or, with `continues`, writes the rest of it. `agent` is the slug of the agent to ask.
    """
    participant = lock_membership(user_id, conversation_id)
    conversation = participant.conversation
    check_can_post(participant)
    check_guest(participant.user)
    slug = check_responder(participant, conversation, agent)
    if active_runs(conversation_id).exists():
        raise run_in_progress()
    visible = shown_messages(conversation_id).filter(deleted_at=None).exclude(role=Message.Role.SYSTEM)
    last = visible.order_by("-seq").first()
    if continues and message_id is None:
        raise Refused(ErrorCode.INVALID, "`continue` needs the `message` to continue.")
    if last is None:
        raise Refused(ErrorCode.CONFLICT, _("There is nothing to answer yet."))
    if message_id is None:
        return queue_run(conversation, slug, participant.user_id, host, unattended=unattended).id
    if not Message.objects.filter(conversation=conversation_id, pk=message_id).exists():
        raise message_not_found()
    if message_id != last.id:
        raise Refused(ErrorCode.CONFLICT, _("Only the last answer can be retried or continued."))
    replaces = last if last.role == Message.Role.ASSISTANT else None
    if continues and (replaces is None or not last.run.cut_off):
        raise Refused(ErrorCode.CONFLICT, _("Nothing to continue: this answer is complete."))
    if replaces is not None and (agent is None or continues) and last.run.agent in conversation.agents:
        slug = check_responder(participant, conversation, last.run.agent)
    return queue_run(conversation, slug, participant.user_id, host, replaces, continues, unattended).id


class Finish(Struct, frozen=True):
    """The end of a run of `host`."""

    run: UUID
    host: str
    ending: Ending


def finish_run(run_id: UUID, host: str, ending: Ending) -> FinishedRun | None:
    """Write the end of a run and its final text. None if the run no longer belongs to `host`: another process has
    written its end.
    """
    (finished,) = finish_runs([Finish(run_id, host, ending)])
    if isinstance(finished, Exception):
        raise finished
    return finished


def finish_runs(finishes: Sequence[Finish]) -> list[FinishedRun | OperationalError | None]:
    """The same for several runs, 50 at most, in one transaction. Those that have to be tried alone get a
    ConversationLocked, or what the database raised; nothing of them is written.
    """
    try:
        return _finish_runs(finishes)
    except OperationalError as error:
        if len(finishes) == 1 or not is_lock_timeout(error) or not database.connection().features.has_select_for_update:
            raise
        # Somebody has locked a row of one of them.
        return [error] * len(finishes)


@unit_of_work()
def _finish_runs(finishes: Sequence[Finish]) -> list[FinishedRun | OperationalError | None]:
    runs = _lock_runs(finishes)
    found = [finish for finish in finishes if finish.run in runs]
    endings = [(runs[finish.run], finish.ending) for finish in found]
    if found and not end_runs(endings, _UPDATE_OWN, [{"host": finish.host} for finish in found]):
        if len(found) > 1:
            transaction.set_rollback(True, using=database.alias())
        found, endings = [], []
    written = [(run, ending) for run, ending in endings if run.message_id is not None]  # else it failed before it began
    if written:
        _WRITE_ANSWER.execute_many([{"id": run.message_id, **ending.written.fields} for run, ending in written])
        index_messages(
            [
                (Message(pk=run.message_id, conversation=run.conversation, text=ending.written.text), ending.words)
                for run, ending in written
            ]
        )
    if found:
        touch_all([run.conversation for run, _ in endings])
    finished: dict[UUID, FinishedRun] = {}
    for finish in found:
        run, ending = runs[finish.run], finish.ending
        next_run = queue_next_run(run.conversation, "" if ending.leave_next_to_others else finish.host)
        finished[run.pk] = describe_finished(run, ending.answer, next_run)
    # Of several, it may be another host's by now, or its conversation is locked: alone, it finds out which.
    missing = None if len(finishes) == 1 else ConversationLocked("The end of this run has to be written alone.")
    return [finished.get(finish.run, missing) for finish in finishes]


def _lock_runs(finishes: Sequence[Finish]) -> dict[UUID, Run]:
    """The runs by their ids, after locking their conversations. Of several, those that somebody else has locked are
    left out, so that they hold up nobody.
    """
    if len(finishes) > 1:
        return {run.pk: run for run in _LOCKED_RUNS.all([finish.run for finish in finishes])}
    (finish,) = finishes
    if finish.ending.answer is None:
        conversation_id = Run.objects.filter(pk=finish.run).values_list("conversation", flat=True).first()
    else:
        conversation_id = finish.ending.answer.conversation
    if conversation_id is None:
        return {}
    with locking(conversation_id):
        return {run.pk: run for run in _LOCKED_RUN.all(run=finish.run)}


def _with_lock(skip_locked: bool = False) -> QuerySet[Run]:
    rows = select_runs().select_related("conversation").order_by("conversation_id")
    return rows.select_for_update(of=("conversation",), skip_locked=skip_locked)


_LOCKED_RUN = Select(lambda: _with_lock().filter(pk=Param("run", Run, "id")))
_LOCKED_RUNS = SelectIn(Run, "id", lambda is_one: _with_lock(skip_locked=True).filter(is_one))
_UPDATE_OWN = ends(host=Param("host", Run, "host"), status__in=HOSTED)
_WRITE_ANSWER = Update(lambda: Message.objects.filter(pk=Param("id", Message, "id")), ("text", "thinking", "parts"))


def fail_run(run_id: UUID, host: str, ending: Ending) -> FinishedRun | None:
    """End a queued or running run of `host` that something unexpected has stopped: a bug of ours or of the site, or a
    row that the database refuses. None if the run no longer belongs to `host`.

    An `ending` with nothing written keeps what is stored. Whatever raised may raise again, such as a signal handler of
    the site; then only the end is written, and the text if the database takes it. Raises OperationalError and
    InterfaceError if the database is away.
    """
    try:
        return _fail_visibly(run_id, host, ending)
    except (OperationalError, InterfaceError) as error:
        if may_recover(error):
            raise
        logger.exception("The end of run %s cannot be written; only its text is kept", run_id)
    except Exception:
        logger.exception("The end of run %s cannot be written; only its text is kept", run_id)
    with unit_of_work():
        run = Run.objects.filter(pk=run_id).first()
        ending = replace(_with_text(run_id, ending), charged_usage=None)
        if run is None or not end_run(run, ending, _UPDATE_OWN, host=host):
            return None
    next_run = None
    try:
        with unit_of_work():
            Message.objects.filter(run=run_id).update(**ending.written.fields)
    except Exception:
        logger.exception("The text of run %s cannot be written; its last checkpoint is kept", run_id)
    try:
        with unit_of_work():
            next_run = queue_next_run(
                lock_conversation(run.conversation_id), "" if ending.leave_next_to_others else host
            )
    except Exception:
        logger.exception("The run after %s cannot be queued", run_id)
    return read_finished(run_id, next_run)


@unit_of_work()
def _fail_visibly(run_id: UUID, host: str, ending: Ending) -> FinishedRun | None:
    """`finish_run`, for a run that may have no answer yet: people need one to see the error and to retry."""
    run = Run.objects.select_related("replaces").filter(pk=run_id, host=host, status=Run.Status.QUEUED).first()
    if run is not None and run.message_id is None:
        run.message = create_answer(lock_conversation(run.conversation_id), run)
        Run.objects.filter(pk=run_id).update(message=run.message)
    return finish_run(run_id, host, _with_text(run_id, ending))


def _with_text(run_id: UUID, ending: Ending) -> Ending:
    """The ending, with the stored text if it has none: the run failed before its process had read that."""
    run = Run.objects.select_related("message").filter(pk=run_id).first()
    if ending.written != Written() or run is None or run.message is None:
        return ending
    answer = objects.Message.of(run.message)
    return replace(ending, written=Written(run.seq, answer.text, answer.thinking, answer.parts), words=None)


@unit_of_work()
def request_stop(user_id: Any, conversation_id: UUID, run_id: UUID, host: str = "") -> FinishedRun | None:
    """Stop a run. Returns it if it ended here, because no process was working on it; the next run is queued for `host`
    then. None if its process still has to stop it.
    """
    participant = lock_membership(user_id, conversation_id)
    run = _find_active(conversation_id, run_id)
    if not policy().can_stop(participant, run):
        raise Refused(ErrorCode.FORBIDDEN, _("Only the person who asked or a conversation owner can stop this answer."))
    return _stop(participant.conversation, run, participant.user_id, host)


@unit_of_work()
def request_stop_by_staff(user_id: Any, conversation_id: UUID, run_id: UUID) -> FinishedRun | None:
    """As `request_stop`, for a user who need not take part. The caller has checked that they may stop runs."""
    conversation = lock_if_exists(conversation_id)
    if conversation is None or conversation.deleted_at is not None:
        raise conversation_not_found()
    return _stop(conversation, _find_active(conversation_id, run_id), user_id, host="")


@unit_of_work()
def request_stop_from_dashboard(user_id: Any, run_id: UUID) -> tuple[UUID, FinishedRun | None]:
    """As `request_stop`, for a user with the permission `stop_run`, who need not take part. It is noted in the admin's
    log. Returns the conversation, too. Raises Refused.
    """
    if not find_staff_rights(user_id).stop:
        raise Refused(ErrorCode.FORBIDDEN, _("You can't stop answers here."))
    key = Run.objects.filter(pk=run_id).values_list("conversation", flat=True).first()
    conversation = None if key is None else lock_if_exists(key)
    if conversation is None or conversation.deleted_at is not None:
        raise _run_not_found()
    ended = _stop(conversation, _find_active(conversation.pk, run_id), user_id, host="")
    note(user_id, conversation, str(conversation.pk), gettext_noop("Stopped an answer."))
    return conversation.pk, ended


def _find_active(conversation_id: UUID, run_id: UUID) -> Run:
    run = Run.objects.filter(pk=run_id, conversation=conversation_id).first()
    if run is None:
        raise _run_not_found()
    if run.status not in Run.ACTIVE:
        raise Refused(ErrorCode.RUN_OVER, _("This answer has already ended."))
    return run


def _stop(conversation: Conversation, run: Run, user_id: Any, host: str) -> FinishedRun | None:
    if not stop_run(run, user_id):
        return None
    return read_finished(run.pk, next_run=queue_next_run(conversation, host))


class StoredRun(Struct, frozen=True):
    """A run and its answer as stored. `silent`: its process has missed heartbeats, and may be gone."""

    run: objects.Run
    message: objects.Message | None
    silent: bool


def get_run(conversation_id: UUID, run_id: UUID) -> StoredRun:
    """A run as stored. Raises Refused(NOT_FOUND)."""
    row = select_runs().filter(conversation=conversation_id, pk=run_id).first()
    if row is None:
        raise _run_not_found()
    silent = row.heartbeat_at < timezone.now() - timedelta(seconds=SILENT_AFTER)
    return StoredRun(objects.Run.of(row), read_answer(row), silent)


def find_asked_runs(user_id: Any, client_id: UUID) -> list[tuple[UUID, UUID]]:
    """The active runs that this user has launched in conversations where they have posted this client id: each with its
    conversation, the newest first.
    """
    posted = Message.objects.filter(conversation=OuterRef("conversation"), author=user_id, client_id=client_id)
    active = Run.objects.filter(launched_by=user_id, status__in=Run.ACTIVE, conversation__deleted_at=None)
    found = active.filter(Exists(posted)).order_by("-created_at")
    return list(found.values_list("conversation", "pk"))


def get_calling_run(user_id: Any, call_id: UUID) -> StoredRun:
    """The run of a tool call, as stored. Raises Refused(NOT_FOUND), also if the user is not in its conversation."""
    calls = ToolCall.objects.filter(pk=call_id, run__conversation__participants__user=user_id)
    found = calls.values_list("run__conversation", "run").first()
    if found is None:
        raise Refused(ErrorCode.NOT_FOUND, _("This tool call is not in the conversation."))
    get_membership(user_id, found[0])
    return get_run(*found)


def _run_not_found() -> Refused:
    return Refused(ErrorCode.NOT_FOUND, _("This answer is not in the conversation."))
