"""Full-text search: index titles and messages, and find those that a user may see. Documents: `document_settling`."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet, TextField, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Concat
from msgspec import Struct

from .. import fulltext
from ..database import connection
from ..models import Conversation, Message, Participant, Passage
from ..permissions import is_listed, visible_to
from ..protocol import objects
from .copied_rows import copy_rows
from .prepared import insert

PAGE_SIZE = 20

MAX_CONVERSATIONS = 500
"""How many matches a search in all conversations looks at."""

_FINDABLE = {"conversation__deleted_at": None, "conversation__listed": True}

SHORT_TEXT = 2000
"""Characters of a text whose words are found in less time than starting a thread for it takes."""


async def extract_words(text: str) -> str:
    """What the index will hold of a text. A long one is processed in a thread of its own, because it takes a while:
    neither the event loop nor the queue of the database waits for it.
    """
    if len(text) <= SHORT_TEXT:
        return fulltext.make_index_text(text)
    return await asyncio.to_thread(fulltext.make_index_text, text)


def index_message(row: Message, words: str | None = None, new_title: str = "") -> None:
    """Index a message, inside the caller's transaction. `words` are those of its text (`extract_words`); without them
    they are found here, which is for short texts. `new_title` is indexed by the same statement: the title of a
    conversation that has none in the index.
    """
    index_messages([(row, words)], new_title)


def index_messages(rows: Sequence[tuple[Message, str | None]], new_title: str = "") -> None:
    """The same for several, with their words. `new_title` is of the first one's conversation."""
    title = fulltext.make_index_text(new_title)
    passages = [Passage(conversation_id=rows[0][0].conversation_id, text=title)] if title else []
    empty = []
    for row, words in rows:
        text = fulltext.make_index_text(row.text) if words is None else words
        if text:
            passages.append(Passage(conversation_id=row.conversation_id, message=row, text=text))
        else:
            empty.append(row)
    if empty:
        Passage.objects.filter(message__in=empty).delete()
    if passages:
        insert(passages, replace=["text"], unique=["message"])


def copy_index(into: Conversation, ids: Mapping[UUID, UUID]) -> None:
    """Index copies of messages like the originals. `ids` are those of the copies, by those of the originals."""
    copies = {original: {"message_id": copy} for original, copy in ids.items()}
    copy_rows(Passage, copies, {"conversation_id": into.pk}, ("text",), by="message_id")


def set_title(conversation: Conversation, title: str, source: str) -> None:
    """Set and index the title of a conversation; the caller saves the conversation."""
    conversation.title, conversation.title_from = title, source
    text = fulltext.make_index_text(title)
    indexed = titles_of(conversation)
    if not text:
        indexed.delete()
    elif not indexed.update(text=text):
        Passage.objects.create(conversation=conversation, text=text)


def titles_of(conversation: Any) -> QuerySet[Passage]:
    """What is indexed of a conversation's title: one passage, if any. `conversation` may be an OuterRef."""
    return Passage.objects.filter(conversation=conversation, message=None, document=None)


class SearchResults(Struct, frozen=True):
    """The newest results first, and whether there are more."""

    results: list[objects.SearchResult]
    more: bool


def search_conversations(user_id: Any, query: str, before: int | None) -> SearchResults:
    """Passages with all words of `query` in the user's conversations, older than the passage `before` if given."""
    wanted = fulltext.parse_query(query)
    if not wanted:
        return SearchResults([], False)
    readable = Q(message=None, document=None) | Q(message__shown=True, message__deleted_at=None)
    readable |= Q(document__isnull=False, document__deleted_at=None)
    rows = _matching(wanted).filter(readable, conversation__participants__user=user_id, **_FINDABLE)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    # Only the ids first, so that the database does not carry the texts along while it sorts.
    ids = list(rows.order_by("-pk").values_list("pk", flat=True)[: PAGE_SIZE + 1])
    rows = Passage.objects.filter(pk__in=ids).select_related("conversation", "message__author", "document")
    found = list(rows.order_by("-pk"))
    mine = Participant.objects.filter(
        visible_to(user_id), user=user_id, conversation__in={row.conversation_id for row in found}
    )
    visible = {row.conversation_id for row in mine.select_related("user", "conversation") if is_listed(row)}
    results = [objects.SearchResult.of(row, wanted) for row in found[:PAGE_SIZE] if row.conversation_id in visible]
    return SearchResults(results, len(ids) > PAGE_SIZE)


def find_conversations(query: str, *, in_messages: bool) -> list[UUID]:
    """Conversations of anybody with all words of `query` in their titles or, with `in_messages`, in one of their
    messages: those with the newest matches, at most MAX_CONVERSATIONS. For staff.
    """
    wanted = fulltext.parse_query(query)
    if not wanted:
        return []
    titles = Q(message=None, document=None)
    rows = _matching(wanted).filter(titles | Q(message__deleted_at=None, document=None) if in_messages else titles)
    found = rows.order_by("-pk").values_list("conversation", flat=True)[:MAX_CONVERSATIONS]
    return list(dict.fromkeys(found))


def _matching(wanted: Sequence[str]) -> QuerySet[Passage]:
    """Query words hold only letters and digits, so none of them can act as an operator of a query language."""
    rows = Passage.objects.all()
    vendor = connection().vendor
    if vendor == "postgresql":
        query = " & ".join(f"{word}:*" if fulltext.is_prefix(word) else word for word in wanted)
        return rows.extra(where=["nous_chat_passage.words @@ to_tsquery('simple', %s)"], params=[query])
    if vendor == "sqlite" and has_fts5(connection().alias):
        query = " AND ".join(f'"{word}"*' if fulltext.is_prefix(word) else f'"{word}"' for word in wanted)
        return rows.filter(pk__in=RawSQL("SELECT rowid FROM nous_chat_search WHERE nous_chat_search MATCH %s", [query]))
    rows = rows.annotate(padded=Concat(Value(" "), "text", Value(" "), output_field=TextField()))
    for word in wanted:
        rows = rows.filter(padded__contains=f" {word}" if fulltext.is_prefix(word) else f" {word} ")
    return rows


@lru_cache
def has_fts5(alias: str) -> bool:
    """True if FTS5 was available when the migration ran on this SQLite database."""
    with connection().cursor() as cursor:
        cursor.execute("SELECT 1 FROM sqlite_master WHERE name = 'nous_chat_search'")
        return cursor.fetchone() is not None
