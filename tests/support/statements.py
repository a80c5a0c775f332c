"""Counts what a process asks of its databases: statements and transactions.

Everything that goes through Django's cursors counts, in all threads and on connections that were opened before. The
counting costs time, so a process that is measured should not count.
"""

import threading
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

_execute, _commit = CursorWrapper._execute_with_wrappers, BaseDatabaseWrapper.commit  # type: ignore[attr-defined]


class Statements:
    """A count from `start` to `stop`. BEGIN and COMMIT count as statements; one outside a transaction is its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._statements = self._transactions = 0

    def start(self) -> None:
        self._statements = self._transactions = 0

        def execute(cursor: Any, sql: Any, params: Any, many: bool, executor: Any) -> Any:
            # Drivers send BEGIN in different ways. It is counted with the COMMIT.
            if not str(sql).startswith("BEGIN"):
                self._add(len(params) if many else 1, transactions=not cursor.db.in_atomic_block)
            return _execute(cursor, sql, params, many, executor)

        def commit(connection: Any) -> None:
            _commit(connection)
            self._add(2, transactions=1)

        CursorWrapper._execute_with_wrappers = execute  # type: ignore[attr-defined]
        BaseDatabaseWrapper.commit = commit  # type: ignore[method-assign,assignment]

    def stop(self) -> dict[str, int]:
        CursorWrapper._execute_with_wrappers = _execute  # type: ignore[attr-defined]
        BaseDatabaseWrapper.commit = _commit  # type: ignore[method-assign]
        return {"statements": self._statements, "transactions": self._transactions}

    def _add(self, statements: int, transactions: int) -> None:
        with self._lock:
            self._statements += statements
            self._transactions += transactions
