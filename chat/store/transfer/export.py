"""Rows as the lines of an export, in an order that only the rows decide. Reads pages by their keys, without a
transaction: neither memory nor locks grow with the site. The database may change meanwhile.

What is in progress is exported as a crash would leave it: interrupted. So an import starts nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, Q
from msgspec import Struct

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
from .reading import GUEST_SINCE, Children, Row, read_rows
from .tables import CONVERSATIONS, PAGE, SPENDINGS, Table

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

Line = dict[str, Any]
Reader = Callable[[Any], Iterator[Line]]


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


def export_lines(scope: Scope) -> Iterator[Line]:
    """The lines as dictionaries. Nothing is read before the first one is asked for."""
    yield from Export(scope).lines()


class Export:
    """One export: its scope, and the names of users that it has read."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._names: dict[Any, Any] = {}
        self._statements: dict[tuple[Table, str], Children] = {}

    def lines(self) -> Iterator[Line]:
        number = 0
        yield {"type": "export", "format": FORMAT}
        if self._scope == Scope():
            for page in self._pages(SPENDINGS, SPENDINGS.where):
                yield from self._emit(SPENDINGS, page)
        for batch in self._conversations():
            number += len(batch)
            emit = self._prepare(CONVERSATIONS, batch, [row["id"] for row in batch])
            for row in batch:
                yield from emit(row)
        yield {"type": "end", "conversations": number}

    def _conversations(self) -> Iterator[list[Row]]:
        """Conversations, so many that their messages are about a page."""
        where = Q() if self._scope.conversation is None else Q(pk=self._scope.conversation)
        if self._scope.conversations is not None:
            where &= Q(pk__in=self._scope.conversations)
        if self._scope.user is not None:
            inside = Participant.objects.filter(visible_to(self._scope.user), user=self._scope.user)
            where &= Q(deleted_at=None, pk__in=inside.values("conversation"))
        for page in self._pages(CONVERSATIONS, where):
            batch: list[Row] = []
            messages = 0
            for row in self._allowed(page):
                if batch and messages + row["last_seq"] > PAGE:
                    yield batch
                    batch, messages = [], 0
                batch.append(row)
                messages += row["last_seq"]
            if batch:
                yield batch

    def _allowed(self, page: list[Row]) -> list[Row]:
        """Those that the user may see by the site's rules."""
        if self._scope.user is None:
            return page
        rows = Participant.objects.select_related("user", "conversation")
        inside = rows.filter(user=self._scope.user, conversation__in=[row["id"] for row in page])
        allowed = {str(each.conversation_id) for each in inside if is_listed(each)}
        return [row for row in page if str(row["id"]) in allowed]

    def _emit(self, table: Table, page: Sequence[Row]) -> Iterator[Line]:
        """The lines of a page of rows, each followed by those of what belongs to it."""
        emit = self._prepare(table, page)
        for row in page:
            yield from emit(row)

    def _prepare(self, table: Table, page: Sequence[Row], conversations: list[Any] | None = None) -> Reader:
        """Read what belongs to a page of rows, in one query for each table. Returns what makes lines of a row. The page
        has all rows of these `conversations`, which are few keys where the rows have many.
        """
        self._complete(table, page)
        readers = [self._read_children(child, page, conversations) for child in table.children if page]

        def emit(row: Row) -> Iterator[Line]:
            if table.model is Attachment:
                yield from _with_file(table, row)
            else:
                yield _make_line(table, row)
            for read in readers:
                yield from read(row["id"])

        return emit

    def _read_children(self, table: Table, page: Sequence[Row], conversations: list[Any] | None) -> Reader:
        if conversations is None:
            rows = self._children(table, table.parent).read([row["id"] for row in page])
        else:
            rows = self._children(table, table.conversation).read(conversations)
        if len(rows) > table.page:  # too many to hold: read those of one parent after the other

            def read_pages(key: Any) -> Iterator[Line]:
                for page in self._pages(table, self._where(table) & Q((table.parent, key))):
                    yield from self._emit(table, page)

            return read_pages
        emit = self._prepare(table, rows, conversations)
        groups: dict[Any, list[Row]] = defaultdict(list)
        for row in rows:
            groups[row[table.parent]].append(row)

        def read(key: Any) -> Iterator[Line]:
            for row in groups.pop(key, ()):
                yield from emit(row)

        return read

    def _children(self, table: Table, lookup: str) -> Children:
        key = (table, lookup)
        if key not in self._statements:
            where = self._where(table) & Q((f"{table.parent}__isnull", False))
            self._statements[key] = Children(table, lookup, where, table.page + 1)
        return self._statements[key]

    def _where(self, table: Table) -> Q:
        if self._scope.user is None:
            return table.where & (Q() if self._scope.deleted else UNDELETED.get(table.model, Q()))
        return table.where & FOR_USER.get(table.model, lambda user: Q())(self._scope.user)

    def _pages(self, table: Table, where: Q) -> Iterator[list[Row]]:
        """Rows in order, a page at a time, each after the last key of the one before."""
        page = read_rows(table, where, table.page)
        while page:
            complete, later = len(page) < table.page, _after(table, page[-1])
            yield page
            if complete:
                return
            page = read_rows(table, where & later, table.page)

    def _complete(self, table: Table, page: Iterable[Row]) -> None:
        """Put names in the place of users' keys, and leave out what is not for the user of the scope."""
        if self._scope.user is not None:
            for row in page:
                if table.model is not Participant or row["user"] != self._scope.user:
                    row.update({name: table.defaults[name] for name in PRIVATE_FIELDS.get(table.model, ())})
        wanted = {row[name] for row in page for name in table.users} - {None}
        if len(self._names) > MAX_NAMES:
            self._names.clear()
        if missing := wanted - self._names.keys():
            users = get_user_model()
            rows = users._base_manager.using(database.alias()).filter(pk__in=missing)
            self._names.update(rows.values_list("pk", users.USERNAME_FIELD))
        if not settings.USE_TZ:
            for row in page:
                row.update({name: to_wire(value) for name, value in row.items() if isinstance(value, datetime)})
        for row in page:
            for name in table.users:
                if row[name] is not None:
                    row[name] = self._names.get(row[name])  # None if the account was deleted at this moment


