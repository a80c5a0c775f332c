"""The runs of one process: start, stop, sync, abandonment, heartbeat, drain. Called by `consumers`; makes `runs`.

One Supervisor per event loop, which in a server means per process; `current()` finds it. A run's conversation names
the group through which other processes reach its owner, so nobody needs to know which process that is.
"""

import asyncio
import contextvars
import logging
import os
import socket
import sys
import uuid
import weakref
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any, Protocol, TypeVar
from uuid import UUID

from channels.db import database_sync_to_async
from django.db import DatabaseError, InterfaceError
from msgspec.structs import replace

from . import engine, events, groups, inbox, store
from .conf import conf
from .models import Run
from .runs import ABANDONED, SHUTDOWN, LiveRun

logger = logging.getLogger("nous_chat.supervisor")

T = TypeVar("T")

TICK = 1.0
"""Seconds between two heartbeats, and so the most of a text that a crash can cost."""

ROLL_CALL = 1.0
"""Seconds in which a reader answers the question whether anybody is still there."""


class Restartable(Protocol):
    async def restart(self) -> None:
        """Tell the reader to come back, and close."""


class Supervisor:
    """Its tasks are of two kinds: `_tasks` write and are never cancelled, `_watches` only look, and are. `drain` ends
    both.
    """

    def __init__(self) -> None:
        self.host = f"{socket.gethostname()[:50]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.draining = False
        self.sockets: set[Restartable] = set()
        """The open sockets of this process; each adds and removes itself."""

        self._runs: dict[UUID, LiveRun] = {}
        self._checks: dict[UUID, _Check] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._watches: set[asyncio.Task[Any]] = set()
        self._resources = AsyncExitStack()
        self._mailbox: groups.Mailbox | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Make this process ready for runs. Called by every socket that connects; only the first call does anything."""
        async with self._opening:
            if self._mailbox is not None:
                return
            async with AsyncExitStack() as resources:
                await resources.enter_async_context(engine.connections())
                self._mailbox = await resources.enter_async_context(groups.mailbox())
                self._resources = resources.pop_all()
            _detached(self._listen(self._mailbox), self._watches)
            _detached(self._tick(), self._watches)
            _drain_at_shutdown(self)

    # --- What consumers ask

    def start(self, run_id: UUID, conversation_id: UUID, launcher: str | None) -> None:
        """Begin a run that is queued for this host. `launcher` is the channel of the socket that asked for it."""
        live = LiveRun(run_id, conversation_id, self.host, launcher)
        self._runs[run_id] = live
        _detached(self._follow(live), self._tasks)

    async def see_through(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work` so that it is finished even if the awaiting socket is cancelled: a write that is half known to
        the world is worse than one that comes late.
        """
        return await asyncio.shield(_detached(work, self._tasks))

    async def stop(self, run_id: UUID, conversation_id: UUID) -> None:
        """Make the owner look at a stop that `store.request_stop` has written."""
        if not self._stop(run_id):
            await groups.tell(groups.owner(conversation_id), {"type": "stop", "run": run_id.hex})

    async def sync(self, run_id: UUID, conversation_id: UUID, channel: str, ref: str | None = None) -> None:
        """Have everything so far of a run sent to one socket: by its owner, or, where it has none, from its row.

        Raises Refused("not_found").
        """
        if self._sync(run_id, channel, ref):
            return
        stored = await database_sync_to_async(store.find_run)(conversation_id, run_id)
        if stored.run.status not in Run.ACTIVE:
            await groups.reply(channel, events.RunFinished.of(stored.run, stored.message, ref))
        elif stored.message is not None and (stored.silent or stored.run.status == Run.Status.AWAITING_APPROVAL):
            state = events.RunState(run=run_id, seq=stored.run.seq, message=stored.message, ref=ref)
            await groups.reply(channel, state)
            await self.reap(conversation_id)
        else:
            ask = {"type": "sync", "run": run_id.hex, "channel": channel, "ref": ref}
            await groups.tell(groups.owner(conversation_id), ask)

    def left(self, conversation_id: UUID, channel: str) -> None:
        """A socket of a conversation is gone: the owner of its run, if there is one, has to see who remains."""
        if self.draining or conf.CANCEL_ON_DISCONNECT == "never":
            return
        if self._runs_of(conversation_id):
            self._left(conversation_id, channel)
        else:
            message = {"type": "left", "conversation": conversation_id.hex, "channel": channel}
            _detached(groups.tell(groups.owner(conversation_id), message), self._tasks)

    async def reap(self, conversation_id: UUID | None = None) -> None:
        """End the runs of processes that have fallen silent, and tell whoever reads them."""
        for finished in await database_sync_to_async(store.reap)(conversation_id):
            logger.warning("Run %s was left behind by its process", finished.run.id)
            group = groups.conversation(finished.run.conversation)
            await groups.publish(group, events.RunFinished.of(finished.run, finished.message))
            await inbox.announce(finished.run.conversation)

    async def drain(self, seconds: float) -> None:
        """Send browsers elsewhere, refuse new runs, let running ones go on for `seconds`, then cancel what is left and
        write its end.
        """
        self.draining = True
        for live in self._runs.values():
            live.answer_waiting = False
        await asyncio.gather(*(socket.restart() for socket in self.sockets), return_exceptions=True)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for live in self._runs.values():
            live.cancel(Run.Status.INTERRUPTED, SHUTDOWN)
        while self._tasks:
            await asyncio.wait(self._tasks)
        while self._watches:
            for task in self._watches:
                task.cancel()
            await asyncio.wait(self._watches, timeout=1)
        await self._resources.aclose()

    # --- Its tasks

    async def _follow(self, live: LiveRun) -> None:
        """Around one run task. Started by `start`, never cancelled, awaited by `drain`; what escapes is logged."""
        assert self._mailbox is not None
        group = groups.owner(live.conversation_id)
        following = None
        try:
            await self._reachable_at(group)
            following = await live.follow()
        except Exception:
            logger.exception("Run %s ended without its end being written; it will be reaped", live.id)
        finally:
            del self._runs[live.id]
            if following is not None:
                self.start(following, live.conversation_id, live.launcher)
            elif not self._runs_of(live.conversation_id):
                await self._mailbox.leave(group)
        await inbox.announce(live.conversation_id)

    async def _reachable_at(self, group: str) -> None:
        assert self._mailbox is not None
        try:
            await self._mailbox.join(group)
        except Exception:  # the layer is away: a stop then takes the column's way, and a sync the row's
            logger.warning("Other processes cannot reach a run of this one", exc_info=True)

    async def _listen(self, mailbox: groups.Mailbox) -> None:
        """Hear what other processes ask of this one. Started by `open`, cancelled by `drain`; nothing escapes."""
        while True:
            try:
                message = await mailbox.receive()
                await self._hear(message)
            except asyncio.CancelledError:
                raise
            except Exception:
                logger.exception("A message to this process could not be handled")
                await asyncio.sleep(TICK)

    async def _hear(self, message: groups.LayerMessage) -> None:
        match message:
            case {"type": "stop", "run": run}:
                self._stop(UUID(run))
            case {"type": "sync", "run": run, "channel": channel, "ref": ref}:
                self._sync(UUID(run), channel, ref)
            case {"type": "left", "conversation": conversation, "channel": channel}:
                self._left(UUID(conversation), channel)
            case {"type": "present", "conversation": conversation}:
                check = self._checks.get(UUID(conversation))
                if check is not None:
                    check.present.set()

    async def _tick(self) -> None:
        """Every TICK: sign of life and checkpoints in one write, stops that were not heard, runs left by others.

        Started by `open`, cancelled by `drain`; nothing escapes, a database that is away is tried again.
        """
        while True:
            try:
                await self._beat()
                await self.reap()
            except (DatabaseError, InterfaceError) as error:
                logger.warning("Heartbeat: %s", error)
            await asyncio.sleep(TICK)

    async def _beat(self) -> None:
        if not self._runs:
            return
        written = [(live, checkpoint) for live in self._runs.values() if (checkpoint := live.checkpoint())]
        beat = database_sync_to_async(store.heartbeat)
        for run_id in await beat(self.host, list(self._runs), [checkpoint for _, checkpoint in written]):
            self._stop(run_id)
        for live, checkpoint in written:
            live.stored(checkpoint)

    async def _check(self, conversation_id: UUID) -> None:
        """Is anybody still reading? Started by `_left`, cancelled by `drain`; nothing escapes."""
        check = self._checks[conversation_id]
        try:
            while check.again:
                await asyncio.sleep(conf.DISCONNECT_GRACE)
                check.again = False
                if not await self._anybody(conversation_id, check) and not self.draining:
                    for live in self._runs_of(conversation_id):
                        live.cancel(Run.Status.STOPPED, ABANDONED)
        finally:
            del self._checks[conversation_id]

    async def _anybody(self, conversation_id: UUID, check: "_Check") -> bool:
        check.present.clear()
        for _ in range(2):  # the layer may lose the question or the answer
            await groups.tell(groups.conversation(conversation_id), {"type": "roll_call"})
            with suppress(TimeoutError):
                await asyncio.wait_for(check.present.wait(), ROLL_CALL)
                return True
        return False

    # --- What it does with its own runs

    def _stop(self, run_id: UUID) -> bool:
        live = self._runs.get(run_id)
        if live is not None:
            live.cancel(Run.Status.STOPPED)
        return live is not None

    def _sync(self, run_id: UUID, channel: str, ref: str | None) -> bool:
        live = self._runs.get(run_id)
        state = live.state() if live else None
        if state is not None:
            _detached(groups.reply(channel, replace(state, ref=ref)), self._tasks)
        return state is not None

    def _left(self, conversation_id: UUID, channel: str) -> None:
        live = self._runs_of(conversation_id)
        if not live or self.draining:
            return
        if conf.CANCEL_ON_DISCONNECT == "always":
            for launched in live:
                if launched.launcher == channel:
                    launched.cancel(Run.Status.STOPPED, ABANDONED)
        elif conversation_id in self._checks:
            self._checks[conversation_id].again = True
        else:  # noted here and not in the task: another may leave before that begins
            self._checks[conversation_id] = _Check()
            _detached(self._check(conversation_id), self._watches)

    def _runs_of(self, conversation_id: UUID) -> list[LiveRun]:
        return [live for live in self._runs.values() if live.conversation_id == conversation_id]


