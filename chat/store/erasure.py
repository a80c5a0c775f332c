"""Erase a user: what they wrote, their files, and their name, in batches of short transactions. What bills need stays,
without a name.

The receipt says how far it is, so an erasure can be cut off at any time and continued by any process. Of conversations
with others, the places of their messages stay, and of documents that others have changed as well, the text.
"""

import re
import secrets
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db.models import EmailField, Exists, OuterRef, ProtectedError, Q, QuerySet, RestrictedError, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from msgspec import Struct

from .. import database
from ..documents.changesets import ChangeSet, units
from ..i18n import in_site_language
from ..models import (
    Attachment,
    Conversation,
    Document,
    DocumentProposal,
    DocumentSnapshot,
    DocumentUpdate,
    Edit,
    Erasure,
    Hold,
    Message,
    Participant,
    Passage,
    Run,
    RunRecording,
    ToolCall,
)
from ..models.conversations import MAX_TITLE_CHARS
from ..models.documents import MAX_VERSION_NAME_CHARS
from ..permissions import policy
from ..protocol.errors import ErrorCode, Refused
from ..protocol.objects import Part, TextPart, ThinkingPart, decode_parts, encode_parts
from .base import lock_conversation, lock_rows, lock_user
from .document_log import read_text
from .document_snapshots import READ_AT_ONCE
from .holds import PERMISSION, user_is_held
from .retention import BATCH_SIZE, erase_log, erase_rows_of, erase_texts
from .run_lifecycle import stop_run
from .search import index_message, set_title
from .transfer.tables import is_user
from .unit_of_work import unit_of_work


class Step(Struct, frozen=True):
    """A kind of row, how to find it, and how to erase rows with given keys, in ascending order: one transaction for
    each value that `erase` yields.
    """

    name: str
    rows: QuerySet[Any]
    erase: Callable[[list[Any]], Iterator[None]]


FOUND_AGAIN = ("names", "titles", "versions", "logs")
"""Steps that find the same rows again after they are done: their rows stay."""

_MERGED_PAGES = 200
"""How much of the full-text index one transaction merges."""


def plan_erasure(user: Any) -> dict[str, int]:
    """What `erase_user` would do: a dry run. Raises Refused under a hold."""
    _check_hold(user)
    return {step.name: step.rows.count() for step in _Person(user).steps()}


def erase_user(user: Any, by: Any | None = None) -> Generator[dict[str, int], None, None]:
    """Begin and continue an erasure at once. Yields the numbers so far after each transaction. Raises Refused as
    `begin_erasure` and `continue_erasure` do.
    """
    for receipt in continue_erasure(begin_erasure(user, by)):
        yield receipt.counts


@unit_of_work()
def begin_erasure(user: Any, by: Any | None = None) -> Erasure:
    """Returns the receipt of the erasure of a user, for `continue_erasure`: of the one that is not finished, if there
    is one. `by` is a user with the permission `manage_retention`, or None for the command line.

    Raises Refused: FORBIDDEN without the permission, or if only `user` is a superuser; CONFLICT under a hold.
    """
    if by is not None and not by.has_perm(PERMISSION):
        raise Refused(ErrorCode.FORBIDDEN, _("You can't erase users."))
    if by is not None and getattr(user, "is_superuser", False) and not by.is_superuser:
        raise Refused(ErrorCode.FORBIDDEN, _("Only superusers can erase superusers."))
    lock_user(user.pk)
    _check_hold(user)
    begun = Erasure.objects.filter(user=user, finished_at=None).first()
    return begun or Erasure.objects.create(user=user, erased_by=by)


def continue_erasure(receipt: Erasure) -> Iterator[Erasure]:
    """Deactivate the account, erase, and yield the receipt after each transaction. When it ends, the erasure is
    finished; until then, it can be left and continued later.

    Raises Refused: CONFLICT under a hold, while an answer that they asked for is being stopped, while another process
    continues this erasure, or if it is finished.
    """
    if receipt.user is None:
        raise Refused(ErrorCode.CONFLICT, _("This erasure is finished, or the account was deleted in another way."))
    _check_hold(receipt.user)
    person = _Person(receipt.user, receipt)
    person.quiet()
    yield from person.erase()


def _check_hold(user: Any) -> None:
    if user_is_held(user.pk):
        raise Refused(ErrorCode.CONFLICT, _("A hold keeps what this user wrote. Release it first."))


