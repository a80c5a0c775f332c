"""Documents: create them, and append changes to their logs.

A change is made for a version. If it is not the newest one, the change is refused as `stale`: its author gets the
updates since then, maps the change over them (`ChangeSet.map`), and tries again. So the log has one order for
everybody.
"""

import re
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast, Length
from django.utils import timezone
from django.utils.translation import gettext as _
from msgspec import Struct

from .. import agents, database
from ..conf import conf
from ..documents.changesets import ChangeSet, InvalidChange
from ..i18n import format_number
from ..models import Conversation, Document, DocumentUpdate, Participant, Run
from ..permissions import is_guest, policy
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import check_can_post, get_membership, lock_conversation, lock_membership, lock_rows
from .text import normalize_title, one_line, sanitize_text
from .unit_of_work import unit_of_work

SNAPSHOT_EVERY = 50
"""After how many updates the text is stored again. To read a document, at most this many changes are applied."""

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


class DocumentUpdates(Struct, frozen=True):
    """A page of a document's log, oldest first. If there are `more`, they follow the last one."""

    updates: list[objects.DocumentUpdate]
    more: bool


class PushedChange(Struct, frozen=True):
    """`update` is in the log. `repeated`: it was there before, and nothing else has happened now."""

    update: objects.DocumentUpdate
    repeated: bool = False


def list_documents(user_id: Any, conversation_id: UUID) -> list[objects.Document]:
    """The documents of a conversation, oldest first, for its participants. Raises Refused."""
    get_membership(user_id, conversation_id)
    return [objects.Document.of(row) for row in _rows(conversation_id).defer("text")]


def get_document(user_id: Any, document_id: UUID) -> objects.OpenedDocument:
    """A document with its text. Raises Refused(NOT_FOUND)."""
    row = _find(user_id, document_id)
    return objects.OpenedDocument.with_text(row, read_text(row))


def list_updates(user_id: Any, document_id: UUID, since: int) -> DocumentUpdates:
    """The updates after a version. Raises Refused(NOT_FOUND)."""
    return _list_updates(_find(user_id, document_id), since)


def sync_document(user_id: Any, conversation_id: UUID, document_id: UUID, since: int) -> DocumentUpdates:
    """The same for a document of this conversation."""
    get_membership(user_id, conversation_id)
    row = _rows(conversation_id).filter(pk=document_id).defer("text").first()
    if row is None:
        raise _not_found()
    return _list_updates(row, since)


@unit_of_work()
def create_document(user_id: Any, conversation_id: UUID, new: NewDocument) -> objects.Document:
    """A new document by a user. Raises Refused."""
    participant = lock_membership(user_id, conversation_id)
    _check_can_write(participant)
    return objects.Document.of(_create(participant.conversation, new, {"author": participant.user}))


@unit_of_work()
def push_changes(
    user_id: Any, conversation_id: UUID, document_id: UUID, version: int, changes: ChangeSet, client_id: UUID | None
) -> PushedChange:
    """Append a user's change of the version `version`. Pushing a `client_id` again changes nothing. Raises Refused:
    STALE if there is a newer version, INVALID if the change does not fit.
    """
    row = _lock(conversation_id, document_id)
    participant = get_membership(user_id, conversation_id)
    if row is None:
        raise _not_found()
    if client_id is not None:
        earlier = (
            DocumentUpdate.objects.select_related("author")
            .filter(document=row, author=user_id, client_id=client_id)
            .first()
        )
        if earlier is not None:
            return PushedChange(objects.DocumentUpdate.of(earlier), repeated=True)
    _check_can_write(participant)
    return PushedChange(_append(row, version, changes, {"author": participant.user, "client_id": client_id}))


def _check_can_write(participant: Participant) -> None:
    """Raises Refused(FORBIDDEN) for readers, and for guests: a log has no limit per day as messages have."""
    check_can_post(participant)
    if is_guest(participant.user):
        raise Refused(ErrorCode.FORBIDDEN, _("Sign in to write in documents."))


