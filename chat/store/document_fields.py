"""Documents that are a text field of the object whose room they are in: what people and agents write is saved in the
field when nobody has written for a moment, and what the site writes in the field becomes a change of the document.
"""

from typing import Any
from uuid import UUID

from django.db import models, transaction
from django.utils.text import capfirst
from msgspec import Struct

from .. import fulltext, rooms
from ..documents.changesets import ChangeSet
from ..documents.text_diff import diff_texts
from ..models import Document, DocumentUpdate
from ..models.conversations import MAX_TITLE_CHARS
from ..protocol import objects
from .base import lock_conversation, lock_rows
from .document_log import PushedChange, append_changes, lock_document, read_text
from .document_settling import UnsettledDocument, settle_document
from .document_snapshots import read_text_at
from .documents import NewDocument, insert_document, normalize_document
from .rooms import make_room
from .text import one_line, truncate
from .unit_of_work import unit_of_work


class OpenedField(Struct, frozen=True):
    """The document of a field. `created`: it is new. `pushed`: what the site has changed since."""

    document: objects.Document
    created: bool = False
    pushed: PushedChange | None = None


def open_field(obj: models.Model, name: str, user: Any) -> OpenedField:
    """The document of an object's field, made on first use. If the field has another text than the document, that is a
    change by `user`, who may be None. Raises LookupError if the rule of the object's room does not name the field, and
    Refused if its text is too long.
    """
    kind = rooms.rule_of(obj).documents.get(name)
    if kind is None:
        raise LookupError(f"{type(obj).__name__}Room.documents has no {name!r}.")
    room = make_room(obj)
    text = _text_of(obj, name)
    with unit_of_work():
        lock_conversation(room.pk)
        row = lock_rows(Document.objects.filter(conversation=room, field=name).order_by()).first()
        if row is None:
            column: Any = obj._meta.get_field(name)
            title = truncate(one_line(capfirst(str(column.verbose_name))), MAX_TITLE_CHARS)
            row = insert_document(room, NewDocument(title, kind, text=text), user, {"author": user})
            row.field = name
            row.save(update_fields=["field"])
            _settle(row)
            return OpenedField(objects.Document.of(row), created=True)
        created = row.deleted_at is not None
        if created:
            row.deleted_at = None
            row.save(update_fields=["deleted_at"])
        pushed = None
        if row.settled_version == row.version:  # else what people write now is merged with it a moment later
            pushed = _take(row, text, user)
        return OpenedField(objects.Document.of(row), created, pushed)


def save_field(document_id: UUID) -> PushedChange | None:
    """Save the newest text of a document in the field of its object. If the site has changed the field since the last
    time, that becomes a change of the document first, which is returned. Raises Refused while an agent writes there,
    and whatever the object's `save` raises.
    """
    row = Document.objects.filter(pk=document_id, deleted_at=None).select_related("conversation").first()
    found = None if row is None else rooms.find_object(row.conversation)
    if row is None or found is None:
        return None
    rows, using = type(found[1])._base_manager, found[1]._state.db
    with transaction.atomic(using=using), unit_of_work():
        obj = rows.using(using).select_for_update().get(pk=found[1].pk)  # or a form that is saved now would be lost
        row = lock_document(row.conversation_id, document_id)
        if row is None:
            return None
        pushed = _take(row, _text_of(obj, row.field), None)
        text = read_text(row)
        if getattr(obj, row.field) != text:
            setattr(obj, row.field, text)
            obj.save(update_fields=[row.field])
        _settle(row)
        return pushed


def _take(row: Document, text: str, user: Any) -> PushedChange | None:
    """Append what the site has changed in the field since it was saved, mapped over what people have changed since."""
    saved = read_text_at(row, row.settled_version)
    if text in (saved, read_text(row)):
        return None
    changes = diff_texts(saved, text)
    later = DocumentUpdate.objects.filter(document=row, version__gt=row.settled_version).order_by("version")
    for each in later.values_list("changes", flat=True):
        changes = changes.map(ChangeSet.parse(each))
    pushed = append_changes(row, row.version, changes, {"author": user})
    _settle(row)
    return pushed


def _settle(row: Document) -> None:
    """The field holds the text of this version."""
    text = read_text(row)
    settled = UnsettledDocument(row.pk, row.conversation_id, row.version, row.title, text)
    settle_document(settled, fulltext.make_index_text(f"{row.title}\n{text}"))
    row.settled_version = row.version


def _text_of(obj: models.Model, name: str) -> str:
    return normalize_document(str(getattr(obj, name) or ""))
