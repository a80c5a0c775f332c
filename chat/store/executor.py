"""How code on the event loop runs a unit of work from `store`: in threads of the chat's own, each with a database
connection of its own.

Nothing that others do with the site's connections can hold up the chat: no request waits for a connection that a unit
of work has, and no unit of work waits for one that a request has. Pages that only read call the store directly, in
their request's thread.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from contextvars import Context, ContextVar
from typing import Any, Generic, ParamSpec, TypeVar, cast
from weakref import WeakKeyDictionary

from asgiref.sync import AsyncToSync, sync_to_async
from django.db import InterfaceError, OperationalError, close_old_connections, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from .. import metrics
from ..database import primaries
from ..engine.daemon_threads import DaemonThreads
from ..turns import Turns, give_up_turn, out_of_turn
from .unit_of_work import LOCK_PAUSES, is_lock_timeout

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A")

IN_FLIGHT = 2
"""Jobs in flight in the queue: the one its thread is running plus the next, so the thread never idles waiting for the
event loop.
"""

REQUEST_THREADS = 4
"""How many units of work of HTTP requests run at the same time. Further ones wait for a thread."""

STORAGE_THREADS = 4
"""How many files are read or written at the same time, one of each client. Further ones wait: storages may be slow."""

CONNECTIONS = 1 + 1 + 1 + REQUEST_THREADS + STORAGE_THREADS
"""How many connections to each database a process opens here: for the queue, urgent work,
receivers of signals, requests, and uploads.
"""

MAX_TOGETHER = 50
"""How many items one unit of work of `run_together` has, unless the caller says less."""

SQLITE_TIMEOUT = 0.5
"""Seconds that work in the queue waits for SQLite's one write lock before it lets others pass, and tries again."""

CHECK_EVERY = 1.0
"""Seconds between two checks of a thread's connections. Each takes a statement. When the database has restarted in
between, one unit of work fails like any that meets an outage.
"""

_connections = threading.local()

_inside_job: ContextVar[bool] = ContextVar("inside_job", default=False)
"""True inside a job that re-entered the event loop: a site's `deps`, or a signal handler using `async_to_sync`. Such a
call runs in its job's thread; waiting behind its own job would deadlock.
"""


