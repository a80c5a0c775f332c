"""Erase for good what was deleted or is too old, guests who are gone, files that were never sent, and what the run
inspector has recorded. Every process does it now and then, and `manage.py nous_prune` does all of it at once.

Five phases, each in batches of one short transaction, so that no other writer waits long. Nothing of what a hold or a
rule with a minimum keeps is erased.
"""

import time
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from itertools import chain
from typing import Any
from uuid import UUID

from django.db.models import F, Model, Q, QuerySet
from django.utils import timezone
from msgspec import Struct
from msgspec.structs import asdict, astuple

from .. import database
from ..conf import conf
from ..models import (
    Attachment,
    Conversation,
    Document,
    DocumentProposal,
    DocumentSnapshot,
    DocumentUpdate,
    Edit,
    Feedback,
    Message,
    Participant,
    Passage,
    Pruning,
    Run,
    ToolCall,
)
from ..times import today
from .attachments import UNSENT_LIFETIME
from .base import lock_rows
from .guests import erase_guest, expired_guests, lone_conversations
from .inspections import ended_inspections, old_recordings
from .retention_rules import due_conversations, held_conversations, keeps_anything, kept_conversations
from .unit_of_work import skip_if_locked, unit_of_work

BATCH_SIZE = 100
"""How many rows of each kind one transaction takes, so that no other writer waits long for it."""

NOTE_EVERY = 1.0
"""Seconds between two additions to the figures of the day, next to the one at the end."""

SCAN_SIZE = 1000
"""How many conversations one search finds: it reads the whole table."""