class _Person:
    """The user who is being erased."""

    def __init__(self, user: Any, receipt: Erasure | None = None) -> None:
        self._user = user
        self._receipt = receipt or Erasure()
        names = {str(user.get_username()), policy().name(user), getattr(user, "get_full_name", str)()}
        longest_first = sorted((name for name in names if len(name) > 1), key=len, reverse=True)
        self._names = longest_first
        either = "|".join(map(re.escape, longest_first)) or "(?!)"  # which matches nothing
        self._pattern = re.compile(rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE)
        self._placeholder = in_site_language(gettext_noop("deleted account"))

        inside = Participant.objects.filter(conversation=OuterRef("pk"))
        written = Message.objects.filter(conversation=OuterRef("pk"), author__isnull=False)
        logged = DocumentUpdate.objects.filter(document__conversation=OuterRef("pk"), author=user)
        asked = Run.objects.filter(conversation=OuterRef("pk"), launched_by=user)
        own = Exists(inside.filter(user=user)) | Exists(written.filter(author=user)) | Exists(logged) | Exists(asked)
        others = Exists(inside.exclude(user=user)) | Exists(written.exclude(author=user))
        self._lone = Conversation.objects.filter(own).exclude(others).order_by()
        self._shared = Conversation.objects.filter(own).filter(others).order_by()

    def quiet(self) -> None:
        """Keep them from writing, and stop what they have asked for. Raises Refused while something goes on."""
        users = get_user_model()
        if any(field.name == "is_active" for field in users._meta.concrete_fields):
            users._base_manager.using(database.alias()).filter(pk=self._user.pk).update(is_active=False)
        active = Run.objects.filter(status__in=Run.ACTIVE)
        for run in active.filter(Q(launched_by=self._user) | Q(conversation__in=self._lone.values("pk"))):
            with unit_of_work():
                lock_conversation(run.conversation_id)
                ended = stop_run(run, None)
            if not ended:
                raise Refused(ErrorCode.CONFLICT, _("An answer is being stopped. Try again in a few seconds."))

    def erase(self) -> Iterator[Erasure]:
        """Go on where the receipt says, and yield it after each transaction."""
        steps = self.steps()
        complete = False
        while not complete:
            yield from self._take(steps)
            for _transaction in _merge_index():
                yield self._receipt
            with self._transaction():
                # They may have written meanwhile: the site has let them in again, or its users cannot be deactivated.
                complete = not any(step.rows.exists() for step in steps if step.name not in FOUND_AGAIN)
                if complete:
                    self._erase_account()
                else:
                    self._receipt.step = self._receipt.after = ""
            yield self._receipt

    def _take(self, steps: list[Step]) -> Iterator[Erasure]:
        receipt = self._receipt
        names = [step.name for step in steps]
        for step in steps[names.index(receipt.step) if receipt.step else 0 :]:
            if receipt.step != step.name:
                with self._transaction():
                    receipt.step, receipt.after = step.name, ""
                    receipt.counts.setdefault(step.name, 0)
            while keys := self._next_keys(step.rows.order_by("pk")):
                for _transaction in step.erase(keys):
                    yield receipt

    def _next_keys(self, rows: QuerySet[Any]) -> list[Any]:
        if self._receipt.after:
            rows = rows.filter(pk__gt=self._receipt.after)
        return list(rows.values_list("pk", flat=True)[:BATCH_SIZE])

    def steps(self) -> list[Step]:
        """In this order, because each loses the names that an earlier one needs."""
        user = self._user

        def in_lone(path: str) -> Q:
            return Q((f"{path}__conversation__in", self._lone.values("pk")))

        not_lone = ~Q(conversation__in=self._lone.values("pk"))
        notes = Message.objects.filter(self._naming("text"), role__in=(Message.Role.SYSTEM, Message.Role.ASSISTANT))
        updates = DocumentUpdate.objects.filter(document=OuterRef("pk"))
        own = Q(author=user) | Q(run__launched_by=user)
        documents = Document.objects.filter(Q(Exists(updates.filter(own))) | Q(created_by=user)).filter(not_lone)
        by_others = Exists(updates.exclude(author=user).exclude(run__launched_by=user))
        on_message = Q(message__author=user) | Q(message__run__launched_by=user)
        files = Attachment.objects.filter(on_message | Q(uploaded_by=user)).filter(not_lone)
        edits = Edit.objects.filter(Q(message__author=user) | Q(edited_by=user)).filter(~in_lone("message"))
        decisions = ToolCall.objects.filter(~in_lone("run"), decided_by=user)
        named_elsewhere = notes.filter(conversation__in=self._shared.values("pk")).exclude(run__launched_by=user)
        messages = Message.objects.filter(not_lone)
        titled = self._naming("title") | self._naming("updates__name")
        named_versions = Document.objects.filter(titled, conversation__in=self._shared.values("pk")).distinct()
        proposals = DocumentProposal.objects.filter(~in_lone("document"), run__launched_by=user)
        recordings = RunRecording.objects.filter(run__conversation__in=self._shared.values("pk"))
        return [
            Step("conversations", self._lone, self._erase_conversations),
            Step("recordings", recordings, self._erase_recordings),
            Step("names", named_elsewhere, self._rename),
            Step("titles", self._shared, self._retitle),
            Step("versions", named_versions, self._rename_versions),
            Step("proposals", proposals, self._erase_proposals),
            Step("documents", documents.exclude(by_others), self._erase_documents),
            Step("logs", documents.filter(by_others), self._compact_logs),
            Step("attachments", files, self._erase_files),
            Step("edits", edits, self._erase_edits),
            Step("decisions", decisions, self._erase_decisions),
            Step("answers", messages.filter(run__launched_by=user), self._erase_texts),
            Step("messages", messages.filter(author=user), self._erase_texts),
            Step("runs", Run.objects.filter(not_lone, launched_by=user), self._erase_runs),
        ]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """A unit of work that no hold on the user can come into. The receipt is saved with it."""
        receipt = self._receipt
        with unit_of_work():
            lock_user(self._user.pk)
            _check_hold(self._user)
            if not Erasure.objects.filter(
                pk=receipt.pk, step=receipt.step, after=receipt.after, user=self._user
            ).exists():
                raise Refused(ErrorCode.CONFLICT, _("Another process is erasing this user."))
            yield
            receipt.save(update_fields=["step", "after", "counts"])

    def _count(self, keys: Sequence[Any]) -> None:
        """Note in the receipt that rows are done, before the transaction ends."""
        self._receipt.counts[self._receipt.step] += len(keys)
        self._receipt.after = str(keys[-1])

    def _erase_conversations(self, keys: list[UUID]) -> Iterator[None]:
        now = timezone.now()
        for key in keys:
            row = Conversation.objects.filter(pk=key)
            complete = False
            while not complete:
                with self._transaction():
                    erase_rows_of(list(lock_rows(row).values_list("pk", flat=True)), now)
                    if complete := not row.exists():
                        self._count([key])
                yield

    def _erase_recordings(self, keys: list[int]) -> Iterator[None]:
        """What was sent to models in conversations with them may hold anything of them."""
        with self._transaction():
            RunRecording.objects.filter(pk__in=keys).delete()
            self._count(keys)
        yield

    def _rename(self, keys: list[UUID]) -> Iterator[None]:
        """Replace the name in notes and answers."""
        with self._transaction():
            for row in Message.objects.filter(pk__in=keys):
                row.parts = None if row.parts is None else self._rename_parts(row)
                row.text, row.thinking = self._without_name(row.text), self._without_name(row.thinking)
                row.save(update_fields=["text", "thinking", "parts"])
                index_message(row)
            self._count(keys)
        yield

    def _naming(self, field: str) -> Q:
        """Rows whose `field` may name them."""
        named = Q(pk__in=())
        for name in self._names:
            named |= Q((f"{field}__icontains", name))
        return named

    def _without_name(self, text: str) -> str:
        return self._pattern.sub(self._placeholder, text)

    def _rename_parts(self, row: Message) -> list[Any]:
        renamed: list[Part] = []
        text, thinking = row.text, row.thinking
        for part in decode_parts(row.parts):
            if isinstance(part, TextPart):
                piece, text = text[: part.length], text[part.length :]
                renamed.append(TextPart(len(self._without_name(piece))))
            elif isinstance(part, ThinkingPart):
                piece, thinking = thinking[: part.length], thinking[part.length :]
                renamed.append(ThinkingPart(len(self._without_name(piece))))
            else:
                renamed.append(part)
        return encode_parts(renamed)

    def _retitle(self, keys: list[UUID]) -> Iterator[None]:
        """Forget summaries, and titles that they wrote, that were made of what they wrote, or that name them."""
        for key in keys:
            with self._transaction():
                row = lock_conversation(key)
                mine = row.participants.filter(user=self._user, role=Participant.Role.OWNER).exists()
                first = row.messages.filter(role=Message.Role.USER).order_by("seq").first()
                made = row.title_from in (Conversation.TitleFrom.WORDS, Conversation.TitleFrom.MODEL)
                if mine or (made and first and first.author_id == self._user.pk) or self._pattern.search(row.title):
                    set_title(row, "", Conversation.TitleFrom.NOTHING)
                row.summary, row.summary_seq = "", 0
                row.waiting = [each for each in row.waiting if each[1] != str(self._user.pk)]
                row.save(update_fields=["title", "title_from", "summary", "summary_seq", "waiting"])
                self._count([key])
            yield

    def _rename_versions(self, keys: list[UUID]) -> Iterator[None]:
        """Replace the name in titles of documents, and in names of their versions."""
        for key in keys:
            with self._transaction():
                row = lock_rows(Document.objects.filter(pk=key)).get()
                row.title = self._without_name(row.title)[:MAX_TITLE_CHARS]
                if not row.field:
                    row.settled_version = 0  # the search finds the title, too
                row.save(update_fields=["title", "settled_version"])
                for update in DocumentUpdate.objects.filter(document=row).exclude(name="").defer("changes"):
                    update.name = self._without_name(update.name)[:MAX_VERSION_NAME_CHARS]
                    update.save(update_fields=["name"])
                self._count([key])
            yield

    def _erase_proposals(self, keys: list[UUID]) -> Iterator[None]:
        """What agents propose to them is an answer to them."""
        with self._transaction():
            DocumentProposal.objects.filter(pk__in=keys).delete()
            self._count(keys)
        yield

    def _erase_documents(self, keys: list[UUID]) -> Iterator[None]:
        for key in keys:
            complete = False
            while not complete:
                with self._transaction():
                    if complete := erase_log(key).total < BATCH_SIZE:
                        _forget_selections(key)
                        Document.objects.filter(pk=key).delete()
                        self._count([key])
                yield

    def _compact_logs(self, keys: list[UUID]) -> Iterator[None]:
        """Make the log begin with the whole text. The numbers of the versions stay; what they changed does not."""
        for key in keys:
            with self._transaction():
                row = lock_rows(Document.objects.filter(pk=key)).get()
                row.text, row.text_version = read_text(row), row.version
                row.settled_version = 0 if not row.field else row.settled_version  # the search indexes it again
                row.save(update_fields=["text", "text_version", "settled_version"])
                updates = DocumentUpdate.objects.filter(document=row)
                self._move_proposals(row, updates)
                kept = ChangeSet.of([(units(row.text), None)]).to_json()
                updates.filter(version__gt=1).update(changes=kept)
                updates.filter(version=1).update(changes=ChangeSet.of([(0, row.text)]).to_json())
                own = updates.filter(Q(author=self._user) | Q(run__launched_by=self._user))
                own.update(author=None, client_id=None, name="")
                DocumentSnapshot.objects.filter(document=row).delete()
                _forget_selections(key)
                Passage.objects.filter(document=row).delete()
                self._count([key])
            yield

    def _move_proposals(self, row: Document, updates: QuerySet[DocumentUpdate]) -> None:
        """Make the proposals to others fit the newest version: the texts of earlier ones go."""
        for proposal in DocumentProposal.objects.filter(document=row, version__lt=row.version):
            changes = ChangeSet.parse(proposal.changes)
            later = updates.filter(version__gt=proposal.version, version__lte=row.version).order_by("version")
            for each in later.values_list("changes", flat=True).iterator(READ_AT_ONCE):
                changes = changes.map(ChangeSet.parse(each))
            proposal.version, proposal.changes = row.version, changes.to_json()
            proposal.save(update_fields=["version", "changes"])

    def _erase_files(self, keys: list[UUID]) -> Iterator[None]:
        with self._transaction():
            Attachment.objects.filter(pk__in=keys).delete()
            self._count(keys)
        yield

    def _erase_edits(self, keys: list[int]) -> Iterator[None]:
        with self._transaction():
            Edit.objects.filter(pk__in=keys).delete()
            self._count(keys)
        yield

    def _erase_decisions(self, keys: list[UUID]) -> Iterator[None]:
        with self._transaction():
            rows = ToolCall.objects.filter(pk__in=keys)
            rows.filter(changed=True).update(arguments=None)
            rows.update(reason="", decided_by=None)
            self._count(keys)
        yield

    def _erase_texts(self, keys: list[UUID]) -> Iterator[None]:
        """Leave only the places of messages, as if they were deleted."""
        with self._transaction():
            erase_texts(keys)
            rows = Message.objects.filter(pk__in=keys)
            rows.update(deleted_at=Coalesce("deleted_at", Value(timezone.now())), client_id=None)
            rows.filter(author=self._user).update(author=None)
            self._count(keys)
        yield

    def _erase_runs(self, keys: list[UUID]) -> Iterator[None]:
        with self._transaction():
            ToolCall.objects.filter(run__in=keys).update(arguments=None, result=None, reason="")
            Run.objects.filter(pk__in=keys).update(launched_by=None, transcript="", error_message="", error_detail="")
            self._count(keys)
        yield

    def _erase_admin_log(self) -> None:
        """What Django's admin has noted about the account, and their name in what it has noted about the chat."""
        if not apps.is_installed("django.contrib.admin"):
            return
        log: Any = apps.get_model("admin", "LogEntry")._base_manager
        about = ContentType.objects.get_for_model(self._user)
        log.filter(content_type=about, object_id=str(self._user.pk)).update(object_repr="", change_message="")
        named = self._naming("change_message") | self._naming("object_repr")
        for row in log.filter(named, content_type__app_label=Conversation._meta.app_label):
            row.change_message = self._without_name(row.change_message)
            row.object_repr = self._without_name(row.object_repr)
            row.save(update_fields=["change_message", "object_repr"])

    def _erase_account(self) -> None:
        """Erase the account, and whatever still names it, inside the caller's transaction. Bills keep their figures
        without a name.
        """
        for hold in Hold.objects.filter(self._naming("reason") | self._naming("release_reason")):
            hold.reason, hold.release_reason = map(self._without_name, (hold.reason, hold.release_reason))
            hold.save(update_fields=["reason", "release_reason"])
        for model in apps.get_app_config("nous_chat").get_models():
            for field in model._meta.concrete_fields:
                if is_user(field):
                    rows = model._base_manager.filter(**{field.name: self._user})
                    rows.update(**{field.name: None}) if field.null else rows.delete()
        self._erase_admin_log()
        _delete_account(self._user)
        receipt = self._receipt
        receipt.user, receipt.step, receipt.after, receipt.finished_at = None, "", "", timezone.now()
        receipt.save(update_fields=["user", "finished_at"])


