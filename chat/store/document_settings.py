"""Documents as a whole: change the title and the kind, delete, restore."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _
from msgspec import Struct

from ..conf import conf
from ..models import Document, Participant
from ..permissions import policy
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import get_membership, lock_membership
from .document_log import check_can_write, document_not_found, lock_document
from .documents import NewDocument, check_has_room, check_new
from .unit_of_work import unit_of_work


class DocumentChanges(Struct, frozen=True):
    """New settings of a document; None leaves one as it is."""

    title: str | None = None
    kind: str | None = None
    language: str | None = None


@unit_of_work()
def change_document(
    user_id: Any, conversation_id: UUID, document_id: UUID, changes: DocumentChanges
) -> objects.Document:
    """Change a document's title, kind, or language. Raises Refused."""
    participant, row = _lock(user_id, conversation_id, document_id)
    check_can_write(participant)
    new = check_new(
        NewDocument(
            title=row.title if changes.title is None else changes.title,
            kind=row.kind if changes.kind is None else changes.kind,
            language=row.language if changes.language is None else changes.language,
        )
    )
    row.title, row.kind, row.language, row.updated_at = new.title, new.kind, new.language, timezone.now()
    if not row.field:  # what is saved there is told from what the site has changed by this version
        row.settled_version = 0  # the search finds the title, too
    row.save(update_fields=["title", "kind", "language", "updated_at", "settled_version"])
    return objects.Document.of(row)


@unit_of_work()
def delete_document(user_id: Any, conversation_id: UUID, document_id: UUID) -> None:
    """Hide a document from everyone. It can be restored within UNDO_SECONDS. Raises Refused."""
    participant, row = _lock(user_id, conversation_id, document_id)
    _check_can_delete(participant, row)
    row.deleted_at = timezone.now()
    row.save(update_fields=["deleted_at"])


@unit_of_work()
def undelete_document(user_id: Any, conversation_id: UUID, document_id: UUID) -> objects.Document:
    """Undo a deletion. Changes nothing if the document is not deleted. Raises Refused."""
    participant = lock_membership(user_id, conversation_id)
    row = (
        Document.objects.filter(pk=document_id, conversation=conversation_id)
        .select_related("created_by", "writing_run")
        .first()
    )
    if row is None:
        raise document_not_found()
    _check_can_delete(participant, row)
    if row.deleted_at is not None:
        if row.deleted_at < timezone.now() - timedelta(seconds=conf.UNDO_SECONDS):
            raise document_not_found()
        check_has_room(participant.conversation)
        row.deleted_at = None
        row.save(update_fields=["deleted_at"])
    return objects.Document.of(row)


def _lock(user_id: Any, conversation_id: UUID, document_id: UUID) -> tuple[Participant, Document]:
    """A user's membership and a locked document. Raises Refused(NOT_FOUND)."""
    row = lock_document(conversation_id, document_id)
    participant = get_membership(user_id, conversation_id)
    if row is None:
        raise document_not_found()
    return participant, row


def _check_can_delete(participant: Participant, row: Document) -> None:
    if not policy().can_delete_document(participant, row):
        raise Refused(
            ErrorCode.FORBIDDEN, _("Only the person who created this document or a conversation owner can delete it.")
        )
