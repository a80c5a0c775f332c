"""The runs of this process: start, stop, sync, heartbeat, reap, adopt. Called by `actions`, `consumers` and `node`.

Other processes reach the owner of a run through a group named after its conversation, so nobody needs to know which
process that is.
"""

import asyncio
import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID, uuid4

from django.db import DataError, IntegrityError
from msgspec.structs import replace

from .. import agents, logs, metrics, store, turns
from ..concurrency import TaskSets, detached, now
from ..conf import conf
from ..models import Run
from ..protocol import events, objects
from ..realtime import groups, inbox, layer, run_ends
from ..realtime.hub import Hub
from ..realtime.mailbox import Mailbox
from ..realtime.outages import Outages
from ..store import executor
from . import postprocess
from .abandonment import Abandonment
from .liveness import TICK, Process
from .run import LiveRun, SyncReason
from .run_queue import RunQueue

logger = logging.getLogger("nous_chat.runs")

NO_SOCKET = "no socket"
"""Launcher of unattended runs: those started over HTTP, by the API or the form without JavaScript, and those of the
site's code. There is no socket to watch, so they are never treated as abandoned.
"""


SILENT_TICKS = 2.5
"""Ticks for which a process sees a run unchanged and unlocked before it reaps it."""


SLOW_AFTER = 20.0
"""Seconds without a word from a model after which the readers of other conversations are told, too."""