def _forget_selections(document: UUID) -> None:
    """Others may have asked about a part of the document: their messages hold its text as it was."""
    conversation = Document.objects.filter(pk=document).values("conversation")
    messages = Message.objects.filter(conversation__in=conversation, selection__document=str(document))
    messages.update(selection=None)


def _delete_account(user: Any) -> None:
    """Delete the row of the user; if the site protects it, leave one without a name that nobody can sign in to."""
    try:
        with database.atomic():
            user.delete()
    except (ProtectedError, RestrictedError):
        known = {field.name for field in user._meta.get_fields()}
        for name in {"first_name", "last_name", "email"} & known:
            setattr(user, name, "")
        username = f"erased-{secrets.token_hex(8)}"
        if isinstance(user._meta.get_field(user.USERNAME_FIELD), EmailField):
            username += "@erased.invalid"
        setattr(user, user.USERNAME_FIELD, username)
        user.set_unusable_password()
        user.is_active = False
        user.save()


def _merge_index() -> Iterator[None]:
    """SQLite's full-text index only marks words as deleted. Merge its parts, a few pages at a time, so that they go;
    yields after each transaction.
    """
    if database.connection().vendor != "sqlite":
        return
    pages = -_MERGED_PAGES  # negative: of all parts, not only of those that are due
    while True:
        with unit_of_work(), database.connection().cursor() as cursor:
            cursor.execute("SELECT 1 FROM sqlite_master WHERE name = 'nous_chat_search'")
            if cursor.fetchone() is None:
                return
            cursor.execute("SELECT total_changes()")
            before = cursor.fetchone()[0]
            cursor.execute("INSERT INTO nous_chat_search(nous_chat_search, rank) VALUES('merge', %s)", [pages])
            cursor.execute("SELECT total_changes()")
            if cursor.fetchone()[0] - before < 2:  # nothing more to merge (sqlite.org/fts5.html, "merge")
                return
        yield
        pages = _MERGED_PAGES
