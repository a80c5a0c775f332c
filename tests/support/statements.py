"""Counts what a process asks of its databases: statements, transactions, and checks of connections.

Everything that goes through Django's cursors counts, in all threads and on connections that were opened before. The
counting costs time, so a process that is measured should not count.
"""

import threading
from collections import Counter
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

_execute, _commit = CursorWrapper._execute_with_wrappers, BaseDatabaseWrapper.commit  # type: ignore[attr-defined]


class Statements:
    """A count from `start` to `stop`.

    BEGIN and COMMIT count as statements, and a statement outside a transaction as a transaction. `checks` are the
    statements of CONN_HEALTH_CHECKS, which are not among the others.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted: Counter[str] = Counter()
        self._checks: dict[type[BaseDatabaseWrapper], Any] = {}

    def start(self) -> None:
        self.stop()
        self._counted.clear()

        def execute(cursor: Any, sql: Any, params: Any, many: bool, executor: Any) -> Any:
            # Drivers send BEGIN in different ways. It is counted with the COMMIT.
            if not str(sql).startswith("BEGIN"):
                self._add(statements=len(params) if many else 1, transactions=not cursor.db.in_atomic_block)
            return _execute(cursor, sql, params, many, executor)

        def commit(connection: Any) -> None:
            _commit(connection)
            self._add(statements=2, transactions=1)

        def is_usable(connection: Any) -> Any:
            self._add(checks=1)
            return self._checks[type(connection)](connection)

        CursorWrapper._execute_with_wrappers = execute  # type: ignore[attr-defined]
        BaseDatabaseWrapper.commit = commit  # type: ignore[method-assign,assignment]
        for kind in {type(connection) for connection in connections.all() if connection.vendor != "sqlite"}:
            self._checks[kind] = kind.is_usable
            kind.is_usable = is_usable  # type: ignore[method-assign,assignment]

    def stop(self) -> dict[str, int]:
        CursorWrapper._execute_with_wrappers = _execute  # type: ignore[attr-defined]
        BaseDatabaseWrapper.commit = _commit  # type: ignore[method-assign]
        while self._checks:
            kind, check = self._checks.popitem()
            kind.is_usable = check  # type: ignore[method-assign]
        return {name: self._counted[name] for name in ("statements", "transactions", "checks")}

    def _add(self, **numbers: int) -> None:
        with self._lock:
            self._counted.update(numbers)