def _make_line(table: Table, row: Row) -> Line:
    if table.model is Run and row["status"] in Run.ACTIVE:
        failure = objects.Failure.from_code("host_lost")
        row |= {"status": Run.Status.INTERRUPTED.value, "finished_at": row["heartbeat_at"]}
        row |= {"error_code": failure.code, "error_message": failure.message}
    elif table.model is ToolCall and row["status"] in UNFINISHED:
        row["status"] = ToolCall.Status.STOPPED.value
    line: Line = dict(type=table.type)  # noqa: C408  not a frame of the channel layer, whose types are constants
    line |= {
        key: value
        for (key, default), value in zip(table.lines, row.values(), strict=False)
        if (value is not None if default is None else value != default)
    }
    if table.model is Participant and row[GUEST_SINCE] is not None:
        line["guest_since"] = row[GUEST_SINCE]
    elif table.model is Conversation and row["content_type"] is not None:
        line["content_type"] = ".".join(ContentType.objects.get_for_id(row["content_type"]).natural_key())
    return line


def _after(table: Table, row: Row) -> Q:
    """What follows a row, in a form for which databases use an index."""
    first = table.order[0]
    if len(table.order) == 1:
        return Q((f"{first}__gt", row[first]))
    second = table.order[1]
    return Q((f"{first}__gte", row[first])) & (Q((f"{first}__gt", row[first])) | Q((f"{second}__gt", row[second])))


def _with_file(table: Table, row: Row) -> Iterator[Line]:
    """An attachment and its contents; without contents if the file is lost. One at a time: the texts are long."""
    file, text = Attachment.objects.filter(pk=row["id"]).values_list("file", "text").first() or ("", "")
    line = _make_line(table, row)
    yield line | {"text": text} if text else line
    try:
        with attachment_storage().open(file) as opened:
            while piece := opened.read(PIECE):
                yield {"type": "attachment_data", "attachment": row["id"], "data": piece}
    except FileNotFoundError:
        return
