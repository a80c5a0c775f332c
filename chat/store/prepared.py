"""Statements that are compiled once: for the few that every message and every answer executes.

Compiling a query takes the ORM several times as long as executing it. These are still the ORM's queries, for every
database that it supports and for any user model. They run on the chat's database, like `unit_of_work`.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache, partial
from typing import Any, Generic, TypeVar

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Expression, F, Field, Model, QuerySet
from django.db.models.constants import OnConflict
from django.db.models.lookups import In
from django.db.models.signals import post_save
from django.db.models.sql import UpdateQuery

from ..database import connection

M = TypeVar("M", bound=Model)


class Param(Expression):
    """A value that each execution gives as the keyword `name`. The database takes it as a value of this field."""

    def __init__(self, name: str, model: type[Model], field: str) -> None:
        column = model._meta.get_field(field)
        assert isinstance(column, Field)
        super().__init__(output_field=column)
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        return "%s", (self,)  # it stands for itself until `_fill`


def _fill(params: Sequence[Any], values: dict[str, Any], db: BaseDatabaseWrapper) -> list[Any]:
    return [
        param.output_field.get_db_prep_save(values[param.name], db) if isinstance(param, Param) else param
        for param in params
    ]


class Select(Generic[M]):
    """The rows of a query set as objects of its model, with related objects and annotations.

    `make` returns the query set. It is called once, in a transaction if the query set locks rows.
    """

    def __init__(self, make: Callable[[], QuerySet[M]]) -> None:
        self._make = make

    @cached_property
    def _compiled(self) -> "_CompiledSelect":
        return _CompiledSelect(self._make())

    def all(self, **values: Any) -> list[M]:
        return self._compiled.execute(values)

    def pages(self, size: int, **values: Any) -> Iterator[list[M]]:
        """The rows, `size` at a time, by a cursor on the server if the database has one. For use in a transaction."""
        return self._compiled.pages(size, values)

    def first(self, **values: Any) -> M | None:
        """For query sets of one row at most. None if there is none."""
        return next(iter(self.all(**values)), None)


SIZES = (1, 10, 50)
"""For how many values a SelectIn is compiled."""


class SelectIn(Generic[M]):
    """A Select of the rows whose `field` has one of some values, 50 at most. `make` gets that condition. With several
    fields, it gets one condition for each.
    """

    def __init__(self, model: type[Model], field: str | Sequence[str], make: Callable[..., QuerySet[M]]) -> None:
        self._fields = [field] if isinstance(field, str) else field

        def make_for(size: int) -> QuerySet[M]:
            return make(
                *(
                    In(F(name), [Param(f"{name} {number}", model, name) for number in range(size)])
                    for name in self._fields
                )
            )

        self._by_size = {size: Select(partial(make_for, size)) for size in SIZES}

    def all(self, *values: Sequence[Any], **others: Any) -> list[M]:
        """`values` are those of each field; `others`, as for Select."""
        size = next(size for size in SIZES if size >= max(map(len, values)))
        for name, given in zip(self._fields, values, strict=True):
            others |= {f"{name} {number}": given[min(number, len(given) - 1)] for number in range(size)}
        return self._by_size[size].all(**others)


class _CompiledSelect:
    """The compiled query, and how rows become objects. Django's ModelIterable finds out both for each execution."""

    def __init__(self, queryset: QuerySet[Any]) -> None:
        compiler = queryset.query.get_compiler(connection=connection())
        self._sql, self._params = compiler.as_sql()
        self._converters = list(compiler.get_converters([column[0] for column in compiler.select]).items())
        self._made = _Made(compiler.klass_info, compiler.select)
        self._annotations = list((compiler.annotation_col_map or {}).items())

    def execute(self, values: dict[str, Any]) -> list[Any]:
        db = connection()
        with db.cursor() as cursor:
            cursor.execute(self._sql, _fill(self._params, values, db))
            joined: dict[Any, Any] = {}
            return [self._make_object(list(row), joined, db) for row in cursor.fetchall()]

    def pages(self, size: int, values: dict[str, Any]) -> Iterator[list[Any]]:
        db = connection()
        with db.chunked_cursor() as cursor:
            cursor.execute(self._sql, _fill(self._params, values, db))
            while rows := cursor.fetchmany(size):
                joined: dict[Any, Any] = {}
                yield [self._make_object(list(row), joined, db) for row in rows]

    def _make_object(self, row: list[Any], joined: dict[Any, Any], db: BaseDatabaseWrapper) -> Any:
        for column, (converters, expression) in self._converters:
            for convert in converters:
                row[column] = convert(row[column], expression, db)
        made = self._made.make(row, joined, db.alias)
        for name, column in self._annotations:
            setattr(made, name, row[column])
        return made


