"""Rows as the lines of an export, in an order that only the rows decide. Reads pages by their keys, without a
transaction: neither memory nor locks grow with the site. The database may change meanwhile.

What is in progress is exported as a crash would leave it: interrupted. So an import starts nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, Q
from msgspec import UNSET, Struct

from ... import database
from ...models import (
    Attachment,
    Conversation,
    Document,
    DocumentProposal,
    Feedback,
    Invitation,
    Message,
    Participant,
    Removal,
    Run,
    Spending,
    ToolCall,
    attachment_storage,
)
from ...permissions import is_listed, visible_to
from ...protocol import objects
from ...times import to_wire
from ..base import REACHABLE
from ..run_lifecycle import UNFINISHED
from .lines import AttachmentData, End, Header
from .reading import GUEST_SINCE, Children, Page, read_rows
from .tables import CONVERSATIONS, NO_DEFAULT, PAGE, SPENDINGS, Table

FORMAT = 1
"""The version of the format. An import refuses others."""

PIECE = 192 * 1024
"""Bytes of a file in one line; a multiple of 3, so that the Base64 of all pieces together is that of the file."""

MAX_NAMES = 50_000

PRIVATE_FIELDS: dict[type[Model], tuple[str, ...]] = {
    Conversation: ("summary", "summary_seq"),
    Participant: ("last_read", "pinned", "archived"),
    Run: ("error_detail", "host", "transcript"),
}
"""Fields that a user's export leaves out: those for staff, and of other participants what is only theirs."""

FOR_USER: dict[type[Model], Callable[[Any], Q]] = {
    Attachment: lambda user: Q(message__isnull=False) | Q(uploaded_by=user),
    Document: lambda user: Q(deleted_at=None),
    DocumentProposal: lambda user: Q(decided_at=None),
    Feedback: lambda user: Q(user=user),
    Invitation: lambda user: Q(pk__in=()),
    Message: lambda user: REACHABLE & Q(deleted_at=None),
    Removal: lambda user: Q(pk__in=()),
    Spending: lambda user: Q(user=user),
}
"""Which rows a user's export contains; of other models, all of the conversation."""

UNDELETED: dict[type[Model], Q] = {
    Document: Q(deleted_at=None),
    DocumentProposal: Q(decided_at=None),
    Message: Q(deleted_at=None),
}
"""Which rows an export without what is deleted contains."""

Item = Struct | Callable[[], Iterator[Struct]]
"""A line, or what reads lines: too many, or too long, to hold them."""


class Scope(Struct, frozen=True):
    """What to export: everything, one conversation, or the conversations that a user takes part in.

    A user's export is for them: without what is deleted, what only staff sees, and what is only others'.
    """

    conversation: UUID | None = None
    user: Any = None
    conversations: tuple[UUID, ...] | None = None
    """Only these, if given."""
    deleted: bool = True
    """Whether to contain what is deleted but not erased yet."""


def export_lines(scope: Scope) -> Iterator[Struct]:
    """The lines. Nothing is read before the first one is asked for."""
    yield from Export(scope).lines()