@unit_of_work()
def create_document_by_run(run_id: UUID, host: str, new: NewDocument) -> objects.Document:
    """A new document by the agent of a run that this host makes. Raises Refused."""
    run = _get_running(run_id, host)
    conversation = lock_conversation(run.conversation_id)
    return objects.Document.of(_create(conversation, new, {"run": run}))


@unit_of_work()
def push_changes_by_run(
    run_id: UUID, host: str, document_id: UUID, version: int, changes: ChangeSet
) -> objects.DocumentUpdate:
    """`push_changes` by the agent of a run that this host makes. Raises Refused."""
    run = _get_running(run_id, host)
    row = _lock(run.conversation_id, document_id)
    if row is None:
        raise _not_found()
    return _append(row, version, changes, {"run": run})


def find_document_for_run(run_id: UUID, host: str, name: str) -> objects.OpenedDocument:
    """The document with this id or title in the conversation of a run. Raises Refused, and LookupError with advice for
    the model.
    """
    run = _get_running(run_id, host)
    rows = list(_rows(run.conversation_id).defer("text"))
    found = [row for row in rows if str(row.pk) == name.strip().lower()]
    found = found or [row for row in rows if one_line(row.title).casefold() == one_line(name).casefold()]
    if len(found) != 1:
        listed = "\n".join(f"{row.pk}: {row.title}" for row in found or rows) or "(none)"
        problem = f"Several documents are called {name!r}." if found else f"There is no document {name!r}."
        raise LookupError(f"{problem} Use an id of these:\n{listed}")
    row = Document.objects.get(pk=found[0].pk)
    return objects.OpenedDocument.with_text(row, read_text(row))


def find_written_version(run_id: UUID, document_id: UUID) -> int:
    """The version that the agent of a run has made last; 0 without any."""
    agent = Run.objects.filter(pk=run_id).values_list("agent", flat=True).first()
    own = DocumentUpdate.objects.filter(document=document_id, run__agent=agent).order_by("version")
    return own.values_list("version", flat=True).last() or 0


def list_changers(run_id: UUID, document_id: UUID, since: int) -> list[str]:
    """Who has changed a document after a version, but for the agent of this run: names of people and agents."""
    agent = Run.objects.filter(pk=run_id).values_list("agent", flat=True).first()
    later = DocumentUpdate.objects.filter(document=document_id, version__gt=since).order_by()
    users = get_user_model()._base_manager.using(database.alias())
    people = users.filter(pk__in=later.filter(run=None).values("author")).order_by("pk")[:10]
    others = later.exclude(run=None).exclude(run__agent=agent).values_list("run__agent", flat=True).distinct()[:10]
    names = [policy().name(user) for user in people] + [agents.find(slug).name for slug in others]
    if later.filter(run=None, author=None).exists():
        names.append("somebody whose account was deleted")
    return names


def _get_running(run_id: UUID, host: str) -> Run:
    """A run that this host makes. Raises Refused(RUN_OVER)."""
    rows = Run.objects.filter(pk=run_id, host=host, status=Run.Status.RUNNING, conversation__deleted_at=None)
    run = rows.first()
    if run is None:
        raise Refused(ErrorCode.RUN_OVER, _("This answer has already ended."))
    return run


def copy_documents(source: Conversation, into: Conversation, user: Any) -> None:
    """Copy the documents of a conversation as they are now. The logs of the copies begin with their texts."""
    for key in list(_rows(source.pk).values_list("pk", flat=True)[: conf.MAX_DOCUMENTS]):
        row = Document.objects.get(pk=key)
        _create(into, NewDocument(row.title, row.kind, row.language, read_text(row)), {"author": user}, checked=True)


