"""Text that an agent writes in a document piece by piece, while its model is still writing it.

The piece that it writes is its open range (`documents.open_range`): what it has written, and after that what it will
replace. The old text is deleted when the new one is whole. So if the agent breaks off, both are there.

Each function can be called again if its commit was not confirmed: it changes nothing the second time, and returns what
it has returned.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from msgspec import Struct

from ..documents.changesets import ChangeSet, units
from ..documents.open_range import OpenRange
from ..models import Document, DocumentUpdate, Run
from ..permissions import policy
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import get_membership
from .document_cache import find_text
from .document_log import (
    LogWriter,
    PushedChange,
    append_to_log,
    check_can_write,
    document_not_found,
    find_open_range,
    lock_document,
    read_text,
    save_logs,
    set_open_range,
)
from .document_runs import get_running
from .prepared import Param, SelectIn
from .unit_of_work import unit_of_work


class Extension(Struct, frozen=True):
    """More text of a run that this host makes, after the `written` units of before."""

    run_id: UUID
    host: str
    document_id: UUID
    written: int
    text: str


class TakenOver(Struct, frozen=True):
    """A document without an open range. `repeated`: it had none before."""

    document: objects.Document
    repeated: bool = False


@unit_of_work()
def begin_writing(
    run_id: UUID, host: str, document_id: UUID, version: int, place: tuple[int, int], text: str
) -> PushedChange:
    """Open a range of this version, which the text will replace, and write the first of the text. `place` is where it
    begins and ends, in UTF-16 units. Raises Refused, STALE if there is a newer version.
    """
    run, row = _lock(run_id, host, document_id)
    if find_open_range(row) is not None:  # this run's: a conversation has one active run
        return _repeated(row)
    if row.version != version:
        raise Refused(ErrorCode.STALE, _("Somebody else has changed this document at the same time. Try again."))
    row.writing_run, row.taken_over_by = run, None
    return _write_alone(row, run, OpenRange(place[0], place[0], place[1]), text)


@unit_of_work()
def extend_together(extensions: Sequence[Extension]) -> list[PushedChange | None]:
    """Write more in the open ranges of documents, 50 at most, of runs that one host makes. Returns None for one that it
    leaves out: somebody else holds its row, or there is something to tell. `extend_writing` does that.
    """
    opened = _find_opened(extensions)
    logs, outcomes = list[LogWriter](), list[PushedChange | None]()
    for each in extensions:
        row = opened.pop(each.document_id, None)  # once: there is one run that writes in it
        log = None if row is None or row.writing_run_id != each.run_id else LogWriter(row)
        pushed = None if log is None else _extend(log, each)
        outcomes.append(pushed)
        if log is not None and pushed is not None:
            logs.append(log)
    save_logs(logs)
    return outcomes


def _extend(log: LogWriter, extension: Extension) -> PushedChange | None:
    run, opened = log.row.writing_run, find_open_range(log.row)
    if run is None or opened is None or opened.written != extension.written:
        return None
    try:
        return _write(log, run, opened, extension.text)
    except Refused:
        return None


def _find_opened(extensions: Sequence[Extension]) -> dict[UUID, Document]:
    """The rows that nobody else holds, locked, with their runs, of the documents in which the host writes."""
    keys = [each.document_id for each in extensions]
    select = _OPENED_WITHOUT_TEXT if all(find_text(key) is not None for key in keys) else _OPENED
    return {row.pk: row for row in select.all(keys, host=extensions[0].host)}


def _opened(which: Any) -> QuerySet[Document]:
    rows = Document.objects.filter(which, deleted_at=None, taken_over_by=None, conversation__deleted_at=None)
    rows = rows.filter(writing_run__status=Run.Status.RUNNING, writing_run__host=Param("host", Run, "host"))
    rows = rows.select_related("writing_run").defer("writing_run__transcript").order_by()
    return rows.select_for_update(skip_locked=True, of=("self",), no_key=True)


_OPENED = SelectIn(Document, "id", _opened)
_OPENED_WITHOUT_TEXT = SelectIn(Document, "id", lambda which: _opened(which).defer("writing_run__transcript", "text"))


@unit_of_work()
def extend_writing(extension: Extension) -> PushedChange:
    """Write more in an open range. Raises Refused, CONFLICT if somebody has closed it."""
    run, row = _lock(extension.run_id, extension.host, extension.document_id)
    opened = _own_range(row, run.pk)
    if opened.written == extension.written + units(extension.text):
        return _repeated(row)
    return _write_alone(row, run, opened, extension.text)


@unit_of_work()
def finish_writing(last: Extension) -> PushedChange | objects.Document:
    """Write the rest, delete what the text replaces, and close the range. Raises Refused, CONFLICT if it was closed.
    Returns the document if that changes no text.
    """
    run, row = _lock(last.run_id, last.host, last.document_id)
    if row.writing_run_id == run.pk and row.taken_over_by_id is None and row.writing_start is None:
        return _repeated(row)
    opened = _own_range(row, run.pk)
    assert opened.written == last.written
    if not last.text and opened.at == opened.end:
        row.save(update_fields=set_open_range(row, None))
        return objects.Document.of(row)
    changes = ChangeSet.replace(units(read_text(row)), [(opened.at, opened.end, last.text)])
    return append_to_log(row, changes, {"run": run}, None)


@unit_of_work()
def close_writing(run_id: UUID, host: str, document_id: UUID) -> objects.Document | None:
    """Close the range and leave both texts, because the rest will not come. None if it is not open. Raises Refused."""
    _run, row = _lock(run_id, host, document_id)
    if find_open_range(row) is None or row.writing_run_id != run_id:
        return None
    row.save(update_fields=set_open_range(row, None))
    return objects.Document.of(row)


@unit_of_work()
def take_over_document(user_id: Any, conversation_id: UUID, document_id: UUID) -> TakenOver:
    """Close the open range: the run can no longer write there, and what it wrote stays. Raises Refused."""
    row = lock_document(conversation_id, document_id)
    participant = get_membership(user_id, conversation_id)
    if row is None:
        raise document_not_found()
    check_can_write(participant)
    if find_open_range(row) is None:
        return TakenOver(objects.Document.of(row), repeated=True)
    row.taken_over_by = participant.user
    row.save(update_fields=["taken_over_by"])
    return TakenOver(objects.Document.of(row))


def _lock(run_id: UUID, host: str, document_id: UUID) -> tuple[Run, Document]:
    """Raises Refused."""
    run = get_running(run_id, host)
    row = lock_document(run.conversation_id, document_id)
    if row is None:
        raise document_not_found()
    if row.writing_run_id == run_id:
        row.writing_run = run
    return run, row


def _own_range(row: Document, run_id: UUID) -> OpenRange:
    """The range that this run has opened. Raises Refused if somebody has closed it."""
    if row.writing_run_id == run_id and row.taken_over_by is not None:
        name = policy().name(row.taken_over_by)
        raise Refused(ErrorCode.CONFLICT, _("%(name)s has taken over.") % {"name": name})
    opened = find_open_range(row)
    if opened is None or row.writing_run_id != run_id:
        raise Refused(ErrorCode.CONFLICT, _("Somebody has taken over."))
    return opened


def _write_alone(row: Document, run: Run, opened: OpenRange, text: str) -> PushedChange:
    log = LogWriter(row)
    pushed = _write(log, run, opened, text)
    log.save()
    return pushed


def _write(log: LogWriter, run: Run, opened: OpenRange, text: str) -> PushedChange:
    """Append it to the log. Raises Refused."""
    changes = ChangeSet.replace(log.length, [(opened.at, opened.at, text)])
    return log.append(changes, {"run": run}, opened.grow(units(text)))


def _repeated(row: Document) -> PushedChange:
    update = DocumentUpdate.objects.filter(document=row, run=row.writing_run_id).order_by("version").last()
    assert update is not None
    return PushedChange(objects.DocumentUpdate.of(update), objects.find_writing(row), repeated=True)