class Erased(Struct, frozen=True):
    """How much was erased, or would be. `contents` are deleted messages whose place stays; `rows` are all others."""

    conversations: int = 0
    messages: int = 0
    contents: int = 0
    documents: int = 0
    attachments: int = 0
    guests: int = 0
    rows: int = 0

    def __add__(self, other: "Erased") -> "Erased":
        return Erased(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def total(self) -> int:
        return sum(astuple(self))

    @classmethod
    def of(cls, deleted: tuple[int, dict[str, int]]) -> "Erased":
        """What `QuerySet.delete` says."""
        counts = {label.rpartition(".")[2]: number for label, number in deleted[1].items()}
        named = {
            "conversations": counts.pop("Conversation", 0),
            "messages": counts.pop("Message", 0),
            "documents": counts.pop("Document", 0),
            "attachments": counts.pop("Attachment", 0),
        }
        return cls(**named, rows=sum(counts.values()))


# An answer may consist only of tool calls, or continue another answer.
_HAS_CONTENT = (
    Q(text__gt="")
    | Q(thinking__gt="")
    | Q(selection__isnull=False)
    | Q(run__transcript__gt="")
    | Q(run__error_message__gt="")
    | Q(run__error_detail__gt="")
    | Q(run__calls__arguments__isnull=False)
    | Q(run__calls__result__gt="")
    | Q(run__calls__reason__gt="")
    | Q(replaces__isnull=False, replaces__deleted_at=None)
)


def erase_expired() -> int:
    """Erase what was deleted more than UNDO_SECONDS ago, conversations that have expired (COMPLETION_SECONDS) or are
    too old (RETENTION), guests who have not written for `keep` seconds, files that nobody sent within UNSENT_LIFETIME,
    and recordings of runs (INSPECTION_SECONDS).

    Returns the number of erased rows. As long as it is not 0, there may be more.
    """
    total = 0
    with closing(prune(timezone.now())) as pruning:
        for erased in pruning:
            total += erased.total
            if total >= BATCH_SIZE:
                break
    return total


def prune(now: datetime) -> Generator[Erased, None, None]:
    """Erase all of that, a batch with each step, and add the figures to those of the day. What somebody has locked is
    left for the next time.
    """
    phases: tuple[Callable[[datetime], Iterator[Erased]], ...] = (
        _erase_guests,
        _erase_conversations,
        _erase_documents,
        _erase_contents,
        _erase_recordings,
    )
    unnoted, noted_at = Erased(), time.monotonic()
    try:
        for erased in chain.from_iterable(phase(now) for phase in phases):
            unnoted += erased
            if time.monotonic() - noted_at > NOTE_EVERY:
                _note(unnoted)
                unnoted, noted_at = Erased(), time.monotonic()
            yield erased
    finally:
        _note(unnoted)


def _note(erased: Erased) -> None:
    """Add to the figures of the day, which the admin shows."""
    if not erased.total:
        return
    day = today()
    sums = {name: F(name) + number for name, number in asdict(erased).items()}
    with unit_of_work():
        Pruning.objects.get_or_create(day=day)
        Pruning.objects.filter(day=day).update(**sums, last_at=timezone.now())


def plan_pruning(now: datetime) -> Erased:
    """What `prune` would erase: a dry run. `rows` is 0."""
    guests = list(expired_guests(now))
    lone = [key for guest in guests for key in lone_conversations(guest)]
    gone = Conversation.objects.filter(Q(pk__in=due_conversations(now).values("pk")) | Q(pk__in=lone)).order_by()
    inside = Q(conversation__in=gone.values("pk"))
    contents, emptied = _plan_contents(now, inside)
    files = _unsent(now) | Q(message__in=emptied)
    kept = _kept(now)
    return Erased(
        conversations=gone.count(),
        messages=Message.objects.filter(inside).count(),
        contents=contents,
        documents=Document.objects.filter(inside | (_deleted(now) & ~kept)).count(),
        attachments=Attachment.objects.filter(inside | (files & ~kept)).count(),
        guests=len(guests),
    )


def count_held(now: datetime) -> int:
    """How many conversations are kept by holds alone."""
    return held_conversations(now).count()


def _deleted(now: datetime) -> Q:
    return Q(deleted_at__lt=now - timedelta(seconds=conf.UNDO_SECONDS))


def _unsent(now: datetime) -> Q:
    return Q(message=None, created_at__lt=now - UNSENT_LIFETIME)


def _kept(now: datetime) -> Q:
    """Rows of conversations of which nothing may be erased."""
    return Q(conversation__in=kept_conversations(now).values("pk")) if keeps_anything() else Q(pk__in=())


def _erase_guests(now: datetime) -> Iterator[Erased]:
    for guest in list(expired_guests(now)):
        erased = Erased()
        with skip_if_locked("Guest", guest.pk), unit_of_work():
            for deleted in erase_guest(guest):
                erased += Erased.of(deleted)
            erased += Erased(guests=1)
        if erased.total:
            yield erased


def _erase_conversations(now: datetime) -> Iterator[Erased]:
    while found := list(due_conversations(now).values_list("pk", "last_seq")[:SCAN_SIZE]):
        any_erased = False
        for keys in _in_batches(found):
            erased = Erased()
            with skip_if_locked("One of the conversations", keys[0]), unit_of_work():
                erased = _erase_batch(now, keys)
            if erased.total:
                any_erased = True
                yield erased
        if not any_erased:
            return  # somebody has locked them all


def _in_batches(found: list[tuple[UUID, int]]) -> Iterator[list[UUID]]:
    """Keys of conversations that have about BATCH_SIZE messages together."""
    batch: list[UUID] = []
    messages = 0
    for key, last_seq in found:
        if batch and messages + last_seq > BATCH_SIZE:
            yield batch
            batch, messages = [], 0
        batch.append(key)
        messages += last_seq
    yield batch


def _erase_batch(now: datetime, keys: list[UUID]) -> Erased:
    """Erase conversations, or as much of them as one transaction takes."""
    due = lock_rows(due_conversations(now).filter(pk__in=keys), skip_locked=True)
    locked = list(due.values_list("pk", flat=True))  # nobody has restored or held them meanwhile
    return erase_rows_of(locked, now)


def erase_rows_of(locked: list[UUID], now: datetime) -> Erased:
    """Erase locked conversations, or as much of them as one transaction takes, inside the caller's."""
    erased = _erase_messages(locked)
    for rows in _logs_of(document__conversation__in=locked):
        if erased.total < BATCH_SIZE:
            erased += _erase_some(rows)
    if erased.total < BATCH_SIZE:
        # Without signals, because they would look for a new owner of each conversation.
        Participant.objects.filter(conversation__in=locked)._raw_delete(database.alias())
        return erased + Erased.of(Conversation.objects.filter(pk__in=locked).delete())
    rest = Conversation.objects.filter(pk__in=locked, deleted_at=None)
    rest.update(deleted_at=now - timedelta(seconds=conf.UNDO_SECONDS + 1))  # nobody should see half of one
    return erased


def _erase_messages(conversations: list[UUID]) -> Erased:
    """The newest messages: others refer to earlier ones only. What nothing refers to goes first, by one statement for
    each table; Django would read the rows of the rest.
    """
    newest = Message.objects.filter(conversation__in=conversations).order_by("-seq")
    keys = list(newest.values_list("pk", flat=True)[:BATCH_SIZE])
    if not keys:
        return Erased()
    erased = Erased()
    for rows in (
        Passage.objects.filter(message__in=keys),
        ToolCall.objects.filter(run__message__in=keys),
        Edit.objects.filter(message__in=keys),
        Run.objects.filter(message__in=keys).only("pk"),
        Message.objects.filter(pk__in=keys).only("pk"),
    ):
        erased += Erased.of(rows.delete())
    return erased


def _erase_documents(now: datetime) -> Iterator[Erased]:
    for pk in list(_expired_documents(now).values_list("pk", flat=True)):
        complete = False
        while not complete:
            erased = Erased()
            with skip_if_locked("Document", pk), unit_of_work():
                if not _lock_expired(now, pk):
                    break
                erased = erase_log(pk)
                if complete := erased.total < BATCH_SIZE:
                    erased += Erased.of(Document.objects.filter(pk=pk).delete())
            if not erased.total:
                break
            yield erased


def _expired_documents(now: datetime) -> QuerySet[Document]:
    return Document.objects.filter(_deleted(now)).exclude(_kept(now)).order_by()


def _lock_expired(now: datetime, pk: UUID) -> bool:
    """Lock the conversation of a document, as a new hold on it does, before each batch of its log. Returns whether the
    document is still to be erased.
    """
    conversation = Document.objects.filter(pk=pk).values("conversation")
    locked = list(lock_rows(Conversation.objects.filter(pk__in=conversation), skip_locked=True))
    return bool(locked) and _expired_documents(now).filter(pk=pk).exists()


def erase_log(pk: UUID) -> Erased:
    """Erase some of a document's log, inside the caller's transaction: all of it if that was less than BATCH_SIZE."""
    erased = Erased()
    for rows in _logs_of(document=pk):
        erased += _erase_some(rows)
    return erased


def _logs_of(**documents: Any) -> Iterator[QuerySet[Any]]:
    """The rows of documents, of which there can be many thousands."""
    yield DocumentUpdate.objects.filter(**documents)
    yield DocumentSnapshot.objects.filter(**documents)


def _erase_some(rows: QuerySet[Any]) -> Erased:
    model: type[Model] = rows.model
    keys = list(rows.values_list("pk", flat=True)[:BATCH_SIZE])
    return Erased.of(model._default_manager.filter(pk__in=keys).delete()) if keys else Erased()


def _erase_contents(now: datetime) -> Iterator[Erased]:
    """Erase what deleted messages contain, proposals that were decided on, and unsent files. The rows of messages stay:
    their place is shown.
    """
    while (erased := _erase_some_contents(now)).total:
        yield erased


@unit_of_work()
def _erase_some_contents(now: datetime) -> Erased:
    kept = _kept(now)
    deleted = Message.objects.filter(_deleted(now)).exclude(kept).order_by()
    files = Attachment.objects.filter(Q(message__in=deleted) | (_unsent(now) & ~kept)).order_by()
    edits = Edit.objects.filter(message__in=deleted).order_by()
    # In the order of the index: in any other, PostgreSQL expects to find enough of them soon, and reads all messages.
    full = deleted.filter(_HAS_CONTENT).order_by("deleted_at").values_list("pk", flat=True)[:BATCH_SIZE]
    messages = list(dict.fromkeys(full))  # one that has made several calls is found several times
    attachments = Attachment.objects.filter(pk__in=list(files.values_list("pk", flat=True)[:BATCH_SIZE])).delete()[0]
    rows = Edit.objects.filter(pk__in=list(edits.values_list("pk", flat=True)[:BATCH_SIZE])).delete()[0]
    rows += DocumentProposal.objects.filter(pk__in=list(_decided(now)[:BATCH_SIZE])).delete()[0]
    erase_texts(messages)
    # The answers that these continued hold the beginning of their text: the next batch erases them.
    until = now - timedelta(seconds=conf.UNDO_SECONDS + 1)
    Message.objects.filter(pk__in=_find_continued(messages), deleted_at=None).update(deleted_at=until)
    return Erased(contents=len(messages), attachments=attachments, rows=rows)


def _erase_recordings(now: datetime) -> Iterator[Erased]:
    """Erase recordings of runs that are too old, or hold what was deleted, and inspections that ended long ago."""
    while True:
        with unit_of_work():
            rows = old_recordings(now)
            if keeps_anything():
                rows = rows.exclude(run__conversation__in=kept_conversations(now).values("pk"))
            erased = _erase_some(rows) + _erase_some(ended_inspections(now))
        if not erased.total:
            return
        yield erased


def _decided(now: datetime) -> QuerySet[Any, UUID]:
    """The keys of proposals that somebody has decided on."""
    decided = DocumentProposal.objects.filter(decided_at__isnull=False)
    if keeps_anything():
        decided = decided.exclude(document__conversation__in=kept_conversations(now).values("pk"))
    return decided.order_by().values_list("pk", flat=True)


def _find_continued(messages: Collection[UUID]) -> list[UUID]:
    """The answers that these messages continue. A list, because PostgreSQL can plan a join of a table with itself badly
    before it has statistics.
    """
    continuing = Message.objects.filter(pk__in=messages, replaces__isnull=False).order_by()
    return list(continuing.values_list("replaces_id", flat=True))


def erase_texts(messages: list[UUID]) -> None:
    """Erase the texts of messages and of their runs, inside the caller's transaction."""
    ToolCall.objects.filter(run__message__in=messages).update(arguments=None, result=None, reason="")
    Run.objects.filter(message__in=messages).update(transcript="", error_message="", error_detail="")
    Passage.objects.filter(message__in=messages).delete()
    Feedback.objects.filter(message__in=messages).update(comment="")
    Message.objects.filter(pk__in=messages).update(text="", thinking="", parts=None, selection=None)


def _plan_contents(now: datetime, gone: Q) -> tuple[int, set[UUID]]:
    """How many messages would lose their contents, and all that would be deleted then."""
    deleted = Message.objects.filter(_deleted(now)).exclude(_kept(now)).exclude(gone).order_by()
    emptied = set(deleted.values_list("pk", flat=True))
    full = set(deleted.filter(_HAS_CONTENT).values_list("pk", flat=True))
    newest = full
    while newest:
        continued = Message.objects.filter(pk__in=_find_continued(newest), deleted_at=None)
        newest = set(continued.values_list("pk", flat=True)) - emptied
        emptied |= newest
        full |= set(Message.objects.filter(_HAS_CONTENT, pk__in=newest).values_list("pk", flat=True))
    return len(full), emptied