class Supervisor:
    """Owns the runs that this process makes. One per Node."""

    def __init__(self, process: Process, hub: Hub, inboxes: inbox.Inboxes, outages: Outages, tasks: TaskSets) -> None:
        self._process = process
        self._hub = hub
        self._inboxes = inboxes
        self._outages = outages
        self._tasks = tasks
        self._mailbox: Mailbox | None = None
        self._runs: dict[UUID, LiveRun] = {}
        self._queue = RunQueue()
        self._silent: dict[UUID, tuple[datetime, float]] = {}
        """Runs whose process is silent: their last heartbeat, and since when this process has seen it unchanged."""
        self._reserved = 0
        self._interrupted = False
        """Set by `interrupt_all`: a run that a command has begun meanwhile is interrupted as well."""
        self._abandonment = Abandonment(hub.has_reader, self._layer_away, self._stop_abandoned, tasks.watching)
        self._postprocess = postprocess.Postprocessor()

    def open(self, mailbox: Mailbox) -> None:
        """Receive what other processes ask about runs through this mailbox. Called once, before the first run."""
        self._mailbox = mailbox

    # --- Called by actions and consumers

    @contextmanager
    def reserve(self) -> Iterator[str | None]:
        """Reserve room for one run while a command may queue one. Yields the host to queue it for, None if full. For
        guests, it is full when their runs take half of the places to wait.
        """
        full = self._free() <= 0 or (turns.is_strangers() and self._queue.guests_waiting() >= conf.MAX_QUEUED / 2)
        self._reserved += 1
        try:
            yield None if full else self._process.host
        finally:
            self._reserved -= 1

    @contextmanager
    def claim_slot(self) -> Iterator[UUID | None]:
        """Keep a slot for a run that a command may create as running. Yields its id, None if it would have to wait."""
        run_id = uuid4()
        claimed = self._queue.claim(run_id, turns.is_strangers())
        try:
            yield run_id if claimed else None
        finally:
            if claimed and run_id not in self._runs:
                self._queue.leave(run_id)

    def start(
        self,
        run_id: UUID,
        conversation_id: UUID,
        launcher: str | None,
        started: store.StartedRun | None = None,
        guest: bool = False,
    ) -> None:
        """Begin a run that is queued for this host as soon as it may run; one that has `started`, with the id of a
        claimed slot, at once.

        `launcher` is the first channel of the socket that asked for it, or NO_SOCKET. It is None for a run that no
        socket of this process asked for: one that was adopted, or whose approval expired. `guest` says whether a guest
        asked for it.
        """
        live = LiveRun(run_id, conversation_id, self._process, launcher, started)
        before, self._runs[run_id] = self._runs.get(run_id), live
        if started is not None and self._interrupted:
            live.cancel(Run.Status.INTERRUPTED, objects.Failure.from_code("shutdown"))
        detached(self._supervise(live, before, guest), self._tasks.writing)

    async def stop(self, run_id: UUID, conversation_id: UUID) -> None:
        """Make the owner act on a stop that `store.request_stop` has written."""
        if not self.stop_here(run_id):
            await layer.send_to_group(groups.owner(conversation_id), {"type": "stop", "run": run_id.hex})

    async def sync(
        self, run_id: UUID, conversation_id: UUID, channel: str, ref: str | None = None, why: SyncReason = "gap"
    ) -> None:
        """Send one socket everything so far of a run: from its owner, or from its row if no process owns it.

        Raises Refused(NOT_FOUND).
        """
        live = self._runs.get(run_id)
        mine = live is not None and live.conversation_id == conversation_id  # a reader sees only their conversation
        if mine and self.sync_here(run_id, channel, ref, why):
            return
        stored = await executor.run(store.get_run, conversation_id, run_id)
        if stored.run.status not in Run.ACTIVE:
            await self._hub.reply(channel, events.RunFinished.of(stored.run, stored.message, ref))
        elif stored.message is not None and (stored.silent or stored.run.status == Run.Status.AWAITING_APPROVAL):
            state = events.RunState(run=run_id, seq=stored.run.seq, message=stored.message, ref=ref)
            await self._hub.reply(channel, state)
        else:
            request = {"type": "sync", "run": run_id.hex, "channel": channel, "ref": ref, "why": why}
            await layer.send_to_group(groups.owner(conversation_id), request)

    def reader_left(self, conversation_id: UUID, channel: str) -> None:
        """A socket has left a conversation. The owner of its run, if there is one, checks who still reads it.

        The message to another owner is a task, never cancelled; nothing escapes.
        """
        if self._process.draining or conf.CANCEL_ON_DISCONNECT == "never":
            return
        if self._runs_of(conversation_id):
            self.reader_left_here(conversation_id, channel)
        else:
            message = {"type": "reader_left", "conversation": conversation_id.hex, "channel": channel}
            detached(layer.send_to_group(groups.owner(conversation_id), message), self._tasks.writing)

    async def adopt(self) -> None:
        """Start queued runs that no process owns, if somebody reads their conversation here or they are unattended.
        Called by a socket that found one, after each heartbeat, and when the site's code asks in this process.
        """
        conversations = None if conf.CANCEL_ON_DISCONNECT == "never" else self._hub.conversations()
        if self._process.draining or self._free() <= 0:
            return
        for run in await executor.run(store.adopt_runs, self._process.host, self._free(), conversations):
            metrics.count("runs_adopted_total")
            self.start(run.id, run.conversation, NO_SOCKET if run.unattended else None, guest=run.guest)

    def find_troubled_models(self) -> frozenset[str]:
        """Models that this process does not ask because their breaker is open, whose last answers here have failed, or
        from which one of its runs has heard nothing for SLOW_AFTER.
        """
        at = now()
        paused = {breaker.model for breaker in agents.breakers().states() if breaker.state != "closed"}
        slow = {live.labels[0] for live in self._runs.values() if live.waits_for_model(at) > SLOW_AFTER}
        return run_ends.failing_models() | paused | slow

    # --- Called by monitoring

    @property
    def runs(self) -> list[LiveRun]:
        """The runs of this process, those that wait too."""
        return list(self._runs.values())

    # --- Called by node.peers, for other processes

    def stop_here(self, run_id: UUID) -> bool:
        """Stop a run if this process owns it. Returns whether it does."""
        live = self._runs.get(run_id)
        if live is not None:
            self._cancel(live, Run.Status.STOPPED)
        return live is not None

    def sync_here(self, run_id: UUID, channel: str, ref: str | None, why: SyncReason) -> bool:
        """Send one socket everything so far of a run of this process. Returns False if there is nothing to send yet.

        The reply is a task, cancelled by `Node.drain`; nothing escapes.
        """
        live = self._runs.get(run_id)
        state = live.state() if live else None
        if live is not None and state is not None:
            detached(self._hub.reply(channel, replace(state, ref=ref)), self._tasks.watching)
            live.synced(why)
        elif live is not None and live.place is not None:
            queued = events.RunQueued(run=run_id, place=live.place)
            detached(self._hub.reply(channel, queued), self._tasks.watching)
        else:
            return False
        return True

    def reader_left_here(self, conversation_id: UUID, channel: str) -> None:
        """A socket, of any process, has left a conversation whose run this process may own."""
        runs = self._runs_of(conversation_id)
        if not runs or self._process.draining:
            return
        if conf.CANCEL_ON_DISCONNECT == "always":
            for live in runs:
                if live.launcher == channel:
                    self._cancel(live, Run.Status.STOPPED, objects.Failure.from_code("abandoned"))
        else:
            self._abandonment.reader_left(conversation_id)

    def reader_present(self, conversation_id: UUID) -> None:
        """A reader has answered the roll call."""
        self._abandonment.reader_present(conversation_id)

    # --- Called by node.heartbeat

    async def beat(self) -> None:
        """Write this process's heartbeat and its runs' checkpoints in one unit of work, then act on what it returns:
        stops whose message was lost, and runs that other processes have taken. Raises what the database raises.
        """
        if not self._runs:
            await executor.run_urgent(store.ping_database)
            return
        run_ids = list(self._runs)
        written = [(live, checkpoint) for live in self._runs.values() if (checkpoint := live.broadcast.checkpoint())]
        places = {live.id: live.place for live in self._runs.values() if live.place is not None}
        checkpoints = [checkpoint for _, checkpoint in written]
        try:
            beat = await executor.run_urgent(store.heartbeat, self._process.host, run_ids, checkpoints, places)
        except (DataError, IntegrityError):  # of one run's text; without a heartbeat, all runs would look dead
            logger.exception("The checkpoints of this heartbeat are not stored")
            written = []
            beat = await executor.run_urgent(store.heartbeat, self._process.host, run_ids, [], places)
        for run_id in beat.stop:
            self.stop_here(run_id)
        for run_id in set(run_ids) - beat.mine:
            self._disown(run_id)
        for live, checkpoint in written:
            live.broadcast.stored(checkpoint)

    async def update_queue(self) -> None:
        """Let blocked runs try again, and publish the places that have changed."""
        self._queue.unblock()
        for run_id, place in self._queue.places().items():
            live = self._runs.get(run_id)
            if live is not None and self._is_waiting(live) and live.place != place:  # it may have begun meanwhile
                await self._publish_place(live, place)

    async def reap(self) -> None:
        """End the runs of dead processes and tell their readers. Does nothing until this process has been in touch with
        the database long enough to judge others.

        A run has to be silent for some more ticks: if its row was locked, its process can write a heartbeat only now.
        """
        if not self._process.liveness.may_reap(now()):
            self._silent.clear()
            return
        found = await executor.run(store.find_silent_runs)
        seen = {run: self._silent.get(run, (heartbeat_at, now())) for run, heartbeat_at in found.items()}
        self._silent = {run: sight for run, sight in seen.items() if sight[0] == found[run]}
        dead = [run for run, (_, since) in self._silent.items() if now() - since >= SILENT_TICKS * TICK]
        for finished in await reap_and_publish(dead):
            logger.warning("Run %s was left behind by its process", finished.run.id)
            metrics.count("runs_reaped_total")
            self._inboxes.changed(finished.run.conversation)

    async def expire_approvals(self) -> None:
        """Reject the tool calls that nobody decided on in time. Their runs continue."""
        if self._process.draining:
            return
        for conversation_id, decided in await executor.run(store.expire_approvals, self._process.host):
            event = events.RunTool(run=decided.run, seq=decided.seq, call=decided.call)
            await groups.publish(groups.conversation(conversation_id), event)
            if decided.start:
                self.start(decided.run, conversation_id, None)
                self._inboxes.changed(conversation_id)

    # --- Called by node, at shutdown

    def close_queue(self) -> None:
        """Leave the runs that have not begun to other processes."""
        self._queue.close()

    def interrupt_all(self) -> None:
        """Cancel the runs that are still going on. Their text so far is written and marked as interrupted."""
        self._interrupted = True
        for live in self._runs.values():
            live.cancel(Run.Status.INTERRUPTED, objects.Failure.from_code("shutdown"))

    # --- The life of one run

    async def _supervise(self, live: LiveRun, before: LiveRun | None, guest: bool) -> None:
        """The run task: wait for a turn, make the run, clean up. Started by `start`, never cancelled, awaited by
        `Node.drain`; nothing escapes.

        `before` is this run's previous incarnation, from before the approval; it may still be publishing. Wait for it.
        """
        assert self._mailbox is not None
        logs.bind(run=live.id, conversation=live.conversation_id)
        # In the queue, each run has turns of its own, like a user.
        turns.client.set(turns.Stranger(live.conversation_id) if guest else live.conversation_id)
        group = groups.owner(live.conversation_id)
        next_run = None
        if before is not None:
            await before.done.wait()
        try:
            turn = None if live.has_started else self._queue.enter(live.id, guest)
            await self._join(group)
            next_run = await live.run() if turn is None else await self._wait_and_run(live, turn)
        except (Exception, asyncio.CancelledError):
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # the event loop is closed without a shutdown
                raise
            logger.exception("Run %s failed", live.id)
            next_run = await live.fail()
        finally:
            if self._runs.get(live.id) is live:
                del self._runs[live.id]
            self._queue.leave(live.id)
            live.done.set()
            if next_run is not None:  # during a shutdown, the closed queue releases it for another process
                self.start(next_run, live.conversation_id, live.launcher, guest=guest)
            elif not self._runs_of(live.conversation_id):
                await self._mailbox.leave(group)
        if live.agent is not None and postprocess.is_configured() and not self._process.draining:
            work = self._postprocess.after(
                live.id, live.conversation_id, live.agent, live.omitted_seq, self._tasks.run_to_completion
            )
            detached(work, self._tasks.optional)
        self._inboxes.changed(live.conversation_id)
        await live.keep_recording()

    async def _wait_and_run(self, live: LiveRun, turn: "asyncio.Future[bool]") -> UUID | None:
        """Wait for a run's turn and make it. Returns the id of the run queued after it, if any.

        Releases the run for other processes if it gets no turn here.
        """
        while True:
            if not turn.done():
                await self._publish_place(live, self._queue.places()[live.id])
            if not await turn:
                await live.release()
                return None
            live.place = None
            try:
                return await live.run()
            except store.TooManyRuns as too_many:
                turn = self._queue.block(live.id, too_many.user_id)

    async def _publish_place(self, live: LiveRun, place: int) -> None:
        live.place = place
        await groups.publish(groups.conversation(live.conversation_id), events.RunQueued(run=live.id, place=place))

    async def _join(self, group: str) -> None:
        assert self._mailbox is not None
        try:
            await self._mailbox.join(group)
        except Exception:  # without the layer, a stop arrives by its column, and a sync is answered from the row
            logger.warning("Other processes cannot reach a run of this one", exc_info=True)

    def _layer_away(self, conversation_id: UUID) -> bool:
        """Whether questions to the readers of a conversation, or their answers, may be lost."""
        needed = groups.conversation(conversation_id), groups.owner(conversation_id)
        return self._outages.layer_away(*needed) or layer.is_cooling(*needed)

    def _cancel(self, live: LiveRun, status: str, reason: objects.Failure | None = None) -> None:
        """Cancel a run that has begun. One that still waits leaves the queue, which releases it for other processes."""
        if self._is_waiting(live):
            self._queue.leave(live.id)
        else:
            live.cancel(status, reason)

    def _disown(self, run_id: UUID) -> None:
        """Another process has taken this run."""
        live = self._runs.get(run_id)
        if live is not None and not self._is_waiting(live):
            live.disown()
        else:
            self._queue.leave(run_id)

    def _stop_abandoned(self, conversation_id: UUID) -> None:
        if self._process.draining:
            return
        for live in self._runs_of(conversation_id):
            if live.launcher != NO_SOCKET:
                self._cancel(live, Run.Status.STOPPED, objects.Failure.from_code("abandoned"))

    def _free(self) -> int:
        return conf.MAX_RUNS + conf.MAX_QUEUED - len(self._runs) - self._reserved

    def _is_waiting(self, live: LiveRun) -> bool:
        return live.id in self._queue.places()

    def _runs_of(self, conversation_id: UUID) -> list[LiveRun]:
        return [live for live in self._runs.values() if live.conversation_id == conversation_id]


async def reap_and_publish(run_ids: Collection[UUID]) -> list[store.FinishedRun]:
    """End these runs of dead processes, and publish their ends. Returns them."""
    reaped = await executor.run(store.reap_runs, run_ids) if run_ids else []
    for finished in reaped:
        await run_ends.publish(finished)
    return reaped
