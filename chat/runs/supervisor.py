"""The runs of one process: start, stop, sync, heartbeat, drain. Called by `consumers`; makes `runs`.

One Supervisor per event loop, which in a server means per process; `current()` finds it. A run's conversation names
the group through which other processes reach its owner, so nobody needs to know which process that is.
"""

import asyncio
import logging
import os
import socket
import sys
import uuid
import weakref
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from random import uniform
from typing import Any, Protocol, TypeVar
from uuid import UUID

from django.db import DatabaseError, InterfaceError
from django.utils.translation import get_language, gettext_noop, override
from msgspec.structs import replace

from .. import engine, metrics, store
from ..concurrency import detached, own_connections
from ..conf import conf
from ..models import Run
from ..protocol import events, objects
from ..protocol.errors import Refused
from ..ratelimit import Buckets
from ..realtime import groups, inbox
from ..realtime.presence import Presence
from ..realtime.read_markers import Markers
from ..store import executor
from . import postprocess
from .abandonment import Abandonment
from .liveness import TICK, Process, Pulse
from .run import LiveRun
from .run_queue import Slots

logger = logging.getLogger("nous_chat.supervisor")

T = TypeVar("T")

SPREAD = 2.0
"""Seconds over which sockets begin anew, so that not all of them ask the database at once."""

EXPIRE = 30.0
"""Seconds between two looks for approvals that have come too late."""

FAREWELL = 3.0
"""Seconds that a socket may take to say that it is about to close."""

CLEAN_EVERY = 600.0
"""Seconds, about, between two looks for what is to be erased for good."""

LAST_WRITES = 10.0
"""Seconds that the database has to take the ends of runs, once the process has to end."""

NOTICES = {
    "database_away": gettext_noop(
        "The database does not answer. Answers that are being made go on and are stored when it is back."
    ),
    "database_back": gettext_noop("The database is back."),
    "layer_away": gettext_noop("Server processes cannot reach each other. What is new may come late; nothing is lost."),
    "layer_back": gettext_noop("Server processes reach each other again."),
}

NO_SOCKET = "no socket"
"""In the place of a launcher's channel: a person without JavaScript comes back by loading the page again, so nobody can
tell whether this run is abandoned. It goes on to its end.
"""


class LocalSocket(Protocol):
    """An open socket of this process, as the supervisor sees it."""

    reads: UUID | None
    """The conversation that it shows; None for an inbox, and before and after that."""
    channel: str

    async def answer(self, event: events.Event) -> None:
        """Send an event to it."""

    async def notify(self, code: str) -> None:
        """Tell the reader, in his language, one of the NOTICES."""

    async def restart(self) -> None:
        """Tell the reader to come back, and close."""

    def renew(self) -> None:
        """Begin anew with a snapshot: frames may have been lost."""

    def watch(self, now: float) -> None:
        """Once every TICK: see whether the reader keeps up."""


