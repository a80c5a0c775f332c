"""Set a different value in each of several rows with one UPDATE. Called by `heartbeats`."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import Expression, Field, Model


class CaseByPk(Expression):
    """`CASE pk WHEN ... THEN ... ELSE column END`: rows that are not in `values` keep their value.

    Django's Case and When can express this, but compile a query for each condition: with fifty rows that takes longer
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
