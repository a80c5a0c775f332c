"""What a line may hold: types made of the models' fields, so that a decoder checks a whole line at once."""

from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal, Union
from uuid import UUID

import msgspec
from django.db.models import (
    BooleanField,
    CharField,
    DateField,
    DateTimeField,
    DecimalField,
    Field,
    FloatField,
    ForeignKey,
    IntegerField,
    JSONField,
    TextField,
    UUIDField,
)
from msgspec import UNSET, Meta, Struct, UnsetType

from ...protocol.objects import Part
from .tables import TABLES, Table, is_content_type, is_user

MAX_LINE = 64 * 1024 * 1024
"""Bytes of a line. The longest ones that an export writes are those of runs, with their transcripts."""

MAX_DEPTH = 64
"""How deep values may be nested."""

MAX_PIECE = 1024 * 1024
"""Bytes of a file in one line."""


class BadLine(Exception):
    """A line that cannot be imported, by its number."""

    def __init__(self, number: int, problem: str, starts: bool = False) -> None:
        super().__init__(problem)
        self.number = number
        self.starts = starts


class Header(Struct, tag_field="type", tag="export", forbid_unknown_fields=True):
    """The first line."""

    format: int


class End(Struct, tag_field="type", tag="end", forbid_unknown_fields=True):
    """The last line: nothing is missing."""

    conversations: int


class AttachmentData(Struct, tag_field="type", tag="attachment_data", forbid_unknown_fields=True):
    """A piece of a file."""

    attachment: UUID
    data: Annotated[bytes, Meta(max_length=MAX_PIECE)]


JSON_TYPES: dict[tuple[str, str], Any] = {
    ("conversation", "other_agents"): list[Annotated[str, Meta(max_length=100)]],
    ("message", "parts"): list[Part],
}
"""The types of JSON fields whose readers rely on them. Others may hold anything."""


def _type_of(table: Table, field: "Field[Any, Any]") -> Any:
    if is_user(field):
        return str | int
    if is_content_type(field):
        return str
    if field.choices:
        return Literal[tuple(value for value, _label in field.flatchoices)]
    match field:
        case ForeignKey() | UUIDField():
            return UUID
        case CharField():
            return Annotated[str, Meta(max_length=field.max_length)]
        case TextField():
            return str
        case BooleanField():
            return bool
        case IntegerField():
            return Annotated[int, Meta(ge=0, le=2**63 - 1 if "Big" in type(field).__name__ else 2**31 - 1)]
        case DateTimeField():
            return Annotated[datetime, Meta(tz=True)]
        case DateField():
            return date
        case DecimalField():
            return Decimal
        case FloatField():
            return float
        case JSONField():
            return JSON_TYPES.get((table.type, field.name), Any)
    raise TypeError(f"An import does not know what {type(field).__name__} holds.")


def _shape(table: Table) -> type[Struct]:
    fields: list[tuple[str, Any, Any]] = []
    for name, field in table.fields.items():
        if not is_required(table, name):
            fields.append((table.keys[name], _type_of(table, field) | UnsetType, UNSET))
        else:
            fields.append((table.keys[name], _type_of(table, field), msgspec.NODEFAULT))
    if table.type == "participant":
        fields.append(("guest_since", Annotated[datetime, Meta(tz=True)] | UnsetType, UNSET))
    return msgspec.defstruct(
        table.type, fields, tag_field="type", tag=table.type, forbid_unknown_fields=True, kw_only=True
    )


def is_required(table: Table, name: str) -> bool:
    """Whether a line must have this field: its model has no default that a row could have."""
    return name not in table.defaults or (not table.fields[name].null and table.defaults[name] is None)


@lru_cache(maxsize=1)
def _decoder() -> Any:
    shapes = [_shape(table) for table in TABLES.values()]
    return msgspec.json.Decoder(Union[(Header, End, AttachmentData, *shapes)])


def decode_line(line: bytes) -> Any:
    """One of the types above, or of the rows. Raises ValueError, which says what is wrong with the line."""
    try:
        return _decoder().decode(line)
    except RecursionError:
        raise ValueError("It is nested too deeply") from None


def check_value(value: Any, depth: int = 0) -> None:
    """Raises ValueError for what a database does not hold: NUL characters, and deep JSON."""
    if isinstance(value, str):
        if "\x00" in value:
            raise ValueError("It has a NUL character")
    elif isinstance(value, dict | list):
        if depth >= MAX_DEPTH:
            raise ValueError("It is nested too deeply")
        for item in value:
            check_value(item, depth + 1)
        if isinstance(value, dict):
            for item in value.values():
                check_value(item, depth + 1)
