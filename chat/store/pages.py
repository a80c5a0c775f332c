"""Pages of messages, with everything that their objects need: in few statements, for any number of conversations.

No statement joins more than a message and its run. Most messages have no alternatives, and the same few people wrote
all of them, so these are looked up by their ids.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate
from typing import Any, TypeVar
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Model, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Length
from msgspec import Struct

from ..models import Attachment, Conversation, Message, ToolCall
from ..protocol import objects
from .base import PAGE_SIZE

M = TypeVar("M", bound=Model)

MAX_PAGE_CHARS = 4_000_000
"""How many characters of texts one page of messages holds, or all pages that are read together. Fifty answers of the
greatest length would take 200 MB for each reader.
"""

CHARS = Length("text") + Length("thinking")


class Page(Struct, frozen=True):
    """Messages in order. `more`: there are older ones."""

    messages: list[objects.Message]
    more: bool


def read_page(conversation_id: UUID, before: int | None, limit: int, reader: Any) -> Page:
    """The newest `limit` messages, older than number `before`, if given. `reader` is the row of a user, the author of
    many of them.

    Fewer, but at least one, if they are longer than MAX_PAGE_CHARS.
    """
    rows = Message.objects.filter(conversation=conversation_id, shown=True)
    if before is not None:
        rows = rows.filter(seq__lt=before)
    found = list(rows.order_by("-seq").values_list("pk", CHARS)[: limit + 1])
    size = min(count_fitting(chars for _, chars in found), limit)
    return Page(read_messages([key for key, _ in found[:size]], {reader.pk: reader}), len(found) > size)


def with_page_start(rows: QuerySet[Conversation]) -> QuerySet[Conversation]:
    """Annotate each with `page_after`: the number of the newest message that is not on its newest page, if any."""
    shown = Message.objects.filter(conversation=OuterRef("pk"), shown=True).order_by("-seq")
    return rows.annotate(page_after=Subquery(shown.values("seq")[PAGE_SIZE : PAGE_SIZE + 1]))


def read_newest_pages(conversations: Sequence[Any], users: dict[Any, Any]) -> dict[UUID, Page]:
    """The newest page of each conversation (`with_page_start`), by its id. `users` are rows of users by primary key, if
    some are known already.

    Pages that would make it more than MAX_PAGE_CHARS in all are left out; the first one never is.
    """
    on_page = Q(conversation__in=[row.pk for row in conversations if row.page_after is None])
    for row in conversations:
        if row.page_after is not None:
            on_page |= Q(conversation=row.pk, seq__gt=row.page_after)
    lengths: dict[UUID, list[tuple[UUID, int]]] = {row.pk: [] for row in conversations}
    found = Message.objects.filter(on_page, shown=True).order_by("-seq")
    for conversation_id, key, chars in found.values_list("conversation", "pk", CHARS):
        lengths[conversation_id].append((key, chars))
    pages: dict[UUID, Page] = {}
    keys: list[UUID] = []
    total = 0
    for row in conversations:
        size = min(count_fitting(chars for _, chars in lengths[row.pk]), PAGE_SIZE)
        total += sum(chars for _, chars in lengths[row.pk][:size])
        if pages and total > MAX_PAGE_CHARS:
            break
        pages[row.pk] = Page([], row.page_after is not None or len(lengths[row.pk]) > size)
        keys += [key for key, _ in lengths[row.pk][:size]]
    for message in read_messages(keys, users):
        pages[message.conversation].messages.append(message)
    return pages


def count_fitting(lengths: Iterable[int]) -> int:
    """How many texts of these lengths fit into a page: at least one."""
    return max(sum(total <= MAX_PAGE_CHARS for total in accumulate(lengths)), 1)


def read_messages(keys: Sequence[UUID], users: dict[Any, Any]) -> list[objects.Message]:
    """These messages, each conversation's in order, with everything that belongs to them.

    By key: a message that came in since the page was measured must not push out its oldest one.
    """
    # A message and its run in one statement: the text must be that of the run's status and of its last stored frame.
    unused = ("run__transcript", "run__error_detail")
    rows = list(Message.objects.filter(pk__in=keys).select_related("run").defer(*unused).order_by("seq"))
    runs = {row.pk: row.run for row in rows if hasattr(row, "run")}
    calls = _group(ToolCall.objects.filter(run__in=runs.values()), "run_id") if runs else {}
    posts = [row.pk for row in rows if row.pk not in runs]
    attachments = _group(Attachment.objects.filter(message__in=posts).defer("text"), "message_id") if posts else {}
    alternatives = _group_alternatives({row.alternative_of_id for row in rows} - {None})
    _link_users(rows, ("author", "deleted_by"), users)
    _link_users(list(runs.values()), ("launched_by", "stopped_by"), users)
    _link_users([call for of_run in calls.values() for call in of_run], ("decided_by",), users)
    return [
        objects.Message.of(
            row,
            objects.Belongings(
                calls.get(runs[row.pk].pk, ()) if row.pk in runs else (),
                attachments.get(row.pk, ()),
                alternatives.get(row.alternative_of_id, ()),
            ),
        )
        for row in rows
    ]


def _group(rows: QuerySet[M], attribute: str) -> dict[Any, list[M]]:
    groups: dict[Any, list[M]] = {}
    for row in rows:
        groups.setdefault(getattr(row, attribute), []).append(row)
    return groups


def _group_alternatives(first: Collection[Any]) -> dict[Any, list[UUID]]:
    """The ids of alternative answers, by the id of the first one."""
    groups: dict[Any, list[UUID]] = {}
    if first:
        rows = Message.objects.filter(alternative_of__in=first).order_by("seq")
        for key, alternative in rows.values_list("alternative_of", "pk"):
            groups.setdefault(key, []).append(alternative)
    return groups


def _link_users(rows: Sequence[Model], names: Sequence[str], users: dict[Any, Any]) -> None:
    """Set fields of rows to the users that they refer to. Most are in `users`; the others are added to it."""
    fields: list[Any] = [rows[0]._meta.get_field(name) for name in names] if rows else []
    unknown = {getattr(row, field.attname) for field in fields for row in rows} - users.keys() - {None}
    if unknown:
        users |= get_user_model()._base_manager.in_bulk(unknown)
    for field in fields:
        for row in rows:
            field.set_cached_value(row, users.get(getattr(row, field.attname)))
