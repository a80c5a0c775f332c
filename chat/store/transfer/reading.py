"""Read rows as the values of their lines, with less work than Django's converters: an export would only make texts of
the objects again. A page is kept by columns, which Python goes through faster than through rows.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db.models import BooleanField, DateTimeField, Field, ForeignKey, JSONField, Q, UUIDField

from ... import database
from ...models import Participant
from .tables import Table, is_user

Page = dict[str, list[Any]]
"""Rows, as the values of each column. Keys are texts."""

GUEST_SINCE = "user__nous_guest__created_at"


try:
    from psycopg.adapt import Loader
    from psycopg.types.string import TextLoader
except ImportError:  # another database, or psycopg2
    Timestamps = None
else:

    class Timestamps(Loader):  # type: ignore[no-redef]
        """Times as PostgreSQL writes them in UTC. Psycopg's own loader takes a sixth of an export."""

        def load(self, data: Any) -> datetime:
            return datetime.fromisoformat(bytes(data).decode())


def read_rows(table: Table, where: Q, size: int) -> Page:
    """The first rows in order, those of one parent together."""
    compiler = _compile(table, where, size)
    try:
        sql, params = compiler.as_sql()
    except EmptyResultSet:
        return _make_page(table, [], [])
    return _fetch(table, sql, params, _converters(compiler))


class Children:
    """The rows of a table that belong to some others, up to `size`. Compiled once, because that takes Django longer
    than reading takes the database.
    """

    def __init__(self, table: Table, where: Q, size: int) -> None:
        keys = [uuid4(), uuid4()]
        compiler = _compile(table, where & Q((f"{table.parent}__in", keys)), size)
        self._table = table
        try:
            sql, params = compiler.as_sql()
        except EmptyResultSet:
            self._sql: list[str] = []  # nothing of it is in the scope
            return
        self._converters = _converters(compiler)
        self._sql = sql.split(" IN (%s, %s)")
        at = params.index(UUIDField().get_db_prep_value(keys[0], compiler.connection))
        self._params = params[:at], params[at + 2 :]
        assert len(self._sql) == 2

    def read(self, keys: Sequence[str]) -> Page:
        if not self._sql:
            return _make_page(self._table, [], [])
        before, after = self._params
        if database.connection().vendor == "postgresql":  # many parameters, and lists, take psycopg as long as the rows
            array = f"{{{','.join(keys)}}}"
            return _fetch(self._table, " = ANY(%s::uuid[])".join(self._sql), (*before, array, *after), self._converters)
        sql = f" IN ({', '.join(['%s'] * len(keys))})".join(self._sql)
        keys = [key.replace("-", "") for key in keys]
        return _fetch(self._table, sql, (*before, *keys, *after), self._converters)


def _fetch(table: Table, sql: str, params: Any, converters: list[tuple[int, Callable[[Any], Any]]]) -> Page:
    db = database.connection()
    with db.cursor() as cursor:
        if Timestamps is not None and db.vendor == "postgresql":
            cursor.adapters.register_loader("uuid", TextLoader)
            if db.timezone_name == "UTC":
                cursor.adapters.register_loader("timestamptz", Timestamps)
        cursor.execute(sql, params)
        return _make_page(table, cursor.fetchall(), converters)


def _compile(table: Table, where: Q, size: int) -> Any:
    order = (table.parent, *table.order) if table.parent else table.order
    rows = table.model._base_manager.using(database.alias()).filter(where).order_by(*order)
    return rows.values_list(*_names(table))[:size].query.get_compiler(database.alias())


def _names(table: Table) -> list[str]:
    return [*table.columns, GUEST_SINCE] if table.model is Participant else table.columns


def _make_page(table: Table, rows: Sequence[Sequence[Any]], converters: list[tuple[int, Callable[[Any], Any]]]) -> Page:
    names = _names(table)
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in names]
    if rows:
        for place, convert in converters:
            columns[place] = [None if value is None else convert(value) for value in columns[place]]
    return dict(zip(names, columns, strict=True))


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
