"""The way from the event loop to `store`: the one thread of the ORM, and the line before it.

A unit of work goes in; what it returns or raises comes out. Called by whatever runs on the loop; views call the store.
"""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE = 2
"""As many are out of the line: one that the thread does, and the next, lest it wait for the loop between them."""

_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

_within: ContextVar[bool] = ContextVar("within", default=False)
"""Whether who asks is what the thread does: a site's `deps` or a handler of a signal, come back by `async_to_sync`. It
waits for the answer, so that this must not stand in the line behind it.
"""


async def ask(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do `work` in the database's thread, after all that was asked for before. Raises what it raises."""
    if _within.get():
        return await ask_first(work, *args, **kwargs)
    loop = asyncio.get_running_loop()
    if (line := _lines.get(loop)) is None:
        line = _lines[loop] = asyncio.Semaphore(AT_ONCE)
    async with line:
        return await ask_first(work, *args, **kwargs)


async def ask_first(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same, past the whole line. For what may not come late because there is much to do: signs of life, lest the
    process be taken for dead, or the database for away; and stops, which make it less.
    """
    before = _within.set(True)
    try:
        done: T = await database_sync_to_async(work)(*args, **kwargs)
        return done
    finally:
        _within.reset(before)
