"""A value of its own for each of several rows, in one UPDATE. Called by `runs` for heartbeats."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import Expression, Field, Model


class CaseByPk(Expression):
    """`CASE key WHEN ... THEN ...` by primary key; rows without a value keep the one they have.

    Django's Case and When say the same of any conditions, and build a query for each: with fifty rows they cost more
    than the database does.
    """

    def __init__(self, model: type[Model], field: str, values: Mapping[UUID, Any]) -> None:
        column = model._meta.get_field(field)
        assert isinstance(column, Field)
        super().__init__(output_field=column)
        self._key = model._meta.pk
        self._values = values

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        column = self.output_field
        params: list[Any] = []
        for key, value in self._values.items():
            params += [self._key.get_db_prep_value(key, connection), column.get_db_prep_save(value, connection)]
        quoted = connection.ops.quote_name
        whens = " ".join(["WHEN %s THEN %s"] * len(self._values))
        return f"CASE {quoted(self._key.column)} {whens} ELSE {quoted(column.column)} END", tuple(params)
