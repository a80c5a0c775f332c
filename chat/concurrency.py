"""Tasks that belong to the process and not to the request that happens to start them. Called by `supervisor` and its
parts.
"""

import asyncio
import contextvars
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import connections

T = TypeVar("T")


def detached(work: Coroutine[Any, Any, T], tasks: set[asyncio.Task[Any]]) -> asyncio.Task[T]:
    """A task in `tasks` while it lives, outside the context of whoever starts it: asgiref binds the ORM's threads to
    contexts. Nor does it speak the language of whoever starts it: what it says is for all.
    """
    task = asyncio.create_task(work, context=contextvars.Context())
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task


@contextmanager
def own_connections() -> Iterator[None]:
    """Around work in a thread of its own, such as a tool: the ORM opens connections there that nobody else closes."""
    try:
        yield
    finally:
        connections.close_all()


def now() -> float:
    return asyncio.get_running_loop().time()


async def end(task: "asyncio.Task[Any]") -> None:
    """Cancel a task that only looks, and wait for it. More than once: on Python 3.11 `wait_for`, which redis-py uses,
    may swallow a cancellation.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=1)
