"""Copy rows inside the database. Their texts do not pass through Python, which would hold up all streams meanwhile."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import NOT_PROVIDED, AutoField, Field, Model

from .. import database
from .bulk_insert import find_prepare

COPIED_AT_ONCE = 500
"""How many rows one statement copies, at most."""


def copy_rows(
    model: type[Model],
    copies: Mapping[UUID, Mapping[str, Any]],
    same: Mapping[str, Any],
    kept: Sequence[str],
    by: str = "id",
) -> None:
    """Insert copies of rows, inside the caller's transaction. No signals.

    `copies` has what differs from copy to copy, always the same fields, for each original, which its field `by` tells.
    `same` is what all copies have, and `kept` names the fields that are as in the original. A field that nothing names
    has its default, and keys that count up are the database's. Fields are given by the names of attributes (`user_id`).
    """
    if not copies:
        return
    db = database.connection()
    columns = {field.attname: field for field in model._meta.concrete_fields if not isinstance(field, AutoField)}
    key = columns[by]
    varying = [columns.pop(name) for name in next(iter(copies.values()))]
    copied = [columns.pop(name) for name in kept]
    constants = [field.get_db_prep_save(same.get(name, _default(field)), db) for name, field in columns.items()]
    prepare = [find_prepare(field, db) for field in (key, *varying)]
    values = [
        [value if make is None or value is None else make(value) for make, value in zip(prepare, row, strict=True)]
        for row in ((original, *copy.values()) for original, copy in copies.items())
    ]
    fields = [*varying, *columns.values(), *copied]
    with db.cursor() as cursor:
        for start in range(0, len(values), COPIED_AT_ONCE):
            rows = values[start : start + COPIED_AT_ONCE]
            sql = _make_insert(model, key, fields, len(varying), len(constants), len(rows), db)
            cursor.execute(sql, [*(value for row in rows for value in row), *constants])


def _default(field: "Field[Any, Any]") -> Any:
    return None if field.default is NOT_PROVIDED and field.null else field.get_default()


def _make_insert(
    model: type[Model],
    key: "Field[Any, Any]",
    fields: Sequence["Field[Any, Any]"],
    varying: int,
    constant: int,
    rows: int,
    db: BaseDatabaseWrapper,
) -> str:
    """`fields` are those that vary, those that have a constant, and those that are kept, in this order."""
    quote = db.ops.quote_name
    table = quote(model._meta.db_table)
    names = [quote(str(field.column)) for field in fields]
    numbered = [f"value_{number}" for number in range(varying + 1)]
    row = f"({', '.join(['%s'] * len(numbered))})"
    # A database does not know what type a value in a list of rows is for.
    typed = [
        f"CAST({name} AS {field.cast_db_type(db)})"
        for name, field in zip(numbered, [key, *fields[:varying]], strict=True)
    ]
    taken = [f"{table}.{name}" for name in names[varying + constant :]]
    selected = ", ".join([*typed[1:], *["%s"] * constant, *taken])
    return (
        f"INSERT INTO {table} ({', '.join(names)}) "  # noqa: S608  names of the models
        f"WITH copies({', '.join(numbered)}) AS (VALUES {', '.join([row] * rows)}) "
        f"SELECT {selected} FROM copies JOIN {table} ON {table}.{quote(str(key.column))} = {typed[0]}"
    )