class _Check:
    """A roll call that is due. `again`: somebody left since the last one."""

    def __init__(self) -> None:
        self.present = asyncio.Event()
        self.again = True


def _detached(work: Coroutine[Any, Any, T], tasks: set[asyncio.Task[Any]]) -> asyncio.Task[T]:
    """A task in `tasks` while it lives, outside the context of the request that happens to start it: asgiref binds the
    ORM's threads to contexts.
    """
    task = asyncio.create_task(work, context=contextvars.Context())
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task


_supervisors: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Supervisor]" = weakref.WeakKeyDictionary()


def current() -> Supervisor:
    """The running loop's Supervisor."""
    loop = asyncio.get_running_loop()
    if loop not in _supervisors:
        _supervisors[loop] = Supervisor()
    return _supervisors[loop]


def _drain_at_shutdown(supervisor: Supervisor) -> None:
    """Daphne tells applications nothing when it ends, but Twisted's reactor, on which it runs, waits for this.

    Under uvicorn the lifespan does it (`asgi.py`).
    """
    reactor = sys.modules.get("twisted.internet.reactor")
    if reactor is None or not getattr(reactor, "running", False):
        return
    from twisted.internet.defer import Deferred

    def drain() -> Any:
        supervisor.draining = True  # before daphne's sockets hear that they are cancelled
        return Deferred.fromFuture(asyncio.ensure_future(supervisor.drain(conf.DRAIN_SECONDS)))

    reactor.addSystemEventTrigger("before", "shutdown", drain)
