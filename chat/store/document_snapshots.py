"""Texts of documents at any version: from the nearest stored text before it, and the changes since."""

from collections.abc import Iterator

from ..documents.changesets import ChangeSet
from ..models import Document, DocumentSnapshot, DocumentUpdate

KEEP_EVERY = 500
"""Every such version is kept as a text, so that at most as many changes are applied to read one."""

READ_AT_ONCE = 50
"""How many changes are in memory at a time."""


def keep_snapshot(row: Document, text: str) -> None:
    """Keep the text of the row's version, if it is one of those that are kept."""
    if row.version % KEEP_EVERY == 0:
        DocumentSnapshot.objects.create(document=row, version=row.version, text=text)


def add_snapshot(row: Document) -> bool:
    """Keep the text of the oldest version after the last kept one that should have been kept. False if there is none.
    Such versions are those of imported documents, and those that a process of the release before has made.
    """
    last = DocumentSnapshot.objects.filter(document=row).order_by("-version").first()
    version, text = (0, "") if last is None else (last.version, last.text)
    if version + KEEP_EVERY > row.version:
        return False
    for changes in _read_changes(row, version, version + KEEP_EVERY):
        text = ChangeSet.parse(changes).apply(text)
    kept = DocumentSnapshot(document=row, version=version + KEEP_EVERY, text=text)
    DocumentSnapshot.objects.bulk_create([kept], ignore_conflicts=True)  # another process may do the same
    return True


def read_text_at(row: Document, version: int) -> str:
    """The text of a document at one of its versions."""
    base, text = _find_nearest(row, version)
    for changes in _read_changes(row, base, version):
        text = ChangeSet.parse(changes).apply(text)
    return text


def _find_nearest(row: Document, version: int) -> tuple[int, str]:
    """The newest stored text that is not newer than the version."""
    kept = DocumentSnapshot.objects.filter(document=row, version__lte=version).order_by("-version").defer("text")
    found = kept.first()
    if row.text_version <= version and (found is None or found.version < row.text_version):
        return row.text_version, row.text
    return (0, "") if found is None else (found.version, found.text)


def _read_changes(row: Document, base: int, version: int) -> Iterator[object]:
    """The changes after one version, up to another."""
    log = DocumentUpdate.objects.filter(document=row).order_by("version")
    for start in range(base, version, READ_AT_ONCE):
        page = log.filter(version__gt=start, version__lte=min(start + READ_AT_ONCE, version))
        yield from page.values_list("changes", flat=True)
