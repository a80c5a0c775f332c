"""What agents do with the documents of their conversation: find, create, and change them, in a run."""

from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Max, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from msgspec import Struct

from .. import agents, database
from ..documents.changesets import ChangeSet
from ..models import Document, DocumentUpdate, Run
from ..permissions import policy
from ..protocol import objects
from ..protocol.errors import ErrorCode, Refused
from .base import lock_conversation
from .document_log import (
    PushedChange,
    append_changes,
    document_not_found,
    document_rows,
    lock_document,
    read_text,
)
from .document_snapshots import read_text_at
from .documents import NewDocument, check_new, insert_document
from .prepared import Param, Select
from .text import one_line
from .unit_of_work import unit_of_work

MAX_CHANGED = 5
"""Of how many documents an agent is told what others have changed."""


@unit_of_work()
def create_document_by_run(
    run_id: UUID, host: str, document_id: UUID, new: NewDocument, opened: bool = False
) -> objects.Document:
    """A new document with this id by the agent of a run that this host makes. If `opened`, the agent goes on writing
    its text (`document_writing`). Creating it again changes nothing. Raises Refused.
    """
    run = get_running(run_id, host)
    conversation = lock_conversation(run.conversation_id)
    earlier = _CREATED.first(id=document_id, conversation=conversation.pk)
    if earlier is not None:
        return objects.Document.of(earlier)
    row = insert_document(conversation, new, run.launched_by, {"run": run}, document_id, run if opened else None)
    return objects.Document.of(row)


_CREATED = Select(
    lambda: Document.objects.filter(
        pk=Param("id", Document, "id"), conversation=Param("conversation", Document, "conversation")
    ).order_by()
)


@unit_of_work()
def describe_document_by_run(run_id: UUID, host: str, document_id: UUID, kind: str, language: str) -> objects.Document:
    """Change the kind and the language of a document that a run has created. Raises Refused."""
    run = get_running(run_id, host)
    row = lock_document(run.conversation_id, document_id)
    if row is None:
        raise document_not_found()
    checked = check_new(NewDocument(row.title, kind, language))
    row.kind, row.language, row.updated_at = checked.kind, checked.language, timezone.now()
    row.save(update_fields=["kind", "language", "updated_at"])
    return objects.Document.of(row)


@unit_of_work()
def push_changes_by_run(run_id: UUID, host: str, document_id: UUID, version: int, changes: ChangeSet) -> PushedChange:
    """`push_changes` by the agent of a run that this host makes. Pushing it again changes nothing. Raises Refused."""
    run = get_running(run_id, host)
    row = lock_document(run.conversation_id, document_id)
    if row is None:
        raise document_not_found()
    earlier = DocumentUpdate.objects.filter(document=row, version=version + 1, run=run).first()
    if earlier is not None and earlier.changes == changes.to_json():
        return PushedChange(objects.DocumentUpdate.of(earlier), objects.find_writing(row), repeated=True)
    return append_changes(row, version, changes, {"run": run})


def find_document_for_run(run_id: UUID, host: str, name: str) -> objects.OpenedDocument:
    """The document with this id or title in the conversation of a run. Raises Refused, and LookupError with advice for
    the model.
    """
    run = get_running(run_id, host)
    rows = list(document_rows(run.conversation_id).defer("text"))
    found = [row for row in rows if str(row.pk) == name.strip().lower()]
    found = found or [row for row in rows if one_line(row.title).casefold() == one_line(name).casefold()]
    if len(found) != 1:
        listed = "\n".join(f"{row.pk}: {row.title}" for row in found or rows) or "(none)"
        problem = f"Several documents are called {name!r}." if found else f"There is no document {name!r}."
        raise LookupError(f"{problem} Use an id of these:\n{listed}")
    row = Document.objects.select_related("created_by", "writing_run").get(pk=found[0].pk)
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


class ChangedDocument(Struct, frozen=True):
    """What others have changed in a document since the version `since`, whose text was `before`."""

    document: objects.OpenedDocument
    since: int
    before: str
    changers: list[str]


def list_changed_documents(run_id: UUID) -> list[ChangedDocument]:
    """What others have changed since the agent of this run has answered last in the conversation: the newest few
    documents. Empty before its first answer.
    """
    run = Run.objects.defer("transcript").get(pk=run_id)
    answered = Run.objects.filter(conversation=run.conversation_id, agent=run.agent, finished_at__lt=run.started_at)
    finished_at = answered.aggregate(Max("finished_at"))["finished_at__max"]
    if finished_at is None:
        return []
    changed = []
    rows = document_rows(run.conversation_id).filter(updated_at__gt=finished_at).order_by("-updated_at")
    for row in rows.select_related("created_by", "writing_run")[:MAX_CHANGED]:
        earlier = DocumentUpdate.objects.filter(document=row, created_at__lte=finished_at)
        since = earlier.aggregate(Max("version"))["version__max"] or 0
        names = list_changers(run_id, row.pk, since)
        if names:
            opened = objects.OpenedDocument.with_text(row, read_text(row))
            changed.append(ChangedDocument(opened, since, read_text_at(row, since), names))
    return changed


def get_running(run_id: UUID, host: str) -> Run:
    """A run that this host makes. Raises Refused(RUN_OVER)."""
    run = _RUNNING.first(id=run_id, host=host)
    if run is None:
        raise Refused(ErrorCode.RUN_OVER, _("This answer has already ended."))
    return run


def _running() -> QuerySet[Run]:
    rows = Run.objects.filter(status=Run.Status.RUNNING, conversation__deleted_at=None).order_by()
    return rows.filter(pk=Param("id", Run, "id"), host=Param("host", Run, "host")).defer("transcript")


_RUNNING = Select(_running)
