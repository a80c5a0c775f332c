"""Documents and the updates in their logs."""

from datetime import datetime
from typing import TYPE_CHECKING, Self
from uuid import UUID

from msgspec import Struct, ValidationError, convert, field
from msgspec.structs import asdict

from ...documents.open_range import OpenRange
from ...times import to_wire
from .conversations import AgentName
from .people import Person, person

if TYPE_CHECKING:
    from ... import models

Changes = list[int | list[int | str]]
"""A change set in the JSON form of CodeMirror (`documents.changesets`)."""


class Writing(Struct, frozen=True):
    """What an agent is writing in a document: `documents.open_range`, at the document's version."""

    run: UUID
    agent: AgentName
    start: int = field(name="from")
    at: int
    end: int = field(name="to")

    @classmethod
    def of(cls, run: "models.Run", opened: OpenRange) -> Self:
        return cls(run.id, AgentName.of(run.agent), opened.start, opened.at, opened.end)


def agent_of(run: "models.Run | None") -> AgentName | None:
    """The agent of the run that made a change, if one did."""
    return None if run is None else AgentName.of(run.agent)


class Document(Struct, frozen=True):
    id: UUID
    conversation: UUID
    kind: str
    language: str
    title: str
    version: int
    created_by: Person | None
    created_at: datetime
    updated_at: datetime
    writing: Writing | None

    @classmethod
    def of(cls, row: "models.Document") -> Self:
        """`row` comes with its `writing_run` and `created_by`, if it has them."""
        return cls(
            id=row.id,
            conversation=row.conversation_id,
            kind=row.kind,
            language=row.language,
            title=row.title,
            version=row.version,
            created_by=person(row.created_by),
            created_at=to_wire(row.created_at),
            updated_at=to_wire(row.updated_at),
            writing=find_writing(row),
        )


def find_writing(row: "models.Document") -> Writing | None:
    """The open range of a document. None if there is none, or if its run has ended or was taken over from."""
    start, at, end = row.writing_start, row.writing_at, row.writing_end
    if start is None or at is None or end is None or row.writing_version != row.version:
        return None
    run = row.writing_run
    if run is None or run.status != run.Status.RUNNING or row.taken_over_by_id is not None:
        return None
    return Writing.of(run, OpenRange(start, at, end))


class OpenedDocument(Document, frozen=True):
    """A Document with its text."""

    text: str

    @classmethod
    def with_text(cls, row: "models.Document", text: str) -> Self:
        return cls(**asdict(Document.of(row)) | {"text": text})

    @classmethod
    def at(cls, row: "models.Document", version: int, text: str) -> Self:
        """As it was at a version, without what an agent is writing now."""
        return cls(**asdict(Document.of(row)) | {"text": text, "version": version, "writing": None})


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


class DocumentVersion(Struct, frozen=True):
    """A version to which an author or a run has brought a document by its updates after `since`."""

    version: int
    since: int
    author: Person | None
    agent: AgentName | None
    run: UUID | None
    created_at: datetime
    name: str

    @classmethod
    def of(cls, row: "models.DocumentUpdate", since: int) -> Self:
        """`row` is its newest update."""
        return cls(
            version=row.version,
            since=since,
            author=person(row.author),
            agent=agent_of(row.run),
            run=row.run_id,
            created_at=to_wire(row.created_at),
            name=row.name,
        )


class WrittenLines(Struct, frozen=True):
    """`count` lines of a document from `first` on, and the update that has written the newest text in each of them.
    `version` is None if it is older than what is looked at; author and run then are, too.
    """

    first: int
    count: int
    version: int | None = None
    author: Person | None = None
    agent: AgentName | None = None
    run: UUID | None = None
    created_at: datetime | None = None

    @classmethod
    def of(cls, first: int, count: int, row: "models.DocumentUpdate") -> Self:
        author, agent = person(row.author), agent_of(row.run)
        return cls(first, count, row.version, author, agent, row.run_id, to_wire(row.created_at))


class SelectedText(Struct, frozen=True):
    """The part of a document that a message is about, as it was then."""

    document: UUID
    version: int
    start: int = field(name="from")
    end: int = field(name="to")
    title: str
    text: str
    """What is selected, or its beginning."""

    @classmethod
    def of(cls, stored: object) -> "SelectedText | None":
        """From the column of a message. None if there is none, or if it cannot be read."""
        try:
            return None if stored is None else convert(stored, cls)
        except ValidationError:
            return None


class DocumentProposal(Struct, frozen=True):
    """A change of the version `version` that an agent proposes."""

    id: UUID
    document: UUID
    version: int
    changes: Changes
    agent: AgentName | None
    run: UUID | None
    created_at: datetime

    @classmethod
    def of(cls, row: "models.DocumentProposal") -> Self:
        return cls(
            id=row.id,
            document=row.document_id,
            version=row.version,
            changes=row.changes,
            agent=agent_of(row.run),
            run=row.run_id,
            created_at=to_wire(row.created_at),
        )
