"""Values made of few rows that rarely change, kept in each process: reading them costs nothing for most callers."""

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

MAX_AGE = 3.0
"""Seconds after which a process reads the rows again. A change takes no longer to reach every process."""

MAX_KEYS = 10_000
"""For how many keys a process keeps values."""


class CachedByKey(Generic[K, T]):
    """The results of `read` for some keys. It is called in the thread and the transaction of a unit of work."""

    def __init__(self, read: Callable[[K], T]) -> None:
        self._read = read
        self._kept: dict[K, tuple[T, float]] = {}

    def get(self, key: K) -> T:
        """The value, at most MAX_AGE old. Two threads that read it at the same moment do no harm."""
        kept, at = self._kept.get(key), time.monotonic()
        if kept is None or at - kept[1] > MAX_AGE:
            if len(self._kept) >= MAX_KEYS:
                self._kept = {}
            kept = self._kept[key] = (self._read(key), at)
        return kept[0]

    def forget(self) -> None:
        """The rows have changed: read them at the next call."""
        self._kept = {}


class Cached(Generic[T]):
    """The same for one value."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._by_key: CachedByKey[None, T] = CachedByKey(lambda _: read())

    def get(self) -> T:
        return self._by_key.get(None)

    def forget(self) -> None:
        self._by_key.forget()