class Threads:
    """Threads that keep their own database connections. They start with the first job."""

    def __init__(self, name: str, number: int) -> None:
        self._pool = DaemonThreads(number, f"nous-chat-{name}", _open_own_connections)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` here. Raises what `work` raises; see `_contain`.

        If synchronous code waits for this event loop (a test client, a command, WSGI), `work` runs in its thread,
        because it may have a transaction open.
        """
        if _inside_job.get() or has_synchronous_caller():
            call = sync_to_async(_contain)
        else:
            call = sync_to_async(_contain_here, thread_sensitive=False, executor=cast(Any, self._pool))
        token = _inside_job.set(True)
        try:
            return await call(work, *args, **kwargs)
        finally:
            _inside_job.reset(token)


def has_synchronous_caller() -> bool:
    """Whether synchronous code waits for this event loop, which ends when it has what it waits for."""
    return asyncio.get_running_loop() in AsyncToSync.loop_thread_executors


def _open_own_connections() -> None:
    for alias in connections:
        connections[alias] = _own_connection(connections.create_connection(alias))


def _own_connection(connection: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    """Make this new connection independent of the site's pool: opened when it is needed, and kept."""
    settings = connection.settings_dict = connection.settings_dict.copy()
    options = settings["OPTIONS"] = dict(settings["OPTIONS"])
    if options.pop("pool", None):  # which has no persistent connections
        settings |= {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}
    if connection.vendor == "sqlite":
        options["timeout"] = min(SQLITE_TIMEOUT, options.get("timeout", SQLITE_TIMEOUT))
    return connection


_queue_thread = Threads("queue", 1)
_urgent_thread = Threads("urgent", 1)
_receivers_thread = Threads("receivers", 1)
_request_threads = Threads("request", REQUEST_THREADS)
_storage_threads = Threads("storage", STORAGE_THREADS)

_queue = Turns(IN_FLIGHT, per_client=1)
_storage = Turns(STORAGE_THREADS, per_client=1)
_long_requests = Turns(1, per_client=1)


async def run(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work` after everything that this client has queued before it, one unit of work at a time. For sockets and
    runs. Clients take turns, so that nobody waits for all that somebody else has asked for.

    More threads would not help: their Python would hold up the event loop and its streams.
    """
    return await _with_retries(_run_queued, work, *args, **kwargs)


async def run_together(
    work: Callable[[list[A]], Sequence[T | Exception]], item: A, key: Hashable = None, most: int = MAX_TOGETHER
) -> T:
    """Run `work` for this item and for all others that wait for the same work with the same key, at most `most`: a
    crowd then costs little more than one. `work` returns the outcome of each item, in order; one that is an exception
    is raised here. But an item that only needs a lock which somebody else holds is tried alone.

    If `work` raises, it must have changed nothing: then each item is tried alone, unless the database is away.
    """
    outcome: T | Exception
    if _inside_job.get():
        (outcome,) = await _queue_thread.run(work, [item])
    else:
        groups = _groups.setdefault(asyncio.get_running_loop(), {})
        if (work, key) not in groups or len(groups[work, key].items) >= most:
            groups[work, key] = _Group(work, key)
        outcome = await groups[work, key].add(item, groups)
    if isinstance(outcome, OperationalError) and is_lock_timeout(outcome):
        return await run_alone(work, item)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


async def run_alone(work: Callable[[list[A]], Sequence[T | Exception]], item: A) -> T:
    """Run the `work` of `run_together` for this item only, as `run` does."""
    (outcome,) = await run(work, [item])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


class _Group(Generic[A, T]):
    """Items that wait for the same work."""

    def __init__(self, work: Callable[[list[A]], Sequence[T | Exception]], key: Hashable = None) -> None:
        self.items: list[A] = []
        self._work, self._key = work, key
        self._done: asyncio.Task[Sequence[T | Exception]] | None = None

    async def add(self, item: A, groups: "dict[Any, _Group[Any, Any]]") -> T | Exception:
        place = len(self.items)
        self.items.append(item)
        if self._done is None:
            # A task of its own, in nobody's name, because the first to wait may be cancelled. Never cancelled; what
            # the database raises escapes, to all who wait.
            self._done = asyncio.create_task(self._run(groups), context=Context())
        async with out_of_turn():
            outcomes = await asyncio.shield(self._done)
        return outcomes[place]

    async def _run(self, groups: "dict[Any, _Group[Any, Any]]") -> Sequence[T | Exception]:
        async def attempt(
            work: Callable[[list[A]], Sequence[T | Exception]], items: list[A]
        ) -> Sequence[T | Exception]:
            async with _turn():
                if groups.get((work, self._key)) is self:
                    del groups[work, self._key]  # further items belong to the next group
                return await _queue_thread.run(work, items)

        try:
            return await _with_retries(attempt, self._work, self.items)
        except (OperationalError, InterfaceError) as error:
            if may_recover(error):
                raise
            failed: Exception = error
        except Exception as error:
            failed = error
        if len(self.items) == 1:
            return [failed]
        alone = [_Group(self._work).add(item, {}) for item in self.items]
        outcomes: list[Any] = await asyncio.gather(*alone, return_exceptions=True)
        return outcomes


_groups: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Any, _Group[Any, Any]]] = WeakKeyDictionary()


async def run_urgent(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work` without waiting for the queue, whatever it is doing.

    For heartbeats, because a late one makes the process look dead or the database look away, and for stops, because
    they reduce the load.
    """
    return await _with_retries(_urgent_thread.run, work, *args, **kwargs)


