"""Tasks that belong to the process and not to the request that happens to start them. Called by `supervisor` and its
parts.
"""

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def detached(work: Coroutine[Any, Any, T], tasks: set[asyncio.Task[Any]]) -> asyncio.Task[T]:
    """A task in `tasks` while it lives, outside the context of whoever starts it: asgiref binds the ORM's threads to
    contexts. Nor does it speak the language of whoever starts it: what it says is for all.
    """
    task = asyncio.create_task(work, context=contextvars.Context())
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task
