"""Insert many rows at once, for imports and made-up sites: by COPY on PostgreSQL, else by INSERT with many rows.

Takes values instead of objects of models, because making these takes longer than the database does. No signals.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import (
    NOT_PROVIDED,
    AutoField,
    BooleanField,
    CharField,
    Field,
    FileField,
    FloatField,
    ForeignKey,
    IntegerField,
    JSONField,
    Model,
    TextField,
    UUIDField,
)
from msgspec import Struct

from .. import database

INSERTED_AT_ONCE = 1000
"""How many rows one INSERT has, at most, where there is no COPY."""

_PLAIN = (BooleanField, CharField, FloatField, IntegerField, TextField)
"""Fields whose values every database takes as they are."""


class _Column(Struct, frozen=True):
    name: str
    """Of the attribute: `user_id`."""
    default: Any
    make_default: Callable[[], Any] | None
    prepare: Callable[[Any], Any] | None
    """Makes the database's value, if it is another."""


def insert_rows(model: type[Model], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, given by the names of attributes (`user_id`), inside the caller's transaction. What a row leaves out
    has its default, and keys that count up are the database's.
    """
    if not rows:
        return
    db = database.connection()
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, AutoField)]
    values = _prepare(rows, [_column(field, db) for field in fields])
    table = db.ops.quote_name(model._meta.db_table)
    names = ", ".join(db.ops.quote_name(str(field.column)) for field in fields)
    with db.cursor() as cursor:
        if db.vendor == "postgresql" and hasattr(cursor, "copy"):  # psycopg 3
            # Django translates the errors of execute() alone.
            with db.wrap_database_errors, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in values:
                    copy.write_row(row)
        else:
            places = ", ".join(["%s"] * len(fields))
            insert = f"INSERT INTO {table} ({names}) VALUES ({places})"  # noqa: S608  names of the models
            for batch in _batches(values):
                cursor.executemany(insert, batch)


def _column(field: "Field[Any, Any]", db: BaseDatabaseWrapper) -> _Column:
    varies = callable(field.default) and field.default is not NOT_PROVIDED
    return _Column(
        field.attname,
        None if varies else field.get_default(),
        field.get_default if varies else None,
        find_prepare(field, db),
    )


def find_prepare(field: "Field[Any, Any]", db: BaseDatabaseWrapper) -> Callable[[Any], Any] | None:
    """What makes the database's values of this field, except NULL. None if they are the same."""
    if isinstance(field, FileField):
        return str
    target = field.target_field if isinstance(field, ForeignKey) else field
    if isinstance(target, UUIDField):
        return None if db.features.has_native_uuid_field else attrgetter("hex")
    if isinstance(field, _PLAIN) or (db.vendor == "postgresql" and not isinstance(field, JSONField)):
        return None
    return lambda value: field.get_db_prep_save(value, db)


def _prepare(rows: Iterable[Mapping[str, Any]], columns: list[_Column]) -> Iterator[list[Any]]:
    for row in rows:
        values = []
        for column in columns:
            if column.name in row:
                value = row[column.name]
            else:
                value = column.default if column.make_default is None else column.make_default()
            values.append(value if column.prepare is None or value is None else column.prepare(value))
        yield values


def _batches(values: Iterator[list[Any]]) -> Iterator[list[list[Any]]]:
    batch: list[list[Any]] = []
    for row in values:
        batch.append(row)
        if len(batch) >= INSERTED_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
