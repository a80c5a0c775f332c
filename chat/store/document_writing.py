"""Text that an agent writes in a document piece by piece, while its model is still writing it.

The piece that it writes is its open range (`documents.open_range`): what it has written, and after that what it will
replace. The old text is deleted when the new one is whole. So if the agent breaks off, both are there.

Each function can be called again if its commit was not confirmed: it changes nothing the second time, and returns what
it has returned.
"""

from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from msgspec import Struct

from ..documents.changesets import ChangeSet, units
from ..documents.open_range import OpenRange
from ..models import Document, DocumentUpdate, Run
from ..permissions import policy
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import get_membership
from .document_log import (
    PushedChange,
    append_to_log,
    check_can_write,
    document_not_found,
    find_open_range,
    lock_document,
    read_text,
    set_open_range,
)
from .document_runs import get_running
from .unit_of_work import unit_of_work


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
    return _write(row, run, OpenRange(place[0], place[0], place[1]), text)


@unit_of_work()
def extend_writing(run_id: UUID, host: str, document_id: UUID, written: int, text: str) -> PushedChange:
    """Write more, after the `written` units of before. Raises Refused, CONFLICT if somebody has closed the range."""
    run, row = _lock(run_id, host, document_id)
    opened = _own_range(row, run_id)
    if opened.written == written + units(text):
        return _repeated(row)
    return _write(row, run, opened, text)


@unit_of_work()
def finish_writing(
    run_id: UUID, host: str, document_id: UUID, written: int, text: str
) -> PushedChange | objects.Document:
    """Write the rest, delete what the text replaces, and close the range. Raises Refused, CONFLICT if it was closed.
    Returns the document if that changes no text.
    """
    run, row = _lock(run_id, host, document_id)
    if row.writing_run_id == run_id and row.taken_over_by_id is None and row.writing_start is None:
        return _repeated(row)
    opened = _own_range(row, run_id)
    assert opened.written == written
    if not text and opened.at == opened.end:
        row.save(update_fields=set_open_range(row, None))
        return objects.Document.of(row)
    changes = ChangeSet.replace(units(read_text(row)), [(opened.at, opened.end, text)])
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


def _write(row: Document, run: Run, opened: OpenRange, text: str) -> PushedChange:
    changes = ChangeSet.replace(units(read_text(row)), [(opened.at, opened.at, text)])
    return append_to_log(row, changes, {"run": run}, opened.grow(units(text)))


def _repeated(row: Document) -> PushedChange:
    update = DocumentUpdate.objects.filter(document=row, run=row.writing_run_id).order_by("version").last()
    assert update is not None
    return PushedChange(objects.DocumentUpdate.of(update), objects.find_writing(row), repeated=True)
