"""What follows the text of a document with a delay: the search index, and the stored texts of the row and of old
versions.

A document changes with each key, and to find the words of a long text takes a while. So this is done by the way, by
every process now and then (`node/heartbeat.py`), for documents that nobody has changed for a moment.
"""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from django.db.models import F, Q
from django.utils import timezone
from msgspec import Struct

from ..models import Document, Passage
from .document_log import read_text
from .document_snapshots import KEEP_EVERY, add_snapshot
from .unit_of_work import unit_of_work

QUIET = timedelta(seconds=5)
"""How long nobody has changed a document that is settled, unless MAX_BEHIND is reached."""

MAX_BEHIND = KEEP_EVERY
"""After how many changes a document is settled even if people change it all the time."""


class UnsettledDocument(Struct, frozen=True):
    """A document whose newest text is not in the index. `text` is None if something else had to be done first."""

    id: UUID
    conversation: UUID
    version: int
    title: str
    text: str | None
    is_field: bool = False
    """Whether it is settled by `document_fields.save_field`."""


def find_unsettled_document(but: Collection[UUID] = ()) -> UnsettledDocument | None:
    """The one that has waited longest, but for these."""
    quiet = Q(updated_at__lt=timezone.now() - QUIET) | Q(version__gte=F("settled_version") + MAX_BEHIND)
    changed = Document.objects.filter(quiet, settled_version__lt=F("version"), deleted_at=None).exclude(pk__in=but)
    row = changed.order_by("updated_at").first()
    if row is None:
        return None
    text = None if add_snapshot(row) else read_text(row)
    return UnsettledDocument(row.pk, row.conversation_id, row.version, row.title, text, bool(row.field))


@unit_of_work()
def settle_document(document: UnsettledDocument, words: str) -> None:
    """Index a document by the words of its title and its text. Changes nothing if it has another title by now, or if
    another process has indexed this version.
    """
    assert document.text is not None
    behind = Document.objects.filter(pk=document.id, settled_version__lt=document.version, title=document.title)
    # The excerpts of search results are made of the row's text.
    stored = {"text": document.text, "text_version": document.version}
    settled = behind.filter(version=document.version).update(settled_version=document.version, **stored)
    if not settled and not behind.update(settled_version=document.version):
        return
    indexed = Passage.objects.filter(document=document.id)
    if not words:
        indexed.delete()
    elif not indexed.update(text=words):
        Passage.objects.create(conversation_id=document.conversation, document_id=document.id, text=words)
