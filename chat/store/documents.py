"""Documents: create, list, read, and copy them."""

import re
from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid4

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast, Length
from django.utils.translation import gettext as _
from msgspec import Struct

from ..conf import conf
from ..documents.changesets import ChangeSet, units
from ..documents.open_range import OpenRange
from ..i18n import format_number
from ..models import Conversation, Document, DocumentUpdate, Run
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import get_membership, lock_membership
from .document_log import (
    check_can_write,
    check_length,
    document_not_found,
    document_rows,
    read_text,
    set_open_range,
)
from .prepared import Param, Select, insert
from .text import normalize_title, sanitize_text
from .unit_of_work import unit_of_work

UPDATES_PER_PAGE = 200
"""How many updates one answer holds."""

MAX_PAGE_CHARS = 256 * 1024
"""How many characters of changes, if it holds more than one."""

MAX_LANGUAGE_CHARS = 50


class NewDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """What a document begins with."""

    title: str
    kind: str = "markdown"
    language: str = ""
    text: str = ""
    client_id: UUID | None = None
    """Creating it again with the same one changes nothing."""


class DocumentUpdates(Struct, frozen=True):
    """A page of a document's log, oldest first. If there are `more`, they follow the last one. If not, `writing` is the
    open range after the last one.
    """

    updates: list[objects.DocumentUpdate]
    more: bool
    writing: objects.Writing | None


def list_documents(user_id: Any, conversation_id: UUID) -> list[objects.Document]:
    """The documents of a conversation, oldest first, for its participants. Raises Refused."""
    get_membership(user_id, conversation_id)
    return [objects.Document.of(row) for row in documents_of([conversation_id]).defer("text")]


def documents_of(conversations: Iterable[UUID]) -> QuerySet[Document]:
    """The documents of these conversations, oldest first, with what `objects.Document` reads."""
    rows = Document.objects.filter(conversation__in=conversations, deleted_at=None)
    return rows.select_related("writing_run", "created_by").order_by("created_at", "pk")


def get_document(user_id: Any, document_id: UUID) -> objects.OpenedDocument:
    """A document with its text. Raises Refused(NOT_FOUND)."""
    row = find_readable(user_id, document_id)
    return objects.OpenedDocument.with_text(row, read_text(row))


def list_updates(user_id: Any, document_id: UUID, since: int) -> DocumentUpdates:
    """The updates after a version. Raises Refused(NOT_FOUND)."""
    return _list_updates(find_readable(user_id, document_id), since)


def sync_document(user_id: Any, conversation_id: UUID, document_id: UUID, since: int) -> DocumentUpdates:
    """The same for a document of this conversation."""
    get_membership(user_id, conversation_id)
    row = documents_of([conversation_id]).filter(pk=document_id).defer("text").first()
    if row is None:
        raise document_not_found()
    return _list_updates(row, since)


@unit_of_work()
def create_document(user_id: Any, conversation_id: UUID, new: NewDocument) -> objects.Document:
    """A new document by a user; with a `client_id` that they have used, the one from before. Raises Refused."""
    participant = lock_membership(user_id, conversation_id)
    check_can_write(participant)
    if new.client_id is not None:
        created = Document.objects.filter(conversation=conversation_id, created_by=user_id, client_id=new.client_id)
        earlier = created.select_related("created_by", "writing_run").first()
        if earlier is not None:
            if earlier.deleted_at is not None:
                raise document_not_found()
            return objects.Document.of(earlier)
    user = participant.user
    return objects.Document.of(insert_document(participant.conversation, new, user, {"author": user}))


def check_can_select(user_id: Any, conversation_id: UUID, document_id: UUID) -> None:
    """Raises Refused if a user may not show others where they are in a document."""
    check_can_write(get_membership(user_id, conversation_id))
    if not document_rows(conversation_id).filter(pk=document_id).exists():
        raise document_not_found()


def copy_documents(source: Conversation, into: Conversation, user: Any) -> None:
    """Copy the documents of a conversation as they are now. The logs of the copies begin with their texts."""
    for key in list(document_rows(source.pk).values_list("pk", flat=True)[: conf.MAX_DOCUMENTS]):
        row = Document.objects.get(pk=key)
        new = NewDocument(row.title, row.kind, row.language, read_text(row))
        _insert(into, new, user, {"author": user}, uuid4())