class _Made:
    """An object that is made from some columns of a row, and those that it is joined with."""

    def __init__(self, klass: dict[str, Any], select: Sequence[Any]) -> None:
        self._model, self._columns = klass["model"], klass["select_fields"]
        self._names = [select[column][0].target.attname for column in self._columns]
        self._key = self._columns[self._names.index(self._model._meta.pk.attname)]
        self._joined = [
            (_Made(joined, select), joined["local_setter"], joined["remote_setter"])
            for joined in klass.get("related_klass_infos", ())
        ]

    def make(self, row: Sequence[Any], joined: dict[Any, Any], alias: str) -> Any:
        """None if the row has no such object. `joined` are those of the rows before: an author of many messages is made
        once, and is one object.
        """
        if row[self._key] is None:
            return None
        made = self._model.from_db(alias, self._names, [row[column] for column in self._columns])
        for other, set_here, set_there in self._joined:
            key = id(other), row[other._key]
            if key not in joined:
                joined[key] = other.make(row, joined, alias)
            set_here(made, joined[key])
            if joined[key] is not None:
                set_there(joined[key], made)
        return made


class Update:
    """An UPDATE of some fields of a query set's rows. `make` is as for Select. `fields` are set to what the keywords of
    the same names give, `expressions` to these.
    """

    def __init__(self, make: Callable[[], QuerySet[Any]], fields: Sequence[str] = (), **expressions: Any) -> None:
        self._make, self._fields, self._expressions = make, fields, expressions

    @cached_property
    def _compiled(self) -> tuple[str, Sequence[Any]]:
        rows = self._make()
        query: Any = rows.query.chain(UpdateQuery)
        query.add_update_values({name: Param(name, rows.model, name) for name in self._fields} | self._expressions)
        sql, params = query.get_compiler(connection=connection()).as_sql()
        return sql, params

    def execute(self, **values: Any) -> int:
        """Returns how many rows there were."""
        return self.execute_many([values])

    def execute_many(self, values: Sequence[dict[str, Any]]) -> int:
        """The same for each of these values, in one round trip if the database can."""
        sql, params = self._compiled
        db = connection()
        filled = [_fill(params, each, db) for each in values]
        with db.cursor() as cursor:
            if len(filled) == 1:
                cursor.execute(sql, filled[0])
            else:
                cursor.executemany(sql, filled)
            return int(cursor.rowcount)


def insert(rows: Sequence[Model], replace: Sequence[str] = (), unique: Sequence[str] = ()) -> None:
    """Insert new rows of one model with one statement. A row that there is already, by its `unique` fields, gets the
    new values of the fields `replace`, and no signal says so. An automatic primary key stays unknown.
    """
    model = type(rows[0])
    fields, sql = _compile_insert(model, len(rows), tuple(replace), tuple(unique))
    db = connection()
    with db.cursor() as cursor:
        cursor.execute(
            sql, [field.get_db_prep_save(getattr(row, field.attname), db) for row in rows for field in fields]
        )
    for row in rows:
        row._state.adding, row._state.db = False, db.alias
        if not replace:
            post_save.send(model, instance=row, created=True, update_fields=None, raw=False, using=db.alias)


@lru_cache(maxsize=256)
def _compile_insert(
    model: type[Model], number: int, replace: tuple[str, ...], unique: tuple[str, ...]
) -> tuple[list[Any], str]:
    fields: list[Any] = [field for field in model._meta.concrete_fields if not getattr(field, "auto_created", False)]
    ops = connection().ops
    quote = ops.quote_name
    columns = ", ".join(quote(field.column) for field in fields)
    values = "(" + ", ".join(["%s"] * len(fields)) + ")"
    sql = f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES {', '.join([values] * number)}"  # noqa: S608
    if replace:
        by_name = {field.name: field.column for field in fields}
        new, key = [by_name[name] for name in replace], [by_name[name] for name in unique]
        sql += " " + ops.on_conflict_suffix_sql(fields, OnConflict.UPDATE, new, key)
    return fields, sql
