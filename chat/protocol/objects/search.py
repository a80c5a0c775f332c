"""Search results."""

from datetime import datetime
from typing import TYPE_CHECKING, Self
from uuid import UUID

from msgspec import Struct

from ... import addresses
from ...fulltext import make_excerpt, strip_markdown
from ...times import to_wire
from .people import Person, person

if TYPE_CHECKING:
    from ... import models

MAX_EXCERPTED_CHARS = 30_000
"""Characters of a document in which the words are looked for again, to show them. Else its beginning is shown."""


class FoundConversation(Struct, frozen=True):
    id: UUID
    title: str
    url: str


class FoundMessage(Struct, frozen=True):
    id: UUID
    seq: int
    role: str
    author: Person | None
    created_at: datetime

    @classmethod
    def of(cls, row: "models.Message") -> Self:
        return cls(row.id, row.seq, row.role, person(row.author), to_wire(row.created_at))


class FoundDocument(Struct, frozen=True):
    id: UUID
    title: str
    kind: str

    @classmethod
    def of(cls, row: "models.Document") -> Self:
        return cls(row.id, row.title, row.kind)


class SearchResult(Struct, frozen=True):
    id: int
    conversation: FoundConversation
    message: FoundMessage | None
    """None if the conversation's title matches, or a document."""
    document: FoundDocument | None
    excerpt: str
    matches: list[tuple[int, int]]
    """Where the matches are in `excerpt`: [start, end) in characters."""

    @classmethod
    def of(cls, row: "models.Passage", words: list[str]) -> Self:
        conversation, message, document = row.conversation, row.message, row.document
        if document is not None:
            text, is_markdown = document.text[:MAX_EXCERPTED_CHARS], document.kind == document.Kind.MARKDOWN
        elif message is not None:
            text, is_markdown = message.text, message.role == message.Role.ASSISTANT
        else:
            text, is_markdown = conversation.title, False
        part, matches = make_excerpt(text, words)
        if is_markdown:
            plain, places = make_excerpt(strip_markdown(text), words)
            if places or not matches:  # else the words are in what Markdown does not show, such as an address
                part, matches = plain, places
        url = addresses.page("conversation", conversation.id)
        return cls(
            id=row.pk,
            conversation=FoundConversation(conversation.id, conversation.title, url),
            message=FoundMessage.of(message) if message else None,
            document=FoundDocument.of(document) if document else None,
            excerpt=part,
            matches=matches,
        )