async def run_request(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work` for an HTTP request, apart from the queue: lists and searches take their time."""
    return await _with_retries(_request_threads.run, work, *args, **kwargs)


async def run_long_request(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work` of several transactions, which outlasts locks by itself (`unit_of_work.outlast_locks`): one such work
    at a time, so that others find SQLite's one write lock free between two transactions. Clients take turns.
    """
    if _inside_job.get():
        return await _request_threads.run(work, *args, **kwargs)
    give_up_turn()
    async with _long_requests.turn():
        return await _request_threads.run(work, *args, **kwargs)


async def run_receivers(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work`, which calls receivers of signals, after all that was given here before it, apart from the rest."""
    return await _receivers_thread.run(work, *args, **kwargs)


async def run_storage(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work` that reads or writes a file, apart from everything else: a storage that hangs holds up files only.

    One file of each client at a time: of a hundred downloads of one user, others would notice every piece.
    """
    give_up_turn()
    return await _with_retries(_run_stored, work, *args, **kwargs)


async def _run_stored(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    if _inside_job.get():
        return await _storage_threads.run(work, *args, **kwargs)
    async with _storage.turn():
        return await _storage_threads.run(work, *args, **kwargs)


def count_waiting() -> int:
    """How many units of work wait in the queue."""
    return _queue.count_waiting()


@asynccontextmanager
async def _turn() -> AsyncIterator[None]:
    """A turn in the queue, whose wait is measured."""
    asked = time.monotonic()
    async with _queue.turn():
        metrics.observe("database_queue_seconds", time.monotonic() - asked)
        yield


async def _run_queued(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    if _inside_job.get():
        return await _queue_thread.run(work, *args, **kwargs)
    async with _turn():
        return await _queue_thread.run(work, *args, **kwargs)


async def _with_retries(
    run_once: Callable[..., Awaitable[T]], work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Try again while somebody else holds a lock that `work` needs; meanwhile, others have their turn. Keeps neither
    the thread nor, in an HTTP request, the turn of its client.
    """
    for pause in LOCK_PAUSES:
        try:
            return await run_once(work, *args, **kwargs)
        except OperationalError as error:
            if not is_lock_timeout(error):
                raise
        async with out_of_turn():
            await asyncio.sleep(pause)
    return await run_once(work, *args, **kwargs)


async def release_connection() -> None:
    """Give the connection of this request's thread back to the site's pool before the request waits for other work."""
    if not has_synchronous_caller():
        await sync_to_async(close_old_connections)()


def _contain_here(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work` in one of our threads: with connections that were usable CHECK_EVERY seconds ago, and are no older
    than the site allows.
    """
    if time.monotonic() >= getattr(_connections, "check_at", 0.0):
        close_old_connections()  # and have those that stay open checked before they are used
        _connections.check_at = time.monotonic() + CHECK_EVERY
    try:
        return _contain(work, *args, **kwargs)
    finally:
        if any(connection.errors_occurred for connection in connections.all(initialized_only=True)):
            close_old_connections()


def _contain(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work`; make a RuntimeError of what would do harm outside of it. It may call a site's code: its `deps`, its
    permissions, its signal handlers. A StopIteration cannot leave a thread and would leave the caller waiting for ever
    (asyncio.Future.set_exception refuses it); a CancelledError would look like a cancellation of the caller; a
    SystemExit would end the event loop.
    """
    try:
        with primaries():
            return work(*args, **kwargs)
    except (StopIteration, asyncio.CancelledError, SystemExit, GeneratorExit) as error:
        raise RuntimeError(f"{work.__name__} raised {type(error).__name__}") from error


def may_recover(error: OperationalError | InterfaceError) -> bool:
    """Whether the same work may succeed later: the database is locked, full, or away. False if it refuses the work
    itself, which some databases report by the same exceptions.
    """
    cause = error.__cause__
    if getattr(cause, "sqlite_errorname", None) == "SQLITE_ERROR":  # a missing table, too many parameters
        return False
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or ""
    return not state.startswith("54")  # PostgreSQL: "program limit exceeded", such as a row too long for an index
