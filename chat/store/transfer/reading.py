"""Read rows as the values of their lines, with less work than Django's converters: SQLite has no type for keys, and an
export would only make texts of the objects again.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any
from uuid import uuid4

import msgspec
from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db.models import BooleanField, DateTimeField, Field, ForeignKey, JSONField, Q, UUIDField

from ... import database
from ...models import Participant
from .tables import Table, is_user

Row = dict[str, Any]

GUEST_SINCE = "user__nous_guest__created_at"


def read_rows(table: Table, where: Q, size: int) -> list[Row]:
    """The first rows in order, those of one parent together: values by field. Keys are UUIDs, or the same as texts."""
    compiler = _compile(table, where, size)
    found = [list(row) for row in chain.from_iterable(compiler.execute_sql())]
    return _convert(table, found, _converters(compiler))


try:
    from psycopg.adapt import Loader
except ImportError:  # another database, or psycopg2
    Timestamps = None
else:

    class Timestamps(Loader):  # type: ignore[no-redef]
        """Times as PostgreSQL writes them in UTC. Psycopg's own loader takes a sixth of an export."""

        def load(self, data: Any) -> datetime:
            return datetime.fromisoformat(bytes(data).decode())


class Children:
    """The rows of a table whose `lookup` is one of some keys, up to `size`. Compiled once: that takes Django longer
    than reading takes the database.
    """

    def __init__(self, table: Table, lookup: str, where: Q, size: int) -> None:
        keys = [uuid4(), uuid4()]
        compiler = _compile(table, where & Q((f"{lookup}__in", keys)), size)
        self._table = table
        try:
            sql, params = compiler.as_sql()
        except EmptyResultSet:
            self._sql: list[str] = []  # nothing of it is in the scope
            return
        self._converters = _converters(compiler)
        self._sql = sql.split(" IN (%s, %s)")
        at = params.index(_prepare_key(keys[0], compiler.connection))
        self._params = params[:at], params[at + 2 :]
        assert len(self._sql) == 2

    def read(self, keys: Sequence[Any]) -> list[Row]:
        if not self._sql:
            return []
        db = database.connection()
        before, after = self._params
        sql = f" IN ({', '.join(['%s'] * len(keys))})".join(self._sql)
        with db.cursor() as cursor:
            if Timestamps is not None and db.vendor == "postgresql" and db.timezone_name == "UTC":
                cursor.adapters.register_loader("timestamptz", Timestamps)
            cursor.execute(sql, (*before, *(_prepare_key(key, db) for key in keys), *after))
            found = [list(row) for row in cursor.fetchall()]
        return _convert(self._table, found, self._converters)


_KEY = UUIDField()


def _prepare_key(key: Any, db: Any) -> Any:
    return str(key).replace("-", "") if db.vendor == "sqlite" else _KEY.get_db_prep_value(key, db)


def _compile(table: Table, where: Q, size: int) -> Any:
    order = (table.parent, *table.order) if table.parent else table.order
    rows = table.model._base_manager.using(database.alias()).filter(where).order_by(*order)
    return rows.values_list(*_names(table))[:size].query.get_compiler(database.alias())


def _names(table: Table) -> list[str]:
    return [*table.columns, GUEST_SINCE] if table.model is Participant else table.columns


def _convert(table: Table, rows: list[list[Any]], converters: list[tuple[int, Callable[[Any], Any]]]) -> list[Row]:
    for column, convert in converters:
        for row in rows:
            if row[column] is not None:
                row[column] = convert(row[column])
    names = _names(table)
    return [dict(zip(names, row, strict=True)) for row in rows]


def _converters(compiler: Any) -> list[tuple[int, Callable[[Any], Any]]]:
    """Functions for the columns whose values in the database are not those of the line."""
    db = compiler.connection
    expressions = [select[0] for select in compiler.select]
    found = []
    for column, (functions, expression) in compiler.get_converters(expressions).items():
        quick = _quick_converter(expression.target, db)
        found.append((column, quick or _in_turn(functions, expression, db)))
    return found


def _in_turn(functions: list[Any], expression: Any, db: Any) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        for function in functions:
            value = function(value, expression, db)
        return value

    return convert


def _quick_converter(field: "Field[Any, Any]", db: Any) -> Callable[[Any], Any] | None:
    if isinstance(field, JSONField):
        return _decode_json
    if db.vendor != "sqlite" or is_user(field):
        return None
    if isinstance(field, ForeignKey):
        field = field.target_field
    if isinstance(field, UUIDField):
        return _dashed
    if isinstance(field, BooleanField):
        return bool
    if isinstance(field, DateTimeField) and settings.USE_TZ and db.timezone_name == "UTC":
        return _utc
    return None


def _decode_json(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, str | bytes) else value


def _dashed(key: str) -> str:
    return f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:]}"


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC)
