"""Versions of documents: the log in groups, earlier texts, names, and who wrote which line."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast, Length
from django.utils.translation import gettext as _
from msgspec import Struct

from ..documents.changesets import ChangeSet, units
from ..documents.compose import Step, compose_all, steps_of
from ..i18n import format_number
from ..models import Document, DocumentUpdate
from ..models.documents import MAX_VERSION_NAME_CHARS
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import get_membership
from .document_log import check_can_write, document_not_found, document_rows, lock_document, read_text
from .document_snapshots import KEEP_EVERY, read_text_at
from .documents import find_readable
from .text import one_line, sanitize_text
from .unit_of_work import unit_of_work

PAUSE = timedelta(minutes=5)
"""After such a pause, the next change by the same author begins another group."""

GROUPS_PER_PAGE = 50
UPDATES_PER_PAGE = 2_000
"""How many updates are looked at for one page of groups. A group has at most KEEP_EVERY."""

MAX_BLAMED_UPDATES = 10_000
"""How many of the newest updates are looked at to find who wrote a line: about half a second."""

MAX_BLAMED_CHARS = 8_000_000
"""How many characters they may have as JSON."""


MAX_CHANGES_SINCE = 1_000
"""Over how many changes an edit of an earlier version is mapped."""


class DocumentVersions(Struct, frozen=True):
    """A page of a document's history, newest first. `more`: there are versions up to the `since` of the last one."""

    versions: list[objects.DocumentVersion]
    more: bool


class Blame(Struct, frozen=True):
    """Who wrote the lines of a version. Updates until `since` are not looked at."""

    version: int
    since: int
    lines: list[objects.WrittenLines]


class _Logged(NamedTuple):
    """An update, without its changes."""

    version: int
    author: Any
    run: UUID | None
    created_at: datetime
    name: str

    def continues(self, before: "_Logged") -> bool:
        """Whether it is in the same group as the update before it. It depends on these two alone, so that everybody
        sees the same groups, whatever page they are on.
        """
        return (
            (self.author, self.run) == (before.author, before.run)
            and self.created_at - before.created_at <= PAUSE
            and not before.name
            and before.version % KEEP_EVERY != 0
        )


_FIELDS = ("version", "author", "run", "created_at", "name")


def get_document_at(user_id: Any, document_id: UUID, version: int) -> objects.OpenedDocument:
    """A document as it was at a version. Raises Refused(NOT_FOUND)."""
    row = _find_version(user_id, document_id, version)
    return objects.OpenedDocument.at(row, version, read_text_at(row, version))


def list_versions(user_id: Any, document_id: UUID, until: int | None) -> DocumentVersions:
    """The groups of updates up to a version; None for the newest ones. Raises Refused(NOT_FOUND)."""
    row = find_readable(user_id, document_id)
    log = DocumentUpdate.objects.filter(document=row)
    versions = _read_groups(log if until is None else log.filter(version__lte=until))
    return DocumentVersions(versions, bool(versions) and versions[-1].since > 0)


def newest_versions(row: Document) -> list[objects.DocumentVersion]:
    """The newest groups of updates of a document."""
    return _read_groups(DocumentUpdate.objects.filter(document=row))


def _read_groups(log: QuerySet[DocumentUpdate]) -> list[objects.DocumentVersion]:
    log = log.order_by("-version")
    read = [_Logged(*each) for each in log.values_list(*_FIELDS)[: UPDATES_PER_PAGE + 1]]
    ends = [0, *(n for n in range(1, len(read)) if not read[n - 1].continues(read[n]))]
    if len(read) <= UPDATES_PER_PAGE:
        ends.append(len(read))  # the last group is complete, because the log begins with it
    groups = {read[a].version: read[b - 1].version - 1 for a, b in pairwise(ends) if b > a}
    shown = dict(list(groups.items())[:GROUPS_PER_PAGE])
    rows = log.filter(version__in=shown).select_related("author", "run")
    return [objects.DocumentVersion.of(each, shown[each.version]) for each in rows]


def read_texts(user_id: Any, conversation_id: UUID, document_id: UUID, version: int) -> tuple[int, str, str]:
    """The newest version of a document, its text, and that of an earlier version. Raises Refused."""
    row = _find_writable(user_id, conversation_id, document_id)
    _check_exists(row, version)
    return row.version, read_text(row), read_text_at(row, version)


def read_changes_since(
    user_id: Any, conversation_id: UUID, document_id: UUID, version: int
) -> tuple[int, str, list[ChangeSet]]:
    """The newest version of a document, the text at an earlier one, and what has changed in between, for a user who
    has edited the earlier one. Raises Refused, CONFLICT if there are too many changes.
    """
    row = _find_writable(user_id, conversation_id, document_id)
    _check_exists(row, version)
    if row.version - version > MAX_CHANGES_SINCE:
        raise Refused(
            ErrorCode.CONFLICT,
            _("This document has changed too much since you opened it. Copy your text, and open it again."),
        )
    later = DocumentUpdate.objects.filter(document=row, version__gt=version, version__lte=row.version)
    changes = later.order_by("version").values_list("changes", flat=True)
    return row.version, read_text_at(row, version), [ChangeSet.parse(each) for each in changes]


