"""Transcripts: a conversation as staff of the site read it, with hidden answers, earlier texts, and figures of runs.

Nothing here asks who reads: the admin checks permissions. What is deleted stays hidden.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from msgspec import Struct

from ..models import Edit, Feedback, Message, Run
from ..protocol import objects
from ..times import to_wire
from .base import PAGE_SIZE
from .pages import CHARS, count_fitting, read_messages

MAX_EDITS = 200
"""How many earlier texts one page shows. Further ones are left out."""

MAX_FEEDBACK = 500
"""How many opinions of readers one page shows."""

MAX_FOUND = 50
"""How many messages a search in a transcript finds."""


class TranscriptEntry(Struct, frozen=True):
    """A message of a transcript. `error_detail` is what only staff may know of a failure, `agent_version` that of
    an agent in the database."""

    message: objects.Message
    edits: tuple[objects.Edit, ...]
    error_detail: str
    first_token_at: datetime | None
    agent_version: int | None
    feedback: tuple["ReaderFeedback", ...]


class ReaderFeedback(Struct, frozen=True):
    user: objects.Person
    feedback: objects.Feedback


class Transcript(Struct, frozen=True):
    """A page of a transcript, in order. `older` and `newer`: there are messages before and after it."""

    entries: list[TranscriptEntry]
    older: bool
    newer: bool


def read_transcript(conversation_id: UUID, *, before: int | None = None, after: int | None = None) -> Transcript:
    """A page of a transcript: the messages before or after a number, else the newest ones."""
    rows = _messages(conversation_id)
    if after is not None:
        found = list(rows.filter(seq__gt=after).order_by("seq").values_list("pk", "seq", CHARS)[: PAGE_SIZE + 1])
    else:
        limit = Q() if before is None else Q(seq__lt=before)
        found = list(rows.filter(limit).order_by("-seq").values_list("pk", "seq", CHARS)[: PAGE_SIZE + 1])
    size = min(count_fitting(chars for _, _, chars in found), PAGE_SIZE)
    more, page = len(found) > size, found[:size]
    numbers = [seq for _, seq, _ in page]
    entries = _read_entries([key for key, _, _ in page])
    if after is not None:
        return Transcript(entries, rows.filter(seq__lte=after).exists(), more)
    return Transcript(entries, more, bool(numbers) and rows.filter(seq__gt=max(numbers)).exists())


def _messages(conversation_id: UUID) -> QuerySet[Message]:
    return Message.objects.filter(conversation=conversation_id)


def _read_entries(keys: Sequence[UUID]) -> list[TranscriptEntry]:
    if not keys:
        return []
    edits: dict[UUID, list[objects.Edit]] = {}
    rows = Edit.objects.filter(message__in=keys, message__deleted_at=None).select_related("edited_by").order_by("pk")
    for row in rows[:MAX_EDITS]:
        edits.setdefault(row.message_id, []).append(objects.Edit.of(row, ()))
    runs = Run.objects.filter(message__in=keys, message__deleted_at=None)
    found = runs.values_list("message", "error_detail", "first_token_at", "agent_version")
    more = {key: (detail, to_wire(at), version) for key, detail, at, version in found}
    rated: dict[UUID, list[ReaderFeedback]] = {}
    given = Feedback.objects.filter(message__in=keys, message__deleted_at=None).select_related("user").order_by("pk")
    for each in given[:MAX_FEEDBACK]:
        said = ReaderFeedback(objects.Person.of(each.user), objects.Feedback.of(each))
        rated.setdefault(each.message_id, []).append(said)
    return [
        TranscriptEntry(
            message,
            tuple(edits.get(message.id, ())),
            *more.get(message.id, ("", None, None)),
            tuple(rated.get(message.id, ())),
        )
        for message in read_messages(keys, {})
    ]


def find_transcript_day(conversation_id: UUID, start: datetime) -> int | None:
    """The number of the first message that is not older than `start`."""
    rows = _messages(conversation_id).filter(created_at__gte=start)
    return rows.order_by("seq").values_list("seq", flat=True).first()


def find_transcript_run(conversation_id: UUID, run_id: UUID) -> int | None:
    """The number of a run's answer."""
    return _messages(conversation_id).filter(run=run_id).values_list("seq", flat=True).first()


class FoundEntry(Struct, frozen=True):
    seq: int
    text: str
    created_at: datetime


def search_transcript(conversation_id: UUID, words: str) -> list[FoundEntry]:
    """The newest messages that contain all words, with their texts, newest first."""
    rows = _messages(conversation_id).filter(deleted_at=None)
    for word in words.split():
        rows = rows.filter(text__icontains=word)
    found = rows.order_by("-seq").values_list("seq", "text", "created_at")[:MAX_FOUND]
    return [FoundEntry(seq, text, to_wire(at)) for seq, text, at in found]
