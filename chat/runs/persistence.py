"""The units of work of a run: tried again while the database is away. Unwritten text stays in memory meanwhile.

`LiveRun` makes a Persistence for itself, its frames (`broadcast`), and its documents (`document_writer`).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, repeat
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError

from ..concurrency import now
from ..store import executor
from .liveness import Process

logger = logging.getLogger("nous_chat.runs")

T = TypeVar("T")
A = TypeVar("A")

PAUSES = (0.1, 0.3, 1.0, 2.0)
"""Seconds before each retry of a unit of work; the last one repeats. For a locked SQLite, a full disk, or a database
that restarts.
"""

MOST_TOGETHER = 10
"""Of how many runs one transaction stores something. More save little, and hold up streams: their Python keeps the
interpreter for half a millisecond each.
"""


class Persistence:
    """`executor` for the runs of a process. Its methods raise what the database raised if the process ends before it is
    back, or if trying again is of no use.
    """

    def __init__(self, process: Process) -> None:
        self._process = process

    async def run(self, work: Callable[..., T], *args: Any, own: bool = True) -> T:
        """`executor.run`. `own` is false for a site's function, which may use databases of its own: it is retried for
        longer only while the chat's database is away.
        """
        return await self._retry(work.__name__, repeat(partial(executor.run, work, *args)), own)

    async def run_together(self, work: Callable[[list[A]], Sequence[T | Exception]], item: A) -> T:
        """`executor.run_together`. Later attempts are for this item alone: together, they could fail for ever."""
        together = partial(executor.run_together, work, item, most=MOST_TOGETHER)
        alone = partial(executor.run_alone, work, item)
        return await self._retry(work.__name__, chain([together], repeat(alone)))

    async def _retry(self, name: str, attempts: Iterable[Callable[[], Awaitable[T]]], own: bool = True) -> T:
        pauses = chain(PAUSES, repeat(PAUSES[-1]))
        for number, (attempt, pause) in enumerate(zip(attempts, pauses, strict=False)):
            try:
                return await attempt()
            except (OperationalError, InterfaceError) as error:
                tried = number >= len(PAUSES) and not self._process.liveness.database_away(now())
                if not executor.may_recover(error) or (tried and not own):
                    raise
                logger.warning("%s: %s; trying again in %s s", name, error, pause)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._process.given_up.wait(), pause)
                    raise  # the process ends
        raise AssertionError("unreachable")
