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


class SearchResult(Struct, frozen=True):
    id: int
    conversation: FoundConversation
    message: FoundMessage | None
    """None if the conversation's title matches."""
    excerpt: str
    matches: list[tuple[int, int]]
    """Where the matches are in `excerpt`: [start, end) in characters."""

    @classmethod
    def of(cls, row: "models.Passage", words: list[str]) -> Self:
        conversation, message = row.conversation, row.message
        text = conversation.title if message is None else message.text
        part, matches = make_excerpt(text, words)
        if message is not None and message.role == "assistant":
            plain, places = make_excerpt(strip_markdown(text), words)
            if places or not matches:  # else the words are in what Markdown does not show, such as an address
                part, matches = plain, places
        url = addresses.page("conversation", conversation.id)
        return cls(
            id=row.pk,
            conversation=FoundConversation(conversation.id, conversation.title, url),
            message=FoundMessage.of(message) if message else None,
            excerpt=part,
            matches=matches,
        )
