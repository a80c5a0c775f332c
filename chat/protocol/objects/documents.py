"""Documents and the updates in their logs."""

from datetime import datetime
from typing import TYPE_CHECKING, Self
from uuid import UUID

from msgspec import Struct
from msgspec.structs import asdict

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


class OpenedDocument(Document, frozen=True):
    """A Document with its text."""

    text: str

    @classmethod
    def with_text(cls, row: "models.Document", text: str) -> Self:
        return cls(**asdict(Document.of(row)), text=text)


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