def insert_document(
    conversation: Conversation,
    new: NewDocument,
    creator: Any,
    by: dict[str, Any],
    document_id: UUID | None = None,
    writing: Run | None = None,
) -> Document:
    """A new document in a locked conversation, with its text as the first update. `writing` is the run that goes on
    writing the text. Raises Refused.
    """
    new = check_new(new)
    check_has_room(conversation)
    return _insert(conversation, new, creator, by, document_id or uuid4(), writing)


def check_has_room(conversation: Conversation) -> None:
    """Raises Refused(CONFLICT) if a conversation cannot have another document."""
    if len(_IDS.all(conversation=conversation.pk)) >= conf.MAX_DOCUMENTS:
        raise Refused(
            ErrorCode.CONFLICT,
            _("A conversation can have up to %(most)s documents.") % {"most": format_number(conf.MAX_DOCUMENTS)},
        )


_IDS = Select(
    lambda: (
        Document.objects.filter(conversation=Param("conversation", Document, "conversation"), deleted_at=None)
        .only("id")
        .order_by()
    )
)


def _insert(
    conversation: Conversation,
    new: NewDocument,
    creator: Any,
    by: dict[str, Any],
    document_id: UUID,
    writing: Run | None = None,
) -> Document:
    row = Document(
        id=document_id,
        conversation=conversation,
        kind=new.kind,
        language=new.language,
        title=new.title,
        text=new.text,
        created_by=creator,
        client_id=new.client_id,
    )
    row.version = row.text_version = 1 if new.text else 0
    row.updated_at = row.created_at
    if writing is not None:
        row.writing_run = writing
        set_open_range(row, OpenRange(0, units(new.text), units(new.text)))
    insert([row])
    if new.text:
        changes = ChangeSet.of([(0, new.text)]).to_json()
        insert([DocumentUpdate(document=row, version=1, changes=changes, created_at=row.created_at, **by)])
    return row


def check_new(new: NewDocument) -> NewDocument:
    """As it is stored. Raises Refused."""
    if new.kind not in Document.Kind.values:
        raise Refused(ErrorCode.INVALID, f"`kind` must be one of {', '.join(Document.Kind.values)}.")
    title = normalize_title(new.title)
    if not title:
        raise Refused(ErrorCode.EMPTY, _("A document needs a title."))
    if not re.fullmatch(r"[\w+#.-]*", new.language) or len(new.language) > MAX_LANGUAGE_CHARS:
        raise Refused(ErrorCode.INVALID, f"`language` must be a name such as python, up to {MAX_LANGUAGE_CHARS} long.")
    text = normalize_document(new.text)
    check_length(text)
    return NewDocument(title, new.kind, new.language, text, new.client_id)


def normalize_document(text: str) -> str:
    """A text as documents hold it: without what a database rejects, with lines that end in a line feed alone."""
    return sanitize_text(text).replace("\r\n", "\n").replace("\r", "\n")


def find_readable(user_id: Any, document_id: UUID) -> Document:
    """A document that this user may read. Raises Refused(NOT_FOUND)."""
    rows = Document.objects.select_related("writing_run", "created_by")
    row = rows.filter(pk=document_id, deleted_at=None).first()
    if row is None:
        raise document_not_found()
    try:
        get_membership(user_id, row.conversation_id)
    except Refused:
        raise document_not_found() from None
    return row


def _list_updates(row: Document, since: int) -> DocumentUpdates:
    later = DocumentUpdate.objects.filter(document=row, version__gt=since).order_by("version")
    lengths = later.annotate(chars=Length(Cast("changes", TextField()))).values_list("version", "chars")
    chars, last, more = 0, since, False
    for version, length in lengths[: UPDATES_PER_PAGE + 1]:
        chars += length
        more = version > since + UPDATES_PER_PAGE or (chars > MAX_PAGE_CHARS and last > since)
        if more:
            break
        last = version
    page = later.filter(version__lte=last).select_related("author")
    writing = None if more else objects.find_writing(row)
    return DocumentUpdates([objects.DocumentUpdate.of(each) for each in page], more, writing)