@unit_of_work()
def name_version(user_id: Any, conversation_id: UUID, document_id: UUID, version: int, name: str) -> str:
    """Name a version of a document, or, with an empty name, take its name away. Returns the name as it is stored.
    Raises Refused.
    """
    row = lock_document(conversation_id, document_id)
    participant = get_membership(user_id, conversation_id)
    if row is None:
        raise document_not_found()
    check_can_write(participant)
    name = one_line(sanitize_text(name))
    if len(name) > MAX_VERSION_NAME_CHARS:
        raise Refused(
            ErrorCode.TOO_LARGE, _("A name can have up to %(most)s characters.") % {"most": MAX_VERSION_NAME_CHARS}
        )
    if not DocumentUpdate.objects.filter(document=row, version=version).update(name=name):
        raise _version_not_found(row)
    return name


def newest_version(user_id: Any, document_id: UUID) -> int:
    """The number of the newest version of a document. Raises Refused(NOT_FOUND)."""
    return find_readable(user_id, document_id).version


def blame(user_id: Any, document_id: UUID, version: int | None) -> Blame:
    """Who wrote which line of a version; None for the newest one. Raises Refused(NOT_FOUND)."""
    row = _find_version(user_id, document_id, version)
    version = row.version if version is None else version
    text = read_text_at(row, version)
    log = DocumentUpdate.objects.filter(document=row, version__lte=version).order_by("version")
    base = _first_blamed(log) - 1
    log = log.filter(version__gt=base)
    steps = _compose_log(log, units(text))
    lines = list(_blame_lines(text, [(new, by) for _, new, by in steps if new]))
    updates = log.filter(version__in={by for _, by in lines if by}).select_related("author", "run")
    known = {each.version: each for each in updates}
    return Blame(version, base, [_written(first, count, known.get(by or 0)) for first, count, by in _join(lines)])


def _compose_log(log: QuerySet[DocumentUpdate], length: int) -> list[Step]:
    """The updates of a log as one, each marked with the newest version of its group. `length` is that of the text if
    there are none.
    """
    logged = [_Logged(*each) for each in log.values_list(*_FIELDS)]
    marks = {each.version: each.version for each in logged[-1:]}
    for before, after in zip(reversed(logged[:-1]), reversed(logged[1:]), strict=True):
        marks[before.version] = marks[after.version] if after.continues(before) else before.version
    changes = log.values_list("version", "changes")
    return compose_all([steps_of(ChangeSet.parse(given), marks[version]) for version, given in changes], length)


def _first_blamed(log: QuerySet[DocumentUpdate]) -> int:
    """The oldest of the updates of a log that are looked at."""
    first, chars = 1, 0
    newest = log.order_by("-version").annotate(chars=Length(Cast("changes", TextField())))
    for number, (version, length) in enumerate(newest.values_list("version", "chars")[:MAX_BLAMED_UPDATES]):
        chars += length
        if number and chars > MAX_BLAMED_CHARS:
            break
        first = version
    return first


def _blame_lines(text: str, pieces: Sequence[tuple[int, int | None]]) -> Iterator[tuple[int, int | None]]:
    """For each line of a text its number, and the newest update that wrote in it. The pieces are the text's, in order:
    their lengths in units, and who wrote them. An empty line belongs to the writer of its line break.
    """
    rest = iter(pieces)
    left, by = next(rest, (0, None))
    last: int | None = None  # who wrote the line break before
    for number, line in enumerate(text.split("\n"), 1):
        length, newest = units(line), -1
        for is_break, wanted in ((False, length), (True, 1)):
            while wanted:
                if not left:
                    found = next(rest, None)
                    if found is None:
                        break
                    left, by = found
                part = min(left, wanted)
                if not is_break or not length:
                    newest = max(newest, by or 0)
                if is_break:
                    last = by
                left -= part
                wanted -= part
        yield number, (last if newest < 0 else newest) or None


def _join(lines: Iterable[tuple[int, int | None]]) -> Iterator[tuple[int, int, int | None]]:
    """Neighbouring lines of one writer together: the first one's number, how many, and the update."""
    first, count, writer = 1, 0, None
    for number, by in lines:
        if count and by != writer:
            yield first, count, writer
            first, count = number, 0
        count, writer = count + 1, by
    if count:
        yield first, count, writer


def _written(first: int, count: int, update: DocumentUpdate | None) -> objects.WrittenLines:
    return objects.WrittenLines(first, count) if update is None else objects.WrittenLines.of(first, count, update)


def _find_writable(user_id: Any, conversation_id: UUID, document_id: UUID) -> Document:
    check_can_write(get_membership(user_id, conversation_id))
    row = document_rows(conversation_id).filter(pk=document_id).first()
    if row is None:
        raise document_not_found()
    return row


def _find_version(user_id: Any, document_id: UUID, version: int | None) -> Document:
    row = find_readable(user_id, document_id)
    if version is not None:
        _check_exists(row, version)
    return row


def _check_exists(row: Document, version: int) -> None:
    if version > row.version:
        raise _version_not_found(row)


def _version_not_found(row: Document) -> Refused:
    return Refused(
        ErrorCode.NOT_FOUND,
        _("This document has no such version. The newest one is %(newest)s.") % {"newest": format_number(row.version)},
    )
