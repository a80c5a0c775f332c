"""What readers are sent of an answer while it is made: deltas, calls, and waits, gathered into numbered frames.

The stream task of a run adds; its run task flushes (`run`).
"""

import asyncio
import time
from collections import deque
from typing import Any
from uuid import UUID, uuid4

from msgspec.structs import replace

from .. import engine, metrics, store
from ..protocol import events, objects
from ..realtime import groups
from .inspection import RunInspection
from .liveness import Process
from .persistence import Persistence

Publishable = engine.TextDelta | engine.ThinkingDelta | engine.RetryWait | engine.Fallback | str
"""What one frame carries: a delta, a wait, another model, or the call with this key (`store.call_key`) as it is then.
The frames of waits and of models have no number: a client that misses them misses no text.
"""

MAX_HELD_CHARS = 64 * 1024
"""Backpressure: the provider is read no further while this much text waits to be published."""

MAX_HELD_CALLS = 32
"""The same for calls. It is also how many calls one unit of work stores."""


class Broadcast:
    """The frames of one run, and what they have carried so far."""

    def __init__(self, run_id: UUID, conversation_id: UUID, process: Process, persistence: Persistence) -> None:
        self.wake = asyncio.Event()
        """Set when the run task has something to do."""
        self.muted = False
        """Nothing more is published: another process has ended the run."""
        self._run_id = run_id
        self._group = groups.conversation(conversation_id)
        self._process, self._persist = process, persistence.run
        self._inspection: RunInspection | None = None
        self._labels = metrics.OTHER, metrics.OTHER
        self._message: objects.Message | None = None
        """None before the run has begun."""
        self._seq = self._stored_seq = 0
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._parts: list[objects.Part] = []
        self._calls: dict[str, objects.Call] = {}
        """The tool calls, by their keys (`store.call_key`)."""
        self._published_calls: set[UUID] = set()
        self._coalescer = engine.Coalescer()
        self._ready: deque[Publishable] = deque()
        """Calls and waits, and the deltas before them, that have left the Coalescer but are not published yet."""
        self._publishing: deque[Publishable] = deque()
        """What `flush` has taken of them."""
        self._unsent_since: float | None = None
        """Unix time of the oldest delta that is not published."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")
        self._has_room = asyncio.Event()

    async def begin(self, started: store.StartedRun, labels: tuple[str, str], inspection: RunInspection | None) -> None:
        """Publish the start. A run that continues, after approvals or a cut-off answer, keeps what it had. `labels` are
        those of its metrics.
        """
        message = self._message = started.message
        self._labels, self._inspection = labels, inspection
        self._text, self._thinking, self._parts = [message.text], [message.thinking], list(message.parts)
        by_id = {call.id: call for call in message.calls}
        self._calls = {key: by_id[pk] for key, pk in started.call_keys.items()}
        self._published_calls = set(by_id)
        if message.run is None or message.run.seq == 0:
            await groups.publish(self._group, events.RunStarted(run=self._run_id, message=message))
            return
        self._seq = self._stored_seq = message.run.seq
        await groups.publish(self._group, events.RunState(run=self._run_id, seq=self._seq, message=message))

    # --- Called by the stream task

    def add_delta(self, delta: engine.TextDelta | engine.ThinkingDelta) -> None:
        """Publish a delta with others, soon."""
        loop = asyncio.get_running_loop()
        if self._unsent_since is None:
            self._unsent_since = time.time()
        self._coalescer.add(delta, loop.time())
        self._schedule(loop)

    def add_text(self, text: str) -> None:
        """Publish a text that ends the answer, with the next flush."""
        self._coalescer.add(engine.TextDelta(text), asyncio.get_running_loop().time())

    def add_notice(self, notice: engine.RetryWait | engine.Fallback) -> None:
        """Publish at once, after the text before it, that the model is waited for, or another one is asked."""
        self._add(notice)

    def add_call(self, call_id: str, **changes: Any) -> None:
        """Publish a new or changed tool call in a frame of its own, after the text before it. If an earlier change is
        not published yet, one frame carries both.
        """
        key = store.call_key(call_id)
        call = self._calls.get(key)
        if call is None:
            call = objects.Call(id=uuid4(), name="", arguments=None, status="running", result=None)
        self._calls[key] = store.sanitize_call(replace(call, **changes))
        if key in self._ready:
            self.wake.set()
        else:
            self._add(key)

    def begin_call(self, call_id: str, name: str, arguments: dict[str, Any]) -> None:
        """Publish a call that the model is still writing, with what is known of its arguments."""
        if store.call_key(call_id) not in self._calls:
            self.add_call(call_id, name=name, arguments=arguments)

    def is_rejected(self, call_id: str) -> bool:
        """Whether a person has decided that the call is not made."""
        call = self._calls.get(store.call_key(call_id))
        return call is not None and call.status == "rejected"

    async def wait_for_room(self) -> None:
        """Wait while too much waits to be published."""
        if self._coalescer.held > MAX_HELD_CHARS or len(self._ready) > MAX_HELD_CALLS:
            self._has_room.clear()
            await self._has_room.wait()

    def _add(self, item: Publishable) -> None:
        self._ready += [*self._coalescer.take(asyncio.get_running_loop().time()), item]
        self.wake.set()

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        due = self._coalescer.due(now)
        if due is None:
            return
        if due <= 0:
            self.wake.set()
        elif now + due < self._timer_at:  # uvloop's handles do not always know their time
            self._disarm()
            self._timer, self._timer_at = loop.call_later(due, self.wake.set), now + due

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._timer_at = None, float("inf")

    # --- Called by the run task

    async def flush(self) -> None:
        """Publish what is gathered. A frame that has its number counts as published, even if the layer loses it.

        Calls are stored before they are published, so that a reload shows them and a person can decide about them.
        """
        self._disarm()
        loop = asyncio.get_running_loop()
        if self._process.liveness.frozen(loop.time()):  # another process may have ended this run meanwhile
            self._process.unfrozen.clear()
            await self._process.unfrozen.wait()
        self._ready += self._coalescer.take(loop.time())
        since, self._unsent_since = self._unsent_since, None
        while self._ready and not self.muted:
            while self._ready and len(self._publishing) < MAX_HELD_CALLS:
                self._publishing.append(self._ready.popleft())
            # A copy: a call that changes from here on is published again.
            calls = {key: self._calls[key] for key in self._publishing if isinstance(key, str)}
            if calls:
                await self._persist(store.save_calls, self._run_id, self._process.host, calls)
            while self._publishing and not self.muted:
                item = self._publishing.popleft()
                frame = self._frame(calls[item] if isinstance(item, str) else item)
                await groups.publish(self._group, frame, since)
                if self._inspection is not None:
                    self._inspection.published(frame)
        self._has_room.set()

    def _frame(
        self, item: engine.TextDelta | engine.ThinkingDelta | engine.RetryWait | engine.Fallback | objects.Call
    ) -> events.RunDelta | events.RunTool | events.RunWaiting | events.RunFallback:
        if not isinstance(item, engine.RetryWait | engine.Fallback):
            self._seq += 1
        match item:
            case engine.RetryWait(seconds):
                return events.RunWaiting(run=self._run_id, retry_in=round(seconds, 1))
            case engine.Fallback(model):
                return events.RunFallback(run=self._run_id, model=model)
            case engine.TextDelta(text):
                metrics.count("streamed_characters_total", len(text), *self._labels)
                self._text.append(text := store.sanitize_text(text))
                self._add_part(objects.TextPart(len(text)))
                return events.RunDelta(run=self._run_id, seq=self._seq, text=text)
            case engine.ThinkingDelta(text):
                metrics.count("streamed_characters_total", len(text), *self._labels)
                self._thinking.append(text := store.sanitize_text(text))
                self._add_part(objects.ThinkingPart(len(text)))
                return events.RunDelta(run=self._run_id, seq=self._seq, thinking=text)
            case objects.Call() as call:
                if call.id not in self._published_calls:
                    self._published_calls.add(call.id)
                    self._add_part(objects.CallPart(call.id))
                return events.RunTool(run=self._run_id, seq=self._seq, call=call)

    def _add_part(self, part: objects.Part) -> None:
        assert self._message is not None
        objects.add_part(self._parts, part, continues=self._message.continues)

    # --- What has been published

    @property
    def seq(self) -> int:
        """The number of the last frame."""
        return self._seq

    def has_running_call(self) -> bool:
        """Whether a tool works."""
        return any(call.status == "running" for call in self._calls.values())

    def state(self, retry_in: float | None) -> events.RunState | None:
        """Everything published so far. None before the run has begun. `retry_in`: seconds until the model is asked
        again, if the run waits for that.
        """
        if self._message is None or self._message.run is None:
            return None
        written = self._written()
        run = replace(self._message.run, seq=written.seq, retry_in=retry_in)
        calls = tuple(self._calls.values())
        message = replace(
            self._message, text=written.text, thinking=written.thinking, calls=calls, parts=written.parts, run=run
        )
        return events.RunState(run=self._run_id, seq=written.seq, message=message)

    def received(self) -> store.Written:
        """What was published, and what still waits to be. Nothing waits after that."""
        for item in [*self._publishing, *self._ready, *self._coalescer.take(asyncio.get_running_loop().time())]:
            if not isinstance(item, str):  # calls that were not published are not shown
                self._frame(item)
        self._publishing.clear()
        self._ready.clear()
        return self._written()

    def checkpoint(self) -> store.Checkpoint | None:
        """What the next heartbeat has to store. None if nothing has been published since the last checkpoint."""
        if self._message is None or self._seq == self._stored_seq:
            return None
        return store.Checkpoint(self._run_id, self._message.id, self._written())

    def stored(self, checkpoint: store.Checkpoint) -> None:
        """The database has taken a checkpoint."""
        self._stored_seq = checkpoint.written.seq

    def _written(self) -> store.Written:
        self._text = ["".join(self._text)]
        self._thinking = ["".join(self._thinking)]
        return store.Written(self._seq, self._text[0], self._thinking[0], tuple(self._parts))
