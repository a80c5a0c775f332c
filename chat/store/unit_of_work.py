"""The transaction of a unit of work, which never waits long: for a row that somebody has locked, or for a statement.

Whoever locks a row, an open transaction in a shell or a process that is frozen, holds up the work on this row only.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import UUID

from django.db import OperationalError

from .. import database

try:
    from psycopg import ClientCursor
except ImportError:  # another database, or psycopg2
    ClientCursor = None  # type: ignore[assignment,misc]

logger = logging.getLogger("nous_chat.store")

T = TypeVar("T")

LOCK_TIMEOUT = 50
"""Milliseconds that a statement waits for a lock: longer than a transaction of another process takes, and so short that
the queue hardly notices. `executor` then lets others pass, and tries again.
"""

LOCK_PAUSES = (0.05, 0.1, 0.2, 0.4, *[0.5] * 6)
"""Seconds between two attempts at a unit of work that needs a row which somebody else has locked. Less in all than
`COMMAND_TIMEOUT` of the sockets.
"""

STATEMENT_TIMEOUT = 5_000
"""Milliseconds that a statement may take in all."""

IDLE_TIMEOUT = 15_000
"""Milliseconds after which PostgreSQL ends a transaction whose process does nothing, such as a frozen one."""

PROBE_EVERY = 0.25
"""Seconds between two attempts to lock a conversation that somebody else holds. Meanwhile, work on it does not reach
the database.
"""

UNATTENDED_TIMEOUT = 600_000
"""The same for a command whose transactions nobody waits for."""

LONGEST_PAUSE = 0.1
"""Seconds between two transactions of a command that gives way."""

_POSTGRESQL_LIMITS = (
    f"SET LOCAL lock_timeout = {LOCK_TIMEOUT}; SET LOCAL statement_timeout = {{statement_timeout}}; "
    f"SET LOCAL idle_in_transaction_session_timeout = {IDLE_TIMEOUT}"
)

_LOCK_STATES = {"55P03", "40P01"}
"""PostgreSQL's "lock not available" and "deadlock detected"."""


@contextmanager
def unit_of_work(statement_timeout: int = STATEMENT_TIMEOUT) -> Iterator[None]:
    """A transaction with the limits above, on the chat's database: `@unit_of_work()`, or `with unit_of_work():`. Raises
    OperationalError.

    Inside another transaction it is a savepoint, and the limits are the other one's. SQLite has one lock, for all
    writers; there the limit is `timeout` of the connection.
    """
    connection = database.connection()
    outermost = not connection.in_atomic_block
    with database.primaries(), database.atomic():
        if outermost and connection.vendor == "postgresql":
            with connection.execute_wrapper(_LimitsFirst(connection, statement_timeout)):
                yield
        else:
            yield


class _LimitsFirst:
    """Sends the limits together with the transaction's first statement, in one round trip. If that statement cannot
    share it (`executemany`, a cursor on the server, parameters bound by the server), they go before it.
    """

    def __init__(self, connection: Any, statement_timeout: int) -> None:
        self._connection = connection
        self._limits = _POSTGRESQL_LIMITS.format(statement_timeout=statement_timeout)
        self._sent = False

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if self._sent:
            return execute(sql, params, many, context)
        self._sent = True
        cursor = context["cursor"].cursor
        if many or not isinstance(sql, str) or ClientCursor is None or not isinstance(cursor, ClientCursor):
            with self._connection.cursor() as own:
                own.execute(self._limits)
            return execute(sql, params, many, context)
        result = execute(f"{self._limits}; {sql}", params, many, context)
        for _ in range(self._limits.count("SET LOCAL")):
            cursor.nextset()
        return result


def give_way(steps: Iterable[T]) -> Iterator[T]:
    """The same steps, each a transaction or a few, for commands that take many. On SQLite, a pause follows each, as
    long as the step took: all writers share one lock, and those that wait only look now and then whether it is free.
    """
    pauses = database.connection().vendor == "sqlite"
    began = time.monotonic()
    for step in steps:
        took = time.monotonic() - began
        yield step
        if pauses:
            time.sleep(min(took, LONGEST_PAUSE))
        began = time.monotonic()


def is_lock_timeout(error: OperationalError) -> bool:
    """Whether the work failed only because somebody else holds a lock. Its transaction has written nothing."""
    if isinstance(error, ConversationLocked):
        return True
    cause = error.__cause__
    if getattr(cause, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return True
    return getattr(cause, "sqlstate", None) in _LOCK_STATES


def outlast_locks(work: Callable[[], T]) -> T:
    """Do a unit of work, and again, for some seconds, if somebody else holds a lock that it needs. For one of several
    that belong together; if there is only one, `executor` does this without keeping the thread.
    """
    for pause in LOCK_PAUSES:
        try:
            return work()
        except OperationalError as error:
            if not is_lock_timeout(error):
                raise
        time.sleep(pause)
    return work()


@contextmanager
def skip_if_locked(what: str, pk: object) -> Iterator[None]:
    """Around work on one of many rows: if somebody else holds a lock that it needs, leave it for the next round."""
    try:
        yield
    except OperationalError as error:
        if not is_lock_timeout(error):
            raise
        logger.info("%s %s is locked by somebody else; the next round tries again", what, pk)


class ConversationLocked(OperationalError):
    """Somebody else holds this conversation's row, and it is too early to try again."""


_probe_at: dict[UUID, float] = {}
"""Conversations that somebody else holds, and when to try again, by `time.monotonic`. Of all threads; a race between
two of them costs one more attempt.
"""


@contextmanager
def locking(conversation_id: UUID) -> Iterator[None]:
    """Around the statement that locks a conversation's row. Raises ConversationLocked, or what the database raises."""
    now = time.monotonic()
    if _probe_at.get(conversation_id, 0) > now:
        raise ConversationLocked(f"Conversation {conversation_id} is locked by somebody else.")
    if conversation_id in _probe_at:
        _probe_at[conversation_id] = now + PROBE_EVERY
    try:
        yield
    except OperationalError as error:
        if is_lock_timeout(error):
            _probe_at[conversation_id] = time.monotonic() + PROBE_EVERY
        raise
    _probe_at.pop(conversation_id, None)
