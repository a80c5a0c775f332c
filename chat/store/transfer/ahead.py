"""Read the next batch in a thread while this one is worked on: the database and Python work at the same time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import connections

from ... import database

T = TypeVar("T")

_END = object()


def read_ahead(batches: Iterator[T]) -> Iterator[T]:
    """The same batches, of which one more is in memory. The thread that reads them has the connection of this one, so
    it sees what the caller's transaction has written. It ends with the iterator.
    """
    with _shared_connection() as connection, ThreadPoolExecutor(1, "export", _use, (connection,)) as thread:
        coming: Any = thread.submit(next, batches, _END)
        while (batch := coming.result()) is not _END:
            coming = thread.submit(next, batches, _END)
            yield batch


@contextmanager
def _shared_connection() -> Iterator[Any]:
    """Both libraries take one statement after the other, whichever thread it comes from."""
    connection = database.connection()
    connection.ensure_connection()
    connection.inc_thread_sharing()
    try:
        yield connection
    finally:
        connection.dec_thread_sharing()


def _use(connection: Any) -> None:
    connections[database.alias()] = connection
