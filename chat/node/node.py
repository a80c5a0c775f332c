"""This server process: what its sockets and runs share, from the first socket to the end of the process.

One Node per event loop, which in a server means one per process; `current()` finds it.
"""

import asyncio
import os
import socket
import uuid
import weakref
from collections.abc import Awaitable
from contextlib import AsyncExitStack, suppress
from typing import Any

from django.db import DatabaseError, InterfaceError

from .. import engine, logs
from ..concurrency import TaskSets, detached, now, serve_in_this_loop
from ..monitoring.measure import Measure
from ..monitoring.reporter import Reporter
from ..ratelimit import Buckets, SocketBucket, TypingBucket
from ..realtime import inbox, site_signals
from ..realtime.hub import Hub
from ..realtime.mailbox import Away, Mailbox, mailbox
from ..realtime.outages import Outages
from ..realtime.presence import Presence
from ..realtime.read_markers import ReadMarkers
from ..runs.liveness import TICK, Liveness, Process
from ..runs.supervisor import Supervisor
from . import daphne
from .heartbeat import Heartbeat
from .http_threads import finish_requests
from .peers import Peers
from .snapshots import Snapshots

ANNOUNCE_TIMEOUT = 3.0
"""Seconds, at the start of a shutdown, for telling browsers that this process is about to end."""

WRITE_TIMEOUT = 10.0
"""Seconds, at the end of a shutdown, for each kind of remaining work: ends of runs, titles, read markers."""

AFTERWARDS = 20.0
"""Seconds for all of it, after those that active runs get to finish."""

CLOSE_TIMEOUT = 1.0
"""Seconds for each of the last steps: cancelling what only watches, goodbye to other processes, closing connections."""


class Node:
    """Creates the parts of this process, opens them for the first socket, and ends them in `drain`."""

    def __init__(self) -> None:
        self.host = f"{socket.gethostname()[:50]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.process = Process(self.host, Liveness(now()))
        self.tasks = TaskSets()
        self.buckets = Buckets(SocketBucket)
        self.typing = Buckets(TypingBucket)
        self.hub = Hub()
        self.outages = Outages(self.hub, self.tasks)
        self.inboxes = inbox.Inboxes(self.tasks.writing)
        self.presence = Presence(self.host)
        self.read_markers = ReadMarkers()
        self.snapshots = Snapshots()
        self.supervisor = Supervisor(self.process, self.hub, self.inboxes, self.outages, self.tasks)
        self.heartbeat = Heartbeat(
            self.process, self.supervisor, self.hub, self.outages, self.read_markers, self.inboxes, self.tasks
        )
        measure = Measure(self.process, self.supervisor, self.hub, self.outages)
        self.reporter = Reporter(self.process, measure, self.tasks)
        self._peers = Peers(self.process, self.supervisor, self.hub, self.outages, self.reporter)
        self._resources = AsyncExitStack()
        self._mailbox: Mailbox | None = None
        self._opening = asyncio.Lock()
        self.waits_for_layer = False
        """Whether `open` has failed because the channel layer could not be reached. Means nothing once `serving`."""

    @property
    def draining(self) -> bool:
        """Whether this process is about to end."""
        return self.process.draining

    @property
    def serving(self) -> bool:
        """Whether this process makes runs. One that only answers requests by WSGI, a command, or a worker does not."""
        return self._mailbox is not None

    async def open_soon(self) -> None:
        """`open`, as soon as the channel layer can be reached. Started by `asgi`, cancelled by `Node.drain`; nothing
        escapes.
        """
        while not self.serving:
            with suppress(Away):
                await self.open()
                return
            await asyncio.sleep(TICK)

    async def open(self) -> None:
        """Make this process ready for runs. Every socket that connects calls this; only the first call has an effect.

        Raises Away if the channel layer cannot be reached.
        """
        async with self._opening:
            if self._mailbox is not None:
                return
            async with AsyncExitStack() as resources:
                await resources.enter_async_context(engine.connections())
                try:
                    self._mailbox = await resources.enter_async_context(mailbox())
                except Away:
                    self.waits_for_layer = True
                    raise
                self._resources = resources.pop_all()
            self.process.liveness = Liveness(now())
            logs.name_process(self.host)
            serve_in_this_loop()
            self.supervisor.open(self._mailbox)
            detached(self._peers.listen(self._mailbox), self.tasks.watching)
            detached(self.heartbeat.run(self._mailbox), self.tasks.watching)
            detached(self.presence.run(), self.tasks.watching)
            detached(self.reporter.run(self._mailbox), self.tasks.watching)
            daphne.drain_at_shutdown(self.process, self.drain)

    async def announce_end(self) -> None:
        """Send browsers elsewhere, because this process is about to end. New sockets are turned away from now on."""
        self.process.draining = True
        await self.hub.restart(ANNOUNCE_TIMEOUT)

    async def drain(self, seconds: float) -> None:
        """End this process's work: send browsers elsewhere, leave runs that have not begun to other processes, give
        running answers `seconds` to finish, then cancel them and write their ends. Writes that the database does not
        take in time are lost. Takes at most `seconds`, AFTERWARDS, and a few of CLOSE_TIMEOUT, because who asked a
        process to end kills it if it does not.
        """
        tasks, end = self.tasks, now() + seconds + AFTERWARDS
        self.process.draining = True
        for task in tasks.optional:
            task.cancel()
        await self.announce_end()
        await _attempt(self.presence.close(), ANNOUNCE_TIMEOUT)
        self.supervisor.close_queue()
        await _wait(tasks.writing, seconds)
        self.supervisor.interrupt_all()
        await _wait(tasks.writing, WRITE_TIMEOUT)
        self.process.give_up()
        for remaining in (tasks.writing, tasks.optional, site_signals.sending):
            await _wait(remaining, min(WRITE_TIMEOUT, end - now()))
        await finish_requests(min(WRITE_TIMEOUT, end - now()))
        closing = now() + CLOSE_TIMEOUT
        while tasks.watching and now() < closing:
            for task in tasks.watching:
                task.cancel()
            await asyncio.wait(tasks.watching, timeout=CLOSE_TIMEOUT / 4)
        await _attempt(self.reporter.close(), CLOSE_TIMEOUT)
        with suppress(DatabaseError, InterfaceError):
            await _attempt(self.read_markers.write_all(), max(CLOSE_TIMEOUT, end - now()))
        await _attempt(self._resources.aclose(), CLOSE_TIMEOUT)


async def _attempt(work: Awaitable[Any], seconds: float) -> None:
    """Do the work, or give it up after so many seconds. Raises what it raises."""
    with suppress(TimeoutError):
        await asyncio.wait_for(work, seconds)


async def _wait(tasks: set[asyncio.Task[Any]], seconds: float) -> None:
    """Wait at most `seconds` until no task is left, also of those that begin meanwhile."""
    deadline = now() + seconds
    while tasks and (left := deadline - now()) > 0:
        await asyncio.wait(tasks, timeout=left)


_nodes: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Node]" = weakref.WeakKeyDictionary()


def current() -> Node:
    """The running loop's Node."""
    loop = asyncio.get_running_loop()
    if loop not in _nodes:
        _nodes[loop] = Node()
    return _nodes[loop]
