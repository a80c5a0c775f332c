"""Messages, their attachments, and their versions from before each edit."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Self
from uuid import UUID

from msgspec import Struct

from ... import addresses
from ...times import to_wire
from .documents import SelectedText
from .parts import Part, Section, complete_parts, decode_parts, sections_of
from .people import Person, person
from .runs import Call, Run

if TYPE_CHECKING:
    from ... import models


class Attachment(Struct, frozen=True):
    id: UUID
    name: str
    type: str
    size: int
    url: str
    image: bool

    @classmethod
    def of(cls, row: "models.Attachment") -> Self:
        url = addresses.page("attachment", row.id)
        return cls(id=row.id, name=row.name, type=row.type, size=row.size, url=url, image=row.is_image)


class Belongings(Struct, frozen=True):
    """The rows that belong to a message. Answers have no attachments and users' messages no calls, so neither is read
    for the other.
    """

    calls: "Iterable[models.ToolCall]" = ()
    attachments: "Iterable[models.Attachment]" = ()
    alternatives: Iterable[UUID] = ()

    @classmethod
    def of(cls, row: "models.Message", run: "models.Run | None") -> Self:
        """As they are prefetched."""
        first = row.alternative_of
        return cls(
            calls=() if run is None else run.calls.all(),
            attachments=() if run is not None else row.attachments.all(),
            alternatives=() if first is None else [each.id for each in first.alternatives.all()],
        )


class Feedback(Struct, frozen=True):
    """What a reader thinks of an answer: `rating` is "good" or "bad"."""

    rating: str
    comment: str
    given_at: datetime

    @classmethod
    def of(cls, row: "models.Feedback") -> Self:
        return cls(rating=row.rating, comment=row.comment, given_at=to_wire(row.given_at))


class Message(Struct, frozen=True):
    id: UUID
    conversation: UUID
    seq: int
    role: str
    text: str
    thinking: str
    author: Person | None
    client_id: UUID | None
    reply_to: UUID | None
    selection: SelectedText | None
    replaces: UUID | None
    continues: bool
    alternatives: tuple[UUID, ...]
    shown: bool
    created_at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None
    deleted_by: Person | None
    attachments: tuple[Attachment, ...]
    calls: tuple[Call, ...]
    parts: tuple[Part, ...]
    run: Run | None

    @classmethod
    def of(cls, row: "models.Message", belongings: "Belongings | None" = None) -> Self:
        """A deleted message keeps its place, but carries no text, attachments, or calls."""
        run: models.Run | None = getattr(row, "run", None)
        deleted = row.deleted_at is not None
        has = Belongings.of(row, run) if belongings is None else belongings
        # While an answer is made again, it takes the place of the one it retries. Once ended, both are alternatives.
        retries = run.replaces_id if run is not None and run.status in run.ACTIVE else None
        calls = () if deleted or run is None else tuple(map(Call.of, has.calls))
        parts = () if deleted or run is None else complete_parts(decode_parts(row.parts), row.text, row.thinking, calls)
        return cls(
            id=row.id,
            conversation=row.conversation_id,
            seq=row.seq,
            role=row.role,
            text="" if deleted else row.text,
            thinking="" if deleted else row.thinking,
            author=person(row.author),
            client_id=row.client_id,
            reply_to=row.reply_to_id,
            selection=None if deleted else SelectedText.of(row.selection),
            replaces=row.replaces_id or retries,
            continues=row.replaces_id is not None,
            alternatives=tuple(has.alternatives),
            shown=row.shown,
            created_at=to_wire(row.created_at),
            edited_at=to_wire(row.edited_at),
            deleted_at=to_wire(row.deleted_at),
            deleted_by=person(row.deleted_by),
            attachments=() if deleted or run is not None else tuple(map(Attachment.of, has.attachments)),
            calls=calls,
            parts=tuple(parts),
            run=None if run is None else Run.of(run, answer_deleted=deleted),
        )

    @property
    def sections(self) -> list[Section]:
        """What to show of it, in order, for templates."""
        return sections_of(self.parts, self.text, self.thinking, self.calls) or [Section(text=self.text)]


class Edit(Struct, frozen=True):
    """The text of a message from before an edit, and the answers to it that are hidden since it was sent again."""

    text: str
    edited_by: Person | None
    edited_at: datetime
    answers: tuple[Message, ...]

    @classmethod
    def of(cls, row: "models.Edit", answers: "Iterable[models.Message]") -> Self:
        return cls(row.text, person(row.edited_by), to_wire(row.edited_at), tuple(map(Message.of, answers)))
