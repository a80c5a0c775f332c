"""Documents and the updates in their logs."""

from datetime import datetime
from typing import TYPE_CHECKING, Self
from uuid import UUID

from msgspec import Struct

from ...times import to_wire
from .people import Person, person

if TYPE_CHECKING:
    from ... import models

Changes = list[int | list[int | str]]
"""A change set in the JSON form of CodeMirror (`documents.changesets`)."""


class Document(Struct, frozen=True):
    id: UUID
    conversation: UUID
    kind: str
    language: str
    title: str
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: "models.Document") -> Self:
        return cls(
            id=row.id,
            conversation=row.conversation_id,
            kind=row.kind,
            language=row.language,
            title=row.title,
            version=row.version,
            created_at=to_wire(row.created_at),
            updated_at=to_wire(row.updated_at),
        )


class OpenedDocument(Struct, frozen=True):
    """A Document with its text."""

    id: UUID
    conversation: UUID
    kind: str
    language: str
    title: str
    version: int
    created_at: datetime
    updated_at: datetime
    text: str

    @classmethod
    def of(cls, row: "models.Document", text: str) -> Self:
        document = Document.of(row)
        return cls(**{name: getattr(document, name) for name in Document.__struct_fields__}, text=text)


class DocumentUpdate(Struct, frozen=True):
    version: int
    changes: Changes
    author: Person | None
    run: UUID | None
    client_id: UUID | None
    created_at: datetime

    @classmethod
    def of(cls, row: "models.DocumentUpdate") -> Self:
        return cls(row.version, row.changes, person(row.author), row.run_id, row.client_id, to_wire(row.created_at))