def _create(conversation: Conversation, new: NewDocument, by: dict[str, Any], checked: bool = False) -> Document:
    """A new document in a locked conversation, with its text as the first update."""
    if not checked:
        new = check_new(new)
        if _rows(conversation.pk).count() >= conf.MAX_DOCUMENTS:
            raise Refused(
                ErrorCode.CONFLICT,
                _("A conversation can have up to %(most)s documents.") % {"most": format_number(conf.MAX_DOCUMENTS)},
            )
    row = Document(conversation=conversation, kind=new.kind, language=new.language, title=new.title, text=new.text)
    row.version = row.text_version = 1 if new.text else 0
    row.updated_at = row.created_at
    row.save(force_insert=True)
    if new.text:
        changes = ChangeSet.of([(0, new.text)]).to_json()
        DocumentUpdate.objects.create(document=row, version=1, changes=changes, created_at=row.created_at, **by)
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
    _check_length(text)
    return NewDocument(title, new.kind, new.language, text)


def normalize_document(text: str) -> str:
    """A text as documents hold it: without what a database rejects, with lines that end in a line feed alone."""
    return sanitize_text(text).replace("\r\n", "\n").replace("\r", "\n")


def _append(row: Document, version: int, changes: ChangeSet, by: dict[str, Any]) -> objects.DocumentUpdate:
    """Append a change to the log of a locked document. Raises Refused."""
    if version != row.version:
        raise Refused(ErrorCode.STALE, _("Somebody else has changed this document at the same time. Try again."))
    if row.version >= conf.MAX_DOCUMENT_UPDATES:
        raise Refused(ErrorCode.CONFLICT, _("This document has been changed too often. Continue in a copy of it."))
    before = read_text(row)
    try:
        text = changes.apply(before)
    except InvalidChange as error:
        raise Refused(ErrorCode.INVALID, f"{error}.") from None
    if len(text) > len(before):
        _check_length(text)
    row.version, row.updated_at = version + 1, timezone.now()
    update = DocumentUpdate.objects.create(
        document=row, version=row.version, changes=changes.to_json(), created_at=row.updated_at, **by
    )
    fields = ["version", "updated_at"]
    if row.version - row.text_version >= SNAPSHOT_EVERY:
        row.text, row.text_version = text, row.version
        fields += ["text", "text_version"]
    row.save(update_fields=fields)
    return objects.DocumentUpdate.of(update)


def _check_length(text: str) -> None:
    if len(text) > conf.MAX_DOCUMENT_CHARS:
        raise Refused(
            ErrorCode.TOO_LARGE,
            _("A document can have up to %(most)s characters. This one would have %(length)s.")
            % {"most": format_number(conf.MAX_DOCUMENT_CHARS), "length": format_number(len(text))},
        )


def read_text(row: Document) -> str:
    """The text at the row's version: its snapshot, and the changes since."""
    text = row.text
    if row.version > row.text_version:
        later = DocumentUpdate.objects.filter(document=row, version__gt=row.text_version, version__lte=row.version)
        for changes in later.order_by("version").values_list("changes", flat=True):
            text = ChangeSet.parse(changes).apply(text)
    return text


def _rows(conversation_id: UUID) -> QuerySet[Document]:
    return Document.objects.filter(conversation=conversation_id).order_by("created_at", "pk")


def _lock(conversation_id: UUID, document_id: UUID) -> Document | None:
    """The row, locked until the transaction ends: its changes are appended one after the other."""
    return lock_rows(_rows(conversation_id).filter(pk=document_id).order_by()).first()


def _find(user_id: Any, document_id: UUID) -> Document:
    row = Document.objects.filter(pk=document_id).first()
    if row is None:
        raise _not_found()
    try:
        get_membership(user_id, row.conversation_id)
    except Refused:
        raise _not_found() from None
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
    return DocumentUpdates([objects.DocumentUpdate.of(each) for each in page], more)


def _not_found() -> Refused:
    """One answer for both cases, so that nobody can probe which documents exist."""
    return Refused(ErrorCode.NOT_FOUND, _("This document does not exist, or you are not in its conversation."))
