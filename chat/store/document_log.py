"""The logs of documents: append changes, and read the text at a version.

A change is made for a version. If it is not the newest one, it is mapped over the updates since then (`ChangeSet.map`)
if its author agrees to that. Otherwise it is refused as `stale`: the author gets those updates, maps the change, and
tries again. So the log has one order for everybody.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from msgspec import Struct

from ..conf import conf
from ..documents.changesets import ChangeSet, InvalidChange, units
from ..documents.open_range import OpenRange
from ..i18n import format_number
from ..models import Document, DocumentUpdate, Participant, Run
from ..permissions import is_guest
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import check_can_post, lock_rows
from .document_cache import CachedText, find_text, keep_text
from .document_snapshots import keep_snapshot
from .prepared import Param, Select, Update, insert

SNAPSHOT_EVERY = 50
"""After how many updates the text is stored again. To read a document, at most this many changes are applied. Texts of
older versions: `document_snapshots`.
"""


class PushedChange(Struct, frozen=True):
    """`update` is in the log. `writing`: the document's open range after it. `repeated`: it was there before, and
    nothing else has happened now.
    """

    update: objects.DocumentUpdate
    writing: objects.Writing | None
    repeated: bool = False
    together: Sequence["PushedChange"] = ()
    """What was stored in the same transaction, in order, this one too; only of the first one. Its author's process
    publishes all of them in one frame.
    """


def check_can_write(participant: Participant) -> None:
    """Raises Refused(FORBIDDEN) for readers, and for guests: a log has no limit per day as messages have."""
    check_can_post(participant)
    if is_guest(participant.user):
        raise Refused(ErrorCode.FORBIDDEN, _("Sign in to write in documents."))


def append_changes(row: Document, version: int, changes: ChangeSet, by: dict[str, Any]) -> PushedChange:
    """Append a change to the log of a locked document. Raises Refused."""
    log = LogWriter(row)
    pushed = log.push(version, changes, by)
    log.save()
    return pushed


def append_to_log(row: Document, changes: ChangeSet, by: dict[str, Any], opened: OpenRange | None) -> PushedChange:
    """The same for the newest version, after which `opened` is the document's open range."""
    log = LogWriter(row)
    pushed = log.append(changes, by, opened)
    log.save()
    return pushed


class LogWriter:
    """Appends changes to the log of a locked document. `save` stores all of them, with one statement of each kind."""

    def __init__(self, row: Document) -> None:
        self.row = row
        self.updates: list[DocumentUpdate] = []
        """What is not stored yet."""
        self._known: CachedText | None = None

    @property
    def length(self) -> int:
        """Of the text, in UTF-16 units."""
        return units(self.read().text)

    def push(self, version: int, changes: ChangeSet, by: dict[str, Any], rebase: bool = False) -> PushedChange:
        """Append a change of the version `version`. If there is a newer one, `rebase` maps the change over what came
        after `version`, as far as this process knows it. Raises Refused, and then changes nothing.
        """
        row = self.row
        if version != row.version:
            later = self.read().changes_since(version) if rebase else None
            if later is None:
                raise Refused(
                    ErrorCode.STALE, _("Somebody else has changed this document at the same time. Try again.")
                )
            changes = _rebase(changes, later)
        moved = None
        if (opened := find_open_range(row)) is not None:
            moved = opened.map(changes)
            if moved is None:
                raise Refused(
                    ErrorCode.CONFLICT,
                    _("%(agent)s is writing here. Wait for the end, or take over.") % {"agent": _agent_of(row)},
                )
        return self.append(changes, by, moved)

    def append(self, changes: ChangeSet, by: dict[str, Any], opened: OpenRange | None) -> PushedChange:
        """Append a change of the newest version, after which `opened` is the open range. Raises Refused, and then
        changes nothing.
        """
        row = self.row
        if row.version >= conf.MAX_DOCUMENT_UPDATES:
            raise Refused(ErrorCode.CONFLICT, _("This document has been changed too often. Continue in a copy of it."))
        before, at = self.read(), timezone.now()
        try:
            after = before.after(changes, at)
        except InvalidChange as error:
            raise Refused(ErrorCode.INVALID, f"{error}.") from None
        if len(after.text) > len(before.text):
            check_length(after.text)
        self._known = after
        row.version, row.updated_at = after.version, at
        update = DocumentUpdate(document=row, version=row.version, changes=changes.to_json(), created_at=at, **by)
        self.updates.append(update)
        set_open_range(row, opened)
        keep_snapshot(row, after.text)
        return PushedChange(objects.DocumentUpdate.of(update), objects.find_writing(row))

    def read(self) -> CachedText:
        """The text with what was appended."""
        if self._known is None:
            self._known = read_known(self.row)
        return self._known

    def save(self) -> None:
        save_logs([self])


def save_logs(logs: Sequence[LogWriter]) -> None:
    """Store what was appended to the logs of several documents."""
    logs = [log for log in logs if log.updates]
    if logs:
        insert([update for log in logs for update in log.updates])
    for log in logs:
        _save_document(log)


def _save_document(log: LogWriter) -> None:
    row, known = log.row, log.read()
    fields: tuple[str, ...] = _UPDATED_FIELDS
    if row.version - row.text_version >= SNAPSHOT_EVERY:
        row.text, row.text_version = known.text, row.version
        fields = _UPDATED_WITH_TEXT
    _UPDATES[fields].execute(id=row.pk, **{name: getattr(row, name) for name in fields})
    keep_text(row.pk, known)
    log.updates = []


