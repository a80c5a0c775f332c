"""The heartbeat of this process: once every TICK it writes to the database and sends itself a message through each
server of the layer, so that other processes know that it lives, and it knows what it can reach.
"""

import asyncio
import logging
from random import uniform
from uuid import UUID

from django.db import DatabaseError, InterfaceError

from .. import agents, store
from ..concurrency import TaskSets, detached, now, own_connections
from ..engine.daemon_threads import in_daemon_thread
from ..protocol import events
from ..protocol.errors import Refused
from ..realtime import groups, servers
from ..realtime.hub import Hub
from ..realtime.inbox import Inboxes
from ..realtime.mailbox import Mailbox
from ..realtime.outages import Outages
from ..realtime.read_markers import ReadMarkers
from ..runs.liveness import TICK, Process
from ..runs.supervisor import Supervisor
from ..store import executor

logger = logging.getLogger("nous_chat.node")

EXPIRE_EVERY = 30.0
"""Seconds between two searches for approvals that nobody decided on in time."""

AGENTS_EVERY = 2.0
"""Seconds between two questions whether agents in the database, or circuit breakers, have changed."""

CLEAN_EVERY = 600.0
"""Seconds between two rounds of erasing deleted rows, plus or minus half, so that processes take turns."""


SETTLE_EVERY = 5.0
"""Seconds between two rounds of indexing documents that have changed, plus or minus half."""

SETTLED_AT_ONCE = 10
"""How many documents a round indexes."""


class Heartbeat:
    """Ticks every TICK seconds, and starts what is due. `run` is its task, started by `Node.open`, cancelled by
    `Node.drain`.
    """

    def __init__(
        self,
        process: Process,
        supervisor: Supervisor,
        hub: Hub,
        outages: Outages,
        read_markers: ReadMarkers,
        inboxes: Inboxes,
        tasks: TaskSets,
    ) -> None:
        self._process = process
        self._supervisor = supervisor
        self._hub = hub
        self._outages = outages
        self._read_markers = read_markers
        self._inboxes = inboxes
        self._tasks = tasks
        self._beating: asyncio.Task[None] | None = None
        self._housekeeping: asyncio.Task[None] | None = None
        self._clean_at = 0.0
        self._settle_at = 0.0
        self._failed: set[UUID] = set()
        """Documents that could not be saved in their fields. Others must not wait for them."""
        self._settling: asyncio.Task[None] | None = None
        self._expire_at = 0.0
        self._agents_at = 0.0

    async def run(self, mailbox: Mailbox) -> None:
        """Tick until cancelled. `mailbox` is this process's own, for messages to itself. Nothing escapes."""
        self._clean_at = now() + uniform(0.1, 1) * CLEAN_EVERY
        self._settle_at = now() + uniform(0.1, 1) * SETTLE_EVERY
        while True:
            try:
                await self._tick(mailbox)
            except Exception:
                logger.exception("A tick of the heartbeat failed")
            await asyncio.sleep(TICK)

    async def _tick(self, mailbox: Mailbox) -> None:
        at, liveness = now(), self._process.liveness
        if liveness.tick(at):
            self._hub.resnapshot("This process was frozen")
        if self._beating is None or self._beating.done():  # the last one may still wait for the database
            self._beating = detached(self._beat(at), self._tasks.writing)
        for server in range(servers.count()):
            message = {"type": "echo", "server": server, "number": liveness.sent}
            detached(mailbox.probe(groups.echo(self._process.host, server), message), self._tasks.watching)
            self._outages.report_layer(server, liveness.layer_away(server, at))
        self._outages.report_database(liveness.database_away(at))
        self._outages.troubled_models = self._supervisor.find_troubled_models()
        self._hub.watch(at)
        if at >= self._clean_at:
            self._clean_at = at + uniform(0.5, 1.5) * CLEAN_EVERY
            detached(self._clean(), self._tasks.optional)
            self._failed.clear()
        if at >= self._settle_at and (self._settling is None or self._settling.done()):
            self._settle_at = at + uniform(0.5, 1.5) * SETTLE_EVERY
            self._settling = detached(self._settle(), self._tasks.optional)
        await self._supervisor.update_queue()

    async def _beat(self, started: float) -> None:
        """Write one heartbeat. Started by `_tick`, never cancelled; what the database raises is logged."""
        try:
            await self._supervisor.beat()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("Heartbeat: %s", error)
            return
        self._process.liveness.beat(started, now())
        if not self._process.liveness.frozen(now()):
            self._process.unfrozen.set()
        if self._housekeeping is None or self._housekeeping.done():
            self._housekeeping = detached(self._housekeep(started), self._tasks.writing)

    async def _housekeep(self, at: float) -> None:
        """Housekeeping after a heartbeat: learn of changed agents and breakers, reap orphaned runs, expire approvals,
        adopt runs, write read markers.

        Started by `_beat`, which does not wait for it, never cancelled; what the database raises is logged.
        """
        try:
            if at >= self._agents_at:
                self._agents_at = at + AGENTS_EVERY
                await executor.run(agents.refresh)
                await executor.run(agents.refresh_breakers)
            await self._supervisor.reap()
            if at >= self._expire_at:
                self._expire_at = at + EXPIRE_EVERY
                await self._supervisor.expire_approvals()
            await self._supervisor.adopt()
            await self._read_markers.write(self._inboxes.due)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("After a heartbeat: %s", error)

    async def _clean(self) -> None:
        """Erase deleted rows, a batch at a time. Started by `_tick`, cancelled by `Node.drain` between two batches;
        what the database raises is logged.
        """
        try:
            while await in_daemon_thread(_clean_batch):  # noqa: ASYNC110  it polls nothing; the storage may be slow
                await asyncio.sleep(TICK)
        except Exception:
            logger.exception("Deleted rows could not be erased; the next round tries again")

    async def _settle(self) -> None:
        """Index some documents that have changed, or save them in the fields of their objects. Started by `_tick`,
        cancelled by `Node.drain` at any time, because the next round finds what is left; errors are logged.
        """
        try:
            for _ in range(SETTLED_AT_ONCE):
                found = await executor.run(store.find_unsettled_document, self._failed)
                if found is None:
                    return
                if found.text is not None:
                    await self._settle_one(found)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("Documents could not be indexed: %s", error)

    async def _settle_one(self, found: store.UnsettledDocument) -> None:
        if not found.is_field:
            words = await store.extract_words(f"{found.title}\n{found.text}")
            await executor.run(store.settle_document, found, words)
            return
        try:
            pushed = await executor.run_request(store.save_field, found.id)
        except Refused:  # an agent is writing there
            self._failed.add(found.id)
        except (DatabaseError, InterfaceError):
            raise
        except Exception:  # of the site's model
            self._failed.add(found.id)
            logger.exception("Document %s could not be saved in its field; this is tried again later", found.id)
        else:
            if pushed is not None:  # the site had changed the field
                changed = events.DocumentChanged.of(found.id, pushed.update, pushed.writing)
                await groups.publish(groups.conversation(found.conversation), changed)


def _clean_batch() -> int:
    with own_connections():
        return store.erase_expired()
