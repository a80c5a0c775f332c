"""Which tables and fields an export contains, in which order, and which ones it leaves out and why.

A test fails if a model of the app is in neither list.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db.models import NOT_PROVIDED, AutoField, Field, ForeignKey, Model, Q
from msgspec import UNSET, Struct, defstruct

from ...models import (
    AgentVersion,
    ApiToken,
    Attachment,
    Breaker,
    Budget,
    Conversation,
    Document,
    DocumentProposal,
    DocumentSnapshot,
    DocumentUpdate,
    Edit,
    Erasure,
    Feedback,
    Guest,
    Hold,
    Inspection,
    Invitation,
    Message,
    Participant,
    Passage,
    Price,
    Pruning,
    Removal,
    Run,
    RunRecording,
    Spending,
    StoredAgent,
    ToolCall,
)

PAGE = 2000
"""How many rows of a table are in memory at a time."""

LEFT_OUT: dict[type[Model], str] = {
    AgentVersion: "configuration of one site, as its settings are; runs keep the number of the version",
    ApiToken: "a secret of one site",
    Breaker: "a decision of one site",
    Budget: "a decision of one site",
    DocumentSnapshot: "the log holds what is in it",
    Erasure: "receipts of one site",
    Guest: "participants say since when they are guests",
    Hold: "a decision of one site: place it there again",
    Inspection: "a decision of one site",
    Passage: "the import indexes the texts again",
    Price: "a decision of one site; runs keep the price that counted",
    Pruning: "figures of one site",
    RunRecording: "kept for a few days, to find the cause of a problem",
    StoredAgent: "configuration of one site, as its settings are",
}
"""Models that have no lines of their own, and why."""

LEFT_OUT_FIELDS: dict[type[Model], dict[str, str]] = {
    Attachment: {"file": "a name in the storage of one site; the contents follow in `attachment_data`"},
    Conversation: {"waiting": "an import starts no runs"},
    Document: {"settled_version": "the import indexes the texts again"}
    | dict.fromkeys(
        ("writing_run", "writing_version", "writing_start", "writing_at", "writing_end", "taken_over_by"),
        "an import starts no runs, so none writes in the document",
    ),
    Run: {"place": "an import starts no runs"},
}

LATER: dict[type[Model], set[str]] = {Attachment: {"text"}}
"""Fields that are read a row at a time, because they are long."""

NO_DEFAULT = object()


class Table:
    """A model in the export: its rows follow the row that they belong to.

    `parent` is the foreign key to that row, `order` the fields that order the rows of one parent, and `where` says
    which ones there are. Up to `page` rows are read at once.
    """

    def __init__(
        self,
        model: type[Model],
        parent: str,
        order: tuple[str, ...],
        *children: "Table",
        where: Q | None = None,
        page: int = PAGE,
    ) -> None:
        self.model = model
        self.type = _snake_case(model.__name__)
        self.parent = parent
        self.order = order
        self.children = children
        self.where = Q() if where is None else where
        self.page = page

    @cached_property
    def fields(self) -> dict[str, "Field[Any, Any]"]:
        """The exported fields by name. Automatic keys are given again by the importing database, and the conversation
        is that of the lines around.
        """
        left_out = {"conversation", *LEFT_OUT_FIELDS.get(self.model, ())}
        columns: list[Field[Any, Any]] = list(self.model._meta.concrete_fields)
        return {each.name: each for each in columns if each.name not in left_out and not isinstance(each, AutoField)}

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """What a line leaves out: the values that a field has by default."""
        return {
            name: None if field.null else field.get_default()
            for name, field in self.fields.items()
            if not callable(field.default) or field.default is NOT_PROVIDED
        }

    @cached_property
    def columns(self) -> list[str]:
        """The fields to read: those of the line, in its order, and then those that identify and order the row."""
        needed = {*self.order, "id", *([self.parent] if self.parent else [])}
        return [*self._line_fields, *sorted(needed - self.fields.keys())]

    @cached_property
    def _line_fields(self) -> list[str]:
        return [name for name in self.fields if name not in LATER.get(self.model, set())]

    @cached_property
    def line_fields(self) -> list[tuple[str, Any]]:
        """The fields of a line but those of LATER, with their defaults, or NO_DEFAULT."""
        return [(name, self.defaults.get(name, NO_DEFAULT)) for name in self._line_fields]

    @cached_property
    def line(self) -> type[Struct]:
        """A line as it is written: the values of `line_fields` in their order, and then the others. What is UNSET is
        left out.
        """
        later = ["guest_since"] if self.type == "participant" else sorted(LATER.get(self.model, ()))
        keys = [*(self.keys[name] for name in self._line_fields), *later]
        return defstruct(self.type, [(key, Any, UNSET) for key in keys], tag_field="type", tag=self.type, gc=False)

    @cached_property
    def keys(self) -> dict[str, str]:
        """The keys of the fields in a line, whose `type` is that of the line."""
        return {name: "media_type" if name == "type" else name for name in self.fields}

    @cached_property
    def users(self) -> tuple[str, ...]:
        """The fields that name a user."""
        return tuple(name for name, field in self.fields.items() if is_user(field))

    def walk(self) -> Iterator["Table"]:
        yield self
        for child in self.children:
            yield from child.walk()


def _snake_case(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")


def is_user(field: "Field[Any, Any]") -> bool:
    return isinstance(field, ForeignKey) and field.related_model is get_user_model()


def is_content_type(field: "Field[Any, Any]") -> bool:
    return isinstance(field, ForeignKey) and field.related_model is ContentType


_CALLS = Table(ToolCall, "run", ("created_at", "id"))

CONVERSATIONS = Table(
    Conversation,
    "",
    ("created_at", "id"),
    Table(Participant, "conversation", ("joined_at", "id")),
    Table(Removal, "conversation", ("removed_at", "id")),
    Table(Invitation, "conversation", ("created_at", "id")),
    Table(
        Message,
        "conversation",
        ("seq",),
        Table(Run, "message", ("created_at", "id"), _CALLS),
        Table(Attachment, "message", ("created_at", "id")),
        Table(Edit, "message", ("id",)),
        Table(Feedback, "message", ("id",)),
    ),
    Table(Run, "conversation", ("created_at", "id"), _CALLS, where=Q(message=None)),
    Table(Attachment, "conversation", ("created_at", "id"), where=Q(message=None)),
    Table(
        Document,
        "conversation",
        ("created_at", "id"),
        Table(DocumentUpdate, "document", ("version",)),
        Table(DocumentProposal, "document", ("created_at", "id")),
        page=20,  # their texts are long
    ),
    Table(Spending, "conversation", ("day", "id")),
    page=300,
)
"""A conversation and all that belongs to it, in the order of the lines."""

SPENDINGS = Table(Spending, "", ("day", "id"), where=Q(conversation=None))
"""What was spent in conversations that are deleted."""

TABLES: dict[str, Table] = {table.type: table for table in CONVERSATIONS.walk()}
"""By the type of their lines."""
