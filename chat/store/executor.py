"""The ORM's thread and its queue: how code on the event loop runs a unit of work from `store`.

Everything that runs on the event loop goes through here. Views, which run in threads, call the store directly.
"""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from django.db import InterfaceError, OperationalError

P = ParamSpec("P")
T = TypeVar("T")

IN_FLIGHT = 2
"""Jobs in flight: the one the thread is running plus the next, so the thread never idles waiting for the event loop."""

_queues: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

_inside_job: ContextVar[bool] = ContextVar("inside_job", default=False)
"""True inside a job that re-entered the event loop: a site's `deps`, or a signal handler using `async_to_sync`. Such a
call skips the queue; waiting behind its own job would deadlock.
"""


async def run(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work` in the ORM's thread, after everything queued before it. Raises what `work` raises."""
    if _inside_job.get():
        return await run_urgent(work, *args, **kwargs)
    loop = asyncio.get_running_loop()
    if (queue := _queues.get(loop)) is None:
        queue = _queues[loop] = asyncio.Semaphore(IN_FLIGHT)
    async with queue:
        return await run_urgent(work, *args, **kwargs)


async def run_urgent(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work` ahead of the whole queue.

    For heartbeats, because a late one makes the process look dead or the database look away, and for stops, because
    they reduce the load.
    """
    token = _inside_job.set(True)
    try:
        result: T = await database_sync_to_async(_contain)(work, *args, **kwargs)
        return result
    finally:
        _inside_job.reset(token)


def _contain(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work`; make a RuntimeError of what would do harm outside of it. It may call a site's code: its `deps`, its
    permissions, its signal handlers. A StopIteration cannot leave a thread and would leave the caller waiting for ever
    (asyncio.Future.set_exception refuses it); a CancelledError would look like a cancellation of the caller; a
    SystemExit would end the event loop.
    """
    try:
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