class Supervisor:
    """Its tasks are of two kinds: `_tasks` write and are never cancelled, `_watches` and those `_beside` the runs only
    look, and are. `drain` ends all.
    """

    def __init__(self) -> None:
        self.host = f"{socket.gethostname()[:50]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.sockets: set[LocalSocket] = set()
        """The open sockets of this process; each adds and removes itself."""
        self.buckets = Buckets()
        """How often each connected person has asked."""
        self.away: set[str] = set()
        """What is away at the moment: "database", "layer"."""

        self._tasks: set[asyncio.Task[Any]] = set()
        self.lists = inbox.Lists(self._tasks)
        """What they are to hear of conversations that change here."""
        self.presence = Presence(self.host)
        """Who reads here, in this process."""
        self.markers = Markers()
        """How far they have read."""

        self._process = Process(self.host, Pulse(asyncio.get_running_loop().time()))
        self._runs: dict[UUID, LiveRun] = {}
        self._slots = Slots()
        self._asked = 0
        self._clean_at = 0.0
        self._expire_at = 0.0
        self._rounds: asyncio.Task[None] | None = None
        self._watches: set[asyncio.Task[Any]] = set()
        self._abandonment = Abandonment(self._reads, lambda: "layer" in self.away, self._abandoned, self._watches)
        self._asides = postprocess.Asides()
        self._beside: set[asyncio.Task[None]] = set()
        self._resources = AsyncExitStack()
        self._mailbox: groups.Mailbox | None = None
        self._opening = asyncio.Lock()

    @property
    def draining(self) -> bool:
        return self._process.ending

    async def open(self) -> None:
        """Make this process ready for runs. Called by every socket that connects; only the first call does anything."""
        async with self._opening:
            if self._mailbox is not None:
                return
            async with AsyncExitStack() as resources:
                await resources.enter_async_context(engine.connections())
                self._mailbox = await resources.enter_async_context(groups.mailbox())
                self._resources = resources.pop_all()
            self._process.pulse = Pulse(_now())
            self._clean_at = _now() + uniform(0.1, 1) * CLEAN_EVERY
            detached(self._listen(self._mailbox), self._watches)
            detached(self._tick(self._mailbox), self._watches)
            detached(self.presence.follow(), self._watches)
            _drain_at_shutdown(self)

    # --- What consumers ask

    @contextmanager
    def room(self) -> Iterator[str | None]:
        """For the time of a command that may queue a run: the host to queue it for, None where there is no room."""
        full = self._free() <= 0
        self._asked += 1
        try:
            yield None if full else self.host
        finally:
            self._asked -= 1

    def start(self, run_id: UUID, conversation_id: UUID, launcher: str | None) -> None:
        """Begin a run that is queued for this host, as soon as there is a slot. `launcher` is the first channel of the
        socket that asked for it, or NO_SOCKET.
        """
        live = LiveRun(run_id, conversation_id, self._process, launcher)
        before, self._runs[run_id] = self._runs.get(run_id), live
        detached(self._follow(live, before), self._tasks)

    async def see_through(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work` so that it is finished even if the awaiting socket is cancelled: a write that is half known to
        the world is worse than one that comes late. It speaks the language of who awaits it.
        """
        task = detached(_in_language(get_language(), work), self._tasks)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_unheard)
            raise

    async def stop(self, run_id: UUID, conversation_id: UUID) -> None:
        """Make the owner look at a stop that `store.request_stop` has written."""
        if not self._stop(run_id):
            await groups.tell(groups.owner(conversation_id), {"type": "stop", "run": run_id.hex})

    async def sync(self, run_id: UUID, conversation_id: UUID, channel: str, ref: str | None = None) -> None:
        """Have everything so far of a run sent to one socket: by its owner, or, where it has none, from its row.

        Raises Refused(NOT_FOUND).
        """
        live = self._runs.get(run_id)
        mine = live is not None and live.conversation_id == conversation_id  # nobody hears another conversation's
        if mine and self._sync(run_id, channel, ref):
            return
        stored = await executor.run(store.get_run, conversation_id, run_id)
        if stored.run.status not in Run.ACTIVE:
            await self._reply(channel, events.RunFinished.of(stored.run, stored.message, ref))
        elif stored.message is not None and (stored.silent or stored.run.status == Run.Status.AWAITING_APPROVAL):
            state = events.RunState(run=run_id, seq=stored.run.seq, message=stored.message, ref=ref)
            await self._reply(channel, state)
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
            detached(groups.tell(groups.owner(conversation_id), message), self._tasks)

    async def take_up(self) -> None:
        """Make the runs that no process has and that somebody here reads. Called by a socket that found one, and every
        TICK.
        """
        read = None if conf.CANCEL_ON_DISCONNECT == "never" else {s.reads for s in self.sockets if s.reads is not None}
        if self.draining or self._free() <= 0 or read == set():
            return
        for run_id, conversation_id in await executor.run(store.adopt_runs, self.host, self._free(), read):
            metrics.count("runs_taken_up")
            self.start(run_id, conversation_id, None)

    async def reap(self, conversation_id: UUID | None = None) -> None:
        """End the runs of processes that have fallen silent, and tell whoever reads them. Does nothing before this
        process may judge others.
        """
        if not self._process.pulse.may_judge(_now()):
            return
        for finished in await executor.run(store.reap_runs, conversation_id):
            logger.warning("Run %s was left behind by its process", finished.run.id)
            metrics.count("runs_reaped")
            group = groups.conversation(finished.run.conversation)
            await groups.publish(group, events.RunFinished.of(finished.run, finished.message))
            self.lists.changed(finished.run.conversation)

    async def drain(self, seconds: float) -> None:
        """Send browsers elsewhere, leave what has not begun to others, let running answers go on for `seconds`, then
        cancel what is left and write its end. What the database does not take within LAST_WRITES is given up.
        """
        self._process.ending = True
        for task in self._beside:
            task.cancel()
        if self.sockets:
            farewells = [asyncio.ensure_future(reader.restart()) for reader in self.sockets]
            await asyncio.wait(farewells, timeout=FAREWELL)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.presence.close(), FAREWELL)
        self._slots.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for live in self._runs.values():
            live.cancel(Run.Status.INTERRUPTED, objects.Failure.ours("shutdown"))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_WRITES)
        self._process.given_up.set()
        self._process.steady.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_WRITES)
        if self._beside:
            await asyncio.wait(self._beside, timeout=LAST_WRITES)
        while self._watches:
            for task in self._watches:
                task.cancel()
            await asyncio.wait(self._watches, timeout=1)
        with suppress(DatabaseError, InterfaceError, TimeoutError):
            await asyncio.wait_for(self.markers.write(), LAST_WRITES)
        await self._resources.aclose()

    # --- Its tasks

    async def _follow(self, live: LiveRun, before: LiveRun | None) -> None:
        """Around one run task. Started by `start`, never cancelled, awaited by `drain`; what escapes is logged.

        `before` is the same run as it was until it awaited an approval, which may come while that still tells of it.
        """
        assert self._mailbox is not None
        group = groups.owner(live.conversation_id)
        following = None
        if before is not None:
            await before.over.wait()
        try:
            turn = self._slots.ask(live.id)
            await self._reachable_at(group)
            following = await self._in_turn(live, turn)
        except Exception:
            logger.exception("Run %s ended without its end being written; it will be reaped", live.id)
        finally:
            if self._runs.get(live.id) is live:
                del self._runs[live.id]
            self._slots.leave(live.id)
            live.over.set()
            if following is not None:  # while this process ends it gets no slot, and is left to others
                self.start(following, live.conversation_id, live.launcher)
            elif not self._runs_of(live.conversation_id):
                await self._mailbox.leave(group)
        if live.agent is not None and postprocess.asked_for() and not self.draining:
            work = self._asides.after(live.id, live.conversation_id, live.agent, live.omitted_seq, self.see_through)
            detached(work, self._beside)
        self.lists.changed(live.conversation_id)

    async def _in_turn(self, live: LiveRun, turn: "asyncio.Future[bool]") -> UUID | None:
        """Follow a run when it has a slot; leave it to other processes where it is not to have one here."""
        while True:
            if not turn.done():
                await self._tell_place(live, self._slots.places()[live.id])
            if not await turn:
                await executor.run(store.release_runs, self.host, [live.id])
                return None
            live.place = None
            try:
                return await live.follow()
            except store.TooManyRuns as too_many:
                turn = self._slots.block(live.id, too_many.user_id)

    async def _tell_place(self, live: LiveRun, place: int) -> None:
        live.place = place
        await groups.publish(groups.conversation(live.conversation_id), events.RunQueued(run=live.id, place=place))

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
                self._abandonment.present(UUID(conversation))
            case {"type": "echo", "number": number}:
                if self._process.pulse.echo(number, _now()) and "layer" not in self.away:
                    self._renew("The channel layer lost messages")

    async def _tick(self, mailbox: groups.Mailbox) -> None:
        """Every TICK: a heartbeat, unless the last one is still waiting for the database; a message to ourselves
        through the layer; and what either of them tells. Started by `open`, cancelled by `drain`; nothing escapes.
        """
        beat: asyncio.Task[None] | None = None
        while True:
            try:
                now = _now()
                pulse = self._process.pulse
                if pulse.tick(now):
                    self._renew("This process stood still")
                if beat is None or beat.done():
                    beat = detached(self._beat(now), self._tasks)
                detached(groups.probe(mailbox.name, {"type": "echo", "number": pulse.sent}), self._watches)
                self._notice("database", pulse.database_away(now))
                self._notice("layer", pulse.layer_away(now))
                for reader in list(self.sockets):
                    reader.watch(now)
                if now >= self._clean_at:
                    self._clean_at = now + uniform(0.5, 1.5) * CLEAN_EVERY
                    detached(self._clean(), self._beside)
                self._slots.unblock()
                for run_id, place in self._slots.places().items():
                    live = self._runs.get(run_id)
                    if live is not None and self._waits(live) and live.place != place:  # since then it may have begun
                        await self._tell_place(live, place)
            except Exception:
                logger.exception("A look at this process's runs and sockets failed")
            await asyncio.sleep(TICK)

    async def _clean(self) -> None:
        """Erase what is to be erased, a little at a time, in a thread of its own, since a storage may be slow. Started
        by `_tick`, cancelled by `drain` between two of these; what the database raises is logged.
        """
        try:
            left = 1
            while left:
                left = await asyncio.to_thread(_clean_some)
                await asyncio.sleep(TICK)
        except Exception:
            logger.exception("What was deleted could not be erased; it is tried again")

    async def _beat(self, asked: float) -> None:
        """Signs of life and checkpoints in one write; stops that were not heard, runs that are no longer ours. Started
        by `_tick`, never cancelled; what the database raises is logged.
        """
        try:
            await self._heartbeat()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("Heartbeat: %s", error)
            return
        self._process.pulse.beat(asked, _now())
        if not self._process.pulse.frozen(_now()):
            self._process.steady.set()
        if self._rounds is None or self._rounds.done():
            self._rounds = detached(self._go_round(asked), self._tasks)

    async def _go_round(self, now: float) -> None:
        """Runs left by others, approvals that come too late, what people have read. Started by `_beat`, which does not
        wait for it, never cancelled; what the database raises is logged.
        """
        try:
            await self.reap()
            await self._expire(now)
            await self.markers.write(self.lists.due)
            await self.take_up()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("After a heartbeat: %s", error)

    async def _expire(self, now: float) -> None:
        """Reject the calls on which nobody has decided in time; their runs go on."""
        if self.draining or now < self._expire_at:
            return
        self._expire_at = now + EXPIRE
        for conversation_id, decided in await executor.run(store.expire_approvals, self.host):
            event = events.RunTool(run=decided.run, seq=decided.seq, call=decided.call)
            await groups.publish(groups.conversation(conversation_id), event)
            if decided.start:
                self.start(decided.run, conversation_id, None)
                self.lists.changed(conversation_id)

    async def _heartbeat(self) -> None:
        if not self._runs:
            await executor.run_urgent(store.ping_database)
            return
        runs = list(self._runs)
        written = [(live, checkpoint) for live in self._runs.values() if (checkpoint := live.checkpoint())]
        places = {live.id: live.place for live in self._runs.values() if live.place is not None}
        beat = await executor.run_urgent(
            store.heartbeat, self.host, runs, [checkpoint for _, checkpoint in written], places
        )
        for run_id in beat.stop:
            self._stop(run_id)
        for run_id in set(runs) - beat.mine:
            self._disown(run_id)
        for live, checkpoint in written:
            live.stored(checkpoint)

    def _notice(self, what: str, away: bool) -> None:
        """Tell our sockets, directly, when something goes away and when it is back; after that they begin anew."""
        if away == (what in self.away):
            return
        code = f"{what}_{'away' if away else 'back'}"
        logger.warning("%s", NOTICES[code])
        if away:
            metrics.count(code)
            self.away.add(what)
        else:
            self.away.remove(what)
        for reader in self.sockets:
            detached(reader.notify(code), self._watches)
        if not away:
            self._renew(NOTICES[code])

    def _renew(self, why: str) -> None:
        logger.info("%s: sockets begin anew", why)
        for reader in self.sockets:
            asyncio.get_running_loop().call_later(uniform(0, SPREAD), reader.renew)

    # --- What it does with its own runs

    def _free(self) -> int:
        return conf.MAX_RUNS + conf.MAX_QUEUED - len(self._runs) - self._asked

    def _stop(self, run_id: UUID) -> bool:
        live = self._runs.get(run_id)
        if live is not None:
            self._cancel(live, Run.Status.STOPPED)
        return live is not None

    def _disown(self, run_id: UUID) -> None:
        live = self._runs.get(run_id)
        if live is not None and not self._waits(live):
            live.disown()
        else:
            self._slots.leave(run_id)

    def _cancel(self, live: LiveRun, status: str, reason: objects.Failure | None = None) -> None:
        """End what runs; what waits goes back to whichever process somebody reads it at, if anybody does."""
        if self._waits(live):
            self._slots.leave(live.id)
        else:
            live.cancel(status, reason)

    def _waits(self, live: LiveRun) -> bool:
        return live.id in self._slots.places()

    def _sync(self, run_id: UUID, channel: str, ref: str | None) -> bool:
        live = self._runs.get(run_id)
        state = live.state() if live else None
        if state is not None:
            detached(self._reply(channel, replace(state, ref=ref)), self._watches)
        elif live is not None and live.place is not None:
            detached(self._reply(channel, events.RunQueued(run=run_id, place=live.place)), self._watches)
        else:
            return False
        return True

    async def _reply(self, channel: str, event: events.Event) -> None:
        """Send an event to one socket: directly where it is ours, so that no layer is needed for it."""
        ours = next((socket for socket in self.sockets if socket.channel == channel), None)
        await (ours.answer(event) if ours is not None else groups.reply(channel, event))

    def _left(self, conversation_id: UUID, channel: str) -> None:
        live = self._runs_of(conversation_id)
        if not live or self.draining:
            return
        if conf.CANCEL_ON_DISCONNECT == "always":
            for launched in live:
                if launched.launcher == channel:
                    self._cancel(launched, Run.Status.STOPPED, objects.Failure.ours("abandoned"))
        else:
            self._abandonment.left(conversation_id)

    def _reads(self, conversation_id: UUID) -> bool:
        return any(reader.reads == conversation_id for reader in self.sockets)

    def _abandoned(self, conversation_id: UUID) -> None:
        if self.draining:
            return
        for live in self._runs_of(conversation_id):
            if live.launcher != NO_SOCKET:
                self._cancel(live, Run.Status.STOPPED, objects.Failure.ours("abandoned"))

    def _runs_of(self, conversation_id: UUID) -> list[LiveRun]:
        return [live for live in self._runs.values() if live.conversation_id == conversation_id]


def _clean_some() -> int:
    with own_connections():
        return store.erase_expired()


async def _in_language(language: str | None, work: Coroutine[Any, Any, T]) -> T:
    with override(language):
        return await work


def _unheard(task: asyncio.Task[Any]) -> None:
    """What a socket asked for has ended after the socket: nobody is there to be told."""
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, (Refused, DatabaseError, InterfaceError)):
        logger.error("What a socket that is gone had asked for has failed", exc_info=error)


_supervisors: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Supervisor]" = weakref.WeakKeyDictionary()


def current() -> Supervisor:
    """The running loop's Supervisor."""
    loop = asyncio.get_running_loop()
    if loop not in _supervisors:
        _supervisors[loop] = Supervisor()
    return _supervisors[loop]


def _now() -> float:
    return asyncio.get_running_loop().time()


def _drain_at_shutdown(supervisor: Supervisor) -> None:
    """Daphne tells applications nothing when it ends, but Twisted's reactor, on which it runs, waits for this.

    Under uvicorn the lifespan does it (`asgi.py`).
    """
    reactor = sys.modules.get("twisted.internet.reactor")
    if reactor is None or not getattr(reactor, "running", False):
        return
    from twisted.internet.defer import Deferred

    def drain() -> Any:
        supervisor._process.ending = True  # before daphne's sockets hear that they are cancelled
        return Deferred.fromFuture(asyncio.ensure_future(supervisor.drain(conf.DRAIN_SECONDS)))

    reactor.addSystemEventTrigger("before", "shutdown", drain)