class Export:
    """One export: its scope, and the names of users that it has read."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._names: dict[str, Any] = {}
        self._children: dict[Table, Children] = {}

    def lines(self) -> Iterator[Struct]:
        number = 0
        yield Header(FORMAT)
        if self._scope == Scope():
            yield from self._read(SPENDINGS, SPENDINGS.where)
        for batch in self._conversations():
            number += len(batch["id"])
            yield from _read_items(self._gather(CONVERSATIONS, batch))
        yield End(number)

    def _conversations(self) -> Iterator[Page]:
        """Conversations, so many that their messages are about a page."""
        where = Q() if self._scope.conversation is None else Q(pk=self._scope.conversation)
        if self._scope.conversations is not None:
            where &= Q(pk__in=self._scope.conversations)
        if self._scope.user is not None:
            inside = Participant.objects.filter(visible_to(self._scope.user), user=self._scope.user)
            where &= Q(deleted_at=None, pk__in=inside.values("conversation"))
        for page in self._pages(CONVERSATIONS, where):
            batch: list[int] = []
            messages = 0
            for place in self._allowed(page):
                if batch and messages + page["last_seq"][place] > PAGE:
                    yield _choose(page, batch)
                    batch, messages = [], 0
                batch.append(place)
                messages += page["last_seq"][place]
            if batch:
                yield _choose(page, batch)

    def _allowed(self, page: Page) -> list[int]:
        """The places of those that the user may see by the site's rules."""
        places = range(len(page["id"]))
        if self._scope.user is None:
            return list(places)
        rows = Participant.objects.select_related("user", "conversation")
        inside = rows.filter(user=self._scope.user, conversation__in=page["id"])
        allowed = {str(each.conversation_id) for each in inside if is_listed(each)}
        return [place for place in places if page["id"][place] in allowed]

    def _read(self, table: Table, where: Q) -> Iterator[Struct]:
        """The lines of these rows, and of what belongs to them, a page at a time."""
        for page in self._pages(table, where):
            yield from _read_items(self._gather(table, page))

    def _gather(self, table: Table, page: Page) -> list[list[Item]]:
        """For each row of a page its line, followed by those of what belongs to it, which takes one query for each
        table.
        """
        self._complete(table, page)
        children = [self._gather_children(child, page["id"]) for child in table.children if page["id"]]
        children = [each for each in children if each]
        found: list[list[Item]] = []
        for key, line in zip(page["id"], _make_lines(table, page), strict=True):
            items: list[Item] = [partial(_with_file, key, line) if table.model is Attachment else line]
            for each in children:
                items += each.get(key, ())
            found.append(items)
        return found

    def _gather_children(self, table: Table, parents: list[str]) -> dict[str, list[Item]]:
        """The same of the rows that belong to others, by the keys of these."""
        if table not in self._children:
            self._children[table] = Children(table, self._where(table), table.page + 1)
        rows = self._children[table].read(parents)
        if len(rows["id"]) > table.page:  # too many to hold: read those of one parent after the other
            where = self._where(table)
            return {key: [partial(self._read, table, where & Q((table.parent, key)))] for key in parents}
        groups: dict[str, list[Item]] = defaultdict(list)
        for key, items in zip(rows[table.parent], self._gather(table, rows), strict=True):
            groups[key] += items
        return groups

    def _where(self, table: Table) -> Q:
        if self._scope.user is None:
            return table.where & (Q() if self._scope.deleted else UNDELETED.get(table.model, Q()))
        return table.where & FOR_USER.get(table.model, lambda user: Q())(self._scope.user)

    def _pages(self, table: Table, where: Q) -> Iterator[Page]:
        """Rows in order, a page at a time, each after the last key of the one before."""
        page = read_rows(table, where, table.page)
        while page["id"]:
            complete, later = len(page["id"]) < table.page, _after(table, page)
            yield page
            if complete:
                return
            page = read_rows(table, where & later, table.page)

    def _complete(self, table: Table, page: Page) -> None:
        """Put names in the place of keys, and leave out what is not for the user of the scope, or in progress."""
        if self._scope.user is not None:
            _leave_out_private(table, page, str(self._scope.user))
        for name in table.users:
            keys = [None if key is None else str(key) for key in page[name]]
            self._read_names({key for key in keys if key is not None})
            page[name] = [None if key is None else self._names.get(key) for key in keys]  # None: deleted at this moment
        if not settings.USE_TZ:
            for name, values in page.items():
                page[name] = [to_wire(value) if isinstance(value, datetime) else value for value in values]
        if table.model is Conversation:
            page["content_type"] = [None if key is None else _name_type(key) for key in page["content_type"]]
        elif table.model is Run:
            _interrupt(page)
        elif table.model is ToolCall:
            stopped = ToolCall.Status.STOPPED.value
            page["status"] = [stopped if status in UNFINISHED else status for status in page["status"]]

    def _read_names(self, keys: set[str]) -> None:
        if len(self._names) > MAX_NAMES:
            self._names.clear()
        if missing := keys - self._names.keys():
            users = get_user_model()
            rows = users._base_manager.using(database.alias()).filter(pk__in=missing)
            self._names.update((str(key), name) for key, name in rows.values_list("pk", users.USERNAME_FIELD))


def _read_items(found: list[list[Item]]) -> Iterator[Struct]:
    for items in found:
        for item in items:
            if isinstance(item, Struct):
                yield item
            else:
                yield from item()


def _choose(page: Page, places: list[int]) -> Page:
    return {name: [values[place] for place in places] for name, values in page.items()}


def _leave_out_private(table: Table, page: Page, user: str) -> None:
    for name in PRIVATE_FIELDS.get(table.model, ()):
        default, values = table.defaults[name], page[name]
        if table.model is Participant:
            people = map(str, page["user"])
            page[name] = [value if each == user else default for each, value in zip(people, values, strict=True)]
        else:
            page[name] = [default] * len(values)


def _name_type(key: Any) -> str:
    return ".".join(ContentType.objects.get_for_id(key).natural_key())


def _interrupt(page: Page) -> None:
    """Runs in progress, as a crash would leave them."""
    for place, status in enumerate(page["status"]):
        if status in Run.ACTIVE:
            failure = objects.Failure.from_code("host_lost")
            page["status"][place] = Run.Status.INTERRUPTED.value
            page["finished_at"][place] = page["heartbeat_at"][place]
            page["error_code"][place], page["error_message"][place] = failure.code, failure.message


def _make_lines(table: Table, page: Page) -> Iterable[Struct]:
    columns = [
        page[name] if default is NO_DEFAULT else [UNSET if value == default else value for value in page[name]]
        for name, default in table.line_fields
    ]
    if table.model is Participant:
        columns.append([UNSET if since is None else since for since in page[GUEST_SINCE]])
    return map(table.line, *columns)


def _after(table: Table, page: Page) -> Q:
    """What follows the last row, in a form for which databases use an index."""
    last = {name: page[name][-1] for name in table.order}
    first = table.order[0]
    if len(table.order) == 1:
        return Q((f"{first}__gt", last[first]))
    second = table.order[1]
    return Q((f"{first}__gte", last[first])) & (Q((f"{first}__gt", last[first])) | Q((f"{second}__gt", last[second])))


def _with_file(key: str, line: Any) -> Iterator[Struct]:
    """An attachment and its contents; without contents if the file is lost. One at a time: the texts are long."""
    file, text = Attachment.objects.filter(pk=key).values_list("file", "text").first() or ("", "")
    line.text = text or UNSET
    yield line
    try:
        with attachment_storage().open(file) as opened:
            while piece := opened.read(PIECE):
                yield AttachmentData(UUID(key), piece)
    except FileNotFoundError:
        return