def _rebase(changes: ChangeSet, later: Sequence[ChangeSet]) -> ChangeSet:
    """The same change for the text that the later ones have made. Raises Refused."""
    try:
        for each in later:
            changes = changes.map(each)
    except InvalidChange:
        raise Refused(ErrorCode.INVALID, "`changes` is for a text of another length.") from None
    return changes


_UPDATED_FIELDS = (
    *("version", "updated_at", "writing_run_id", "taken_over_by_id"),
    *("writing_version", "writing_start", "writing_at", "writing_end"),
)
_UPDATED_WITH_TEXT = (*_UPDATED_FIELDS, "text", "text_version")
_UPDATES: dict[tuple[str, ...], Update] = {
    fields: Update(lambda: Document.objects.filter(pk=Param("id", Document, "id")), fields)
    for fields in (_UPDATED_FIELDS, _UPDATED_WITH_TEXT)
}


def find_open_range(row: Document) -> OpenRange | None:
    """What an agent is writing in a locked document, at its version."""
    if row.writing_version is not None and row.writing_version < row.version:
        _catch_up(row)
    if row.writing_start is not None and not Document.writing_run.is_cached(row):
        row.writing_run = _RUN.first(id=row.writing_run_id)
    writing = objects.find_writing(row)
    return None if writing is None else OpenRange(writing.start, writing.at, writing.end)


_RUN = Select(lambda: Run.objects.filter(pk=Param("id", Run, "id")).defer("transcript").order_by())


def _catch_up(row: Document) -> None:
    """Move the positions over the changes of a process of the release before, which does not know of them."""
    opened = _stored_range(row)
    later = DocumentUpdate.objects.filter(document=row, version__gt=row.writing_version, version__lte=row.version)
    for changes in later.order_by("version").values_list("changes", flat=True):
        opened = None if opened is None else opened.map(ChangeSet.parse(changes))
    set_open_range(row, opened)


def _stored_range(row: Document) -> OpenRange | None:
    start, at, end = row.writing_start, row.writing_at, row.writing_end
    return None if start is None or at is None or end is None else OpenRange(start, at, end)


def set_open_range(row: Document, opened: OpenRange | None) -> list[str]:
    """Set a document's open range. Returns the names of the fields to save."""
    before = _stored_range(row)
    if before is None and opened is None:
        return []
    row.writing_version = None if opened is None else row.version
    row.writing_start, row.writing_at, row.writing_end = (
        (None, None, None) if opened is None else (opened.start, opened.at, opened.end)
    )
    return ["writing_version", "writing_start", "writing_at", "writing_end"]


def _agent_of(row: Document) -> str:
    writing = objects.find_writing(row)
    return "" if writing is None else writing.agent.name


def check_length(text: str) -> None:
    if len(text) > conf.MAX_DOCUMENT_CHARS:
        raise Refused(
            ErrorCode.TOO_LARGE,
            _("A document can have up to %(most)s characters. This one would have %(length)s.")
            % {"most": format_number(conf.MAX_DOCUMENT_CHARS), "length": format_number(len(text))},
        )


def read_text(row: Document) -> str:
    """The text at the row's version."""
    return read_known(row).text


def read_known(row: Document) -> CachedText:
    """The same: what this process knows of it, or its snapshot, and the changes since."""
    known = find_text(row.pk)
    if known is not None and (known.version, known.changed_at) == (row.version, row.updated_at):
        return known
    made, later = _find_base(row, known)
    for changes, changed_at in later:
        made = made.after(ChangeSet.parse(changes), changed_at)
    keep_text(row.pk, made)
    return made


def _find_base(row: Document, known: CachedText | None) -> tuple[CachedText, list[Any]]:
    """The newest text before the row's version that can be had, and the changes after it, with their times."""
    log = DocumentUpdate.objects.filter(document=row, version__lte=row.version).order_by("version")
    log_with_times = log.values_list("changes", "created_at")
    if known is not None and row.text_version <= known.version < row.version:
        made_it, *later = log_with_times.filter(version__gte=known.version) or [(None, None)]
        if made_it[1] == known.changed_at:
            return known, later
    stored = CachedText(row.text_version, row.updated_at, row.text)
    if row.text_version == row.version:
        return stored, []
    return stored, list(log_with_times.filter(version__gt=row.text_version))


def document_rows(conversation_id: UUID) -> QuerySet[Document]:
    return Document.objects.filter(conversation=conversation_id, deleted_at=None).order_by("created_at", "pk")


def lock_document(conversation_id: UUID, document_id: UUID) -> Document | None:
    """The row, locked until the transaction ends: its changes are appended one after the other."""
    select = _LOCKED if find_text(document_id) is None else _LOCKED_WITHOUT_TEXT
    return select.first(id=document_id, conversation=conversation_id)


def _with_lock() -> QuerySet[Document]:
    rows = Document.objects.filter(pk=Param("id", Document, "id"), deleted_at=None).order_by()
    return lock_rows(rows.filter(conversation=Param("conversation", Document, "conversation")))


_LOCKED = Select(_with_lock)
_LOCKED_WITHOUT_TEXT = Select(lambda: _with_lock().defer("text"))
"""For a text that this process knows (`read_text`)."""


def document_not_found() -> Refused:
    """One answer for both cases, so that nobody can probe which documents exist."""
    return Refused(ErrorCode.NOT_FOUND, _("This document does not exist, or you are not in its conversation."))
