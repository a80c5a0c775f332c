"""One run from start to end: engine events in, frames to the group and rows to the store out. Made by `supervisor`.

A run is two tasks. The *stream task* reads the provider into a Coalescer. Stop, abandonment and shutdown cancel it, but
only once: a second cancellation would interrupt closing the provider's connection. The *run task* is never cancelled.
It publishes what the Coalescer yields and then writes the end that fits.
"""

import asyncio
import logging
from contextlib import aclosing
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.utils import timezone
from msgspec.structs import replace

from .. import agents, engine, hooks, i18n, logs, metrics, store
from ..concurrency import now, own_connections
from ..engine import telemetry
from ..engine.daemon_threads import in_daemon_thread
from ..graphemes import cut
from ..models import Run
from ..protocol import events, objects
from ..realtime import groups, run_ends
from ..store import prompts
from .broadcast import Broadcast
from .document_tools import DocumentTools, shorten_arguments
from .inspection import RunInspection
from .liveness import Process
from .meter import Meter
from .persistence import Persistence

logger = logging.getLogger("nous_chat.runs")

SyncReason = Literal["opened", "gap", "behind"]
"""Why a socket is sent the state of a run: it has just opened, it missed something, or it was behind and caught up."""

MAX_REFUSAL_CHARS = 10_000
"""The longest refusal that is stored and shown. It is an error, and not part of the text."""

CLOSE_TIMEOUT = 5.0
"""Seconds that a cancelled stream task may take to close its connection and its tools. Then the run ends without it."""


class LiveRun:
    """A run that this process makes. The supervisor awaits `run` once, and may call the rest at any time."""

    def __init__(
        self,
        run_id: UUID,
        conversation_id: UUID,
        process: Process,
        launcher: str | None,
        started: store.StartedRun | None = None,
    ) -> None:
        self.id = run_id
        self.conversation_id = conversation_id
        self.launcher = launcher
        """The first channel of the socket that launched it; see `Supervisor.start`."""
        self.agent: str | None = None
        """The slug of the agent that answers. None before the run has begun."""
        self.omitted_seq = 0
        """The number of the newest message that is neither in the prompt nor in a summary. 0 if there is none."""
        self.done = asyncio.Event()
        """Set when this process has finished all work for the run."""
        self.place: int | None = None
        """Its place in the queue, as last published. None if it does not wait."""
        self.labels = metrics.OTHER, metrics.OTHER
        """Its model and agent, for metrics (`agents.labels`)."""
        self.begun_at: float | None = None
        """On the loop's clock: when it began. None before that."""
        self.heard_at = 0.0
        """On the loop's clock: when its model or one of its tools was last heard."""
        self._persistence = Persistence(process)
        self._persist = self._persistence.run
        self.broadcast = Broadcast(run_id, conversation_id, process, self._persistence)
        """What readers get of it."""

        self._process = process
        self._started = started
        """None if it is queued, and `run` has to claim it first."""
        self._retry_at: float | None = None
        """On the loop's clock: when the model is asked again, if the run waits for that."""
        self._first_token_at: datetime | None = None
        self._meter: Meter | None = None
        self._stream: asyncio.Task[engine.Finish | engine.Error] | None = None
        self._cancelled: str | None = None
        self._cancel_reason: objects.Failure | None = None
        self._close_timer: asyncio.TimerHandle | None = None
        self._unchecked: list[str] = []
        """With AFTER_MODEL: the text so far, which nobody sees before the site has checked it."""
        self._withheld: objects.Failure | None = None
        """Why the site does not let the answer be shown."""
        self._changed = False
        """Whether the site has changed the answer, so that models must not be sent the original either."""
        self._documents: DocumentTools | None = None
        """None if the agent has no tools for documents."""
        self._inspection: RunInspection | None = None
        """None if nobody wants it recorded."""
        self._stuck = False
        """The stream task was cancelled, but does not end."""
        self._over = False
        """The end of this part of the run is written, or somebody else writes it."""
        self._next: UUID | None = None
        """The run queued after it."""

    async def run(self) -> UUID | None:
        """Make the run up to its end. Returns the id of the run queued after it, if any.

        Awaited in the run task, `Supervisor._supervise`. Raises store.TooManyRuns before the run has begun. Anything
        else that escapes is unexpected: then the caller must call `fail`.
        """
        started = self._started or await self._persist(self._start)
        if started is None:
            self._over = True
            return None
        self.agent, self.omitted_seq = started.agent, started.omitted_seq
        await self._begin(started)
        self._stream = asyncio.create_task(self._read(started), name=f"stream {self.id}")
        self._stream.add_done_callback(lambda _: self.broadcast.wake.set())
        if self._cancelled is not None:  # stopped while it was starting
            self._cancel_stream()
        try:
            while not (self._stream.done() or self._stuck):
                await self.broadcast.wake.wait()
                self.broadcast.wake.clear()
                await self.broadcast.flush()
            await self.broadcast.flush()
            if self._documents is not None:
                await self._documents.close()
            await self._end(started)
            return self._next
        finally:
            if self._close_timer is not None:
                self._close_timer.cancel()
            if not (self._stream.done() or self._stuck):  # something raised; stop reading the provider
                self._stream.cancel()
                await asyncio.wait([self._stream], timeout=CLOSE_TIMEOUT)

    @property
    def has_started(self) -> bool:
        """Whether it was created as running, so that it does not have to wait for a slot."""
        return self._started is not None

    async def release(self) -> None:
        """Leave the run, which has not begun, to other processes."""
        await self._persist(store.release_runs, self._process.host, [self.id])
        self._over = True

    async def fail(self) -> UUID | None:
        """End the run as failed with the code `internal`, with everything received so far, because something has raised
        that should not. Returns the id of the run queued after it, if any. Nothing escapes.
        """
        if self._over:
            return self._next
        try:
            if self._documents is not None:
                await self._documents.close()
            ending = store.Ending(
                status=Run.Status.FAILED,
                written=self.broadcast.received(),
                error=objects.Failure.from_code("internal"),
                charged_usage=None if self._meter is None else self._meter.usage,
                estimated=True,
                leave_next_to_others=self._process.draining,
            )
            ending = replace(await _index(ending), first_token_at=self._first_token_at)
            finished = await self._persist(store.fail_run, self.id, self._process.host, ending)
            await self._publish_end(ending, finished)
        except Exception:
            logger.exception("The end of run %s could not be written; it will be reaped", self.id)
        return self._next

    def _start(self) -> store.StartedRun | None:
        if self._process.draining:
            # Shutdown began while this waited for the database thread; release the run for another process.
            store.release_runs(self._process.host, [self.id])
            return None
        return store.start_run(self.id, self._process.host)

    async def _begin(self, started: store.StartedRun) -> None:
        """Prepare what counts and records the run, and publish its start."""
        message = started.message
        if started.inspected:
            self._inspection = RunInspection(self.id, self.conversation_id, started.read_at)
            self._inspection.note("began" if started.decisions is None else "resumed", host=self._process.host)
        if started.user is not None:
            logs.bind(user=started.user.pk)
        self.labels = agents.labels(started.agent)
        self.begun_at = self.heard_at = now()
        self._meter = Meter(started.prompt, started.remaining, started.price)
        self._enforce_budgets()
        if message.run is not None and message.run.started_at is not None and started.decisions is None:
            queued = message.run.started_at - message.run.created_at
            metrics.observe("queue_seconds", max(0.0, queued.total_seconds()))
        await self.broadcast.begin(started, self.labels, self._inspection)

    async def _read(self, started: store.StartedRun) -> engine.Finish | engine.Error:
        """The stream task. Started by `run`, cancelled at most once, by `cancel`. What escapes ends the run with the
        error code `internal`.
        """
        try:
            return await self._relay(started)
        except (SystemExit, GeneratorExit) as error:  # by a site's code; out of a task it would end the event loop
            raise RuntimeError(f"The agent raised {type(error).__name__}") from error

    async def _relay(self, started: store.StartedRun) -> engine.Finish | engine.Error:
        """Pass on the agent's events up to the last one, which is returned."""
        loop = asyncio.get_running_loop()
        settings, room = started.settings, started.room
        try:
            agent = agents.build(settings, room.instructions if room else "", room.tools if room else ())
        except engine.ConfigurationError as error:
            return engine.Error(error, engine.Result())
        deps = started.conversation
        if settings.deps:  # only then, because it costs a job in the ORM's thread, for which many runs may wait
            deps = await self._persist(agents.deps, settings, started.user, started.conversation, own=False)
        if agents.writes_documents(settings):
            self._documents = DocumentTools(
                self.id, self._process.host, self.conversation_id, self._persistence, self.broadcast.begin_call
            )
        context = engine.ToolContext(
            user=started.user,
            deps=deps,
            object=room and room.object,
            tools=self._documents.tools if self._documents else (),
            thread_scope=own_connections,
            trace_attributes={telemetry.Attribute.THREAD: str(self.conversation_id), "nous_chat.run.id": str(self.id)},
        )
        prompt = started.prompt
        if any(message.images for message in prompt):
            prompt = await in_daemon_thread(prompts.load_images, prompt)
        if self._documents is not None and started.decisions is None:
            note = await self._documents.describe_changes()
            prompt = [*prompt[:-1], *([engine.Message("user", note)] if note else []), *prompt[-1:]]
        shown = _read_shown(started)
        if started.decisions is None:
            stream = engine.run_stream(agent, prompt, context=context, before=shown)
        else:
            stream = engine.resume(agent, prompt, started.decisions, context=context, before=shown)
        broadcast, meter, inspection = self.broadcast, self._meter, self._inspection
        assert meter is not None
        if inspection is not None:
            inspection.record_engine()
        streamed: dict[str, int] = {}  # characters of arguments, by call
        checks_answers = hooks.checks_answers()  # once: each delta would look it up
        async with aclosing(stream):
            async for event in stream:
                self._retry_at = None
                self.heard_at = loop.time()
                if inspection is not None:
                    inspection.hear(event)
                match event:
                    case engine.RetryWait():
                        self._retry_at = loop.time() + event.seconds
                        broadcast.add_notice(event)
                    case engine.Fallback():
                        broadcast.add_notice(event)
                    case engine.TextDelta() | engine.ThinkingDelta() if checks_answers:
                        self._note_first_token()
                        meter.add_output(len(event.text))
                        if isinstance(event, engine.TextDelta):
                            self._unchecked.append(event.text)
                    case engine.TextDelta() | engine.ThinkingDelta():
                        self._note_first_token()
                        meter.add_output(len(event.text))
                        broadcast.add_delta(event)
                    case engine.ToolCallDelta():
                        self._note_first_token()
                        streamed[event.id] = streamed.get(event.id, 0) + len(event.text)
                        self._count_arguments(len(event.text))
                        if self._documents is not None:
                            self._documents.follow(event)
                    case engine.ToolCall():
                        self._note_first_token()
                        self._count_arguments(max(0, len(event.raw) - streamed.pop(event.id, 0)))
                        arguments = event.arguments
                        if self._documents is not None:
                            arguments = shorten_arguments(event.name, arguments)
                        broadcast.add_call(event.id, name=event.name, arguments=arguments)
                    case engine.ToolResult():
                        meter.add_tool_result(len(event.text))
                        is_rejected = broadcast.is_rejected(event.id)
                        status = "rejected" if is_rejected else "failed" if event.failed else "done"
                        broadcast.add_call(event.id, name=event.name, status=status, result=event.text)
                    case engine.Finish() if checks_answers:
                        return await self._check(event, started)
                    case engine.Finish() | engine.Error():
                        return event
                await broadcast.wait_for_room()
                self._enforce_budgets()
                if self._cancelled is not None:
                    # Let the cancellation happen here: buffered events come without a pause in which it could.
                    await asyncio.sleep(0)
        raise RuntimeError("An agent's stream has to end with Finish or Error.")

    async def _check(self, end: engine.Finish, started: store.StartedRun) -> engine.Finish:
        """Have the site check the whole text, and show what it returns. Its thinking is never shown."""
        user_id = None if started.user is None else started.user.pk
        context = hooks.HookContext(user_id, self.conversation_id, started.agent)
        text = "".join(self._unchecked) or end.result.refusal or ""
        if not text:
            return end
        checked = await hooks.check_answer(context, text)
        if isinstance(checked, objects.Failure):
            self._withheld = checked
        elif end.result.refusal and not self._unchecked:
            return engine.Finish(replace(end.result, refusal=checked))
        else:
            self._changed = checked != text
            self.broadcast.add_text(checked)
        return end

    def _enforce_budgets(self) -> None:
        if self._meter is not None and (exceeded := self._meter.exceeded()):
            self.cancel(Run.Status.FAILED, exceeded)

    async def _end(self, started: store.StartedRun) -> None:
        """Write and publish the end that fits, or that the run waits for approvals."""
        ending = await _index(self._ending(started))
        if ending.awaits_approval:
            waiting = await self._persist(store.await_approval, self.id, self._process.host, ending)
            if waiting is not None and waiting.message is not None:
                self._over = True
                state = events.RunState(run=self.id, seq=waiting.run.seq, message=waiting.message)
                await groups.publish(groups.conversation(self.conversation_id), state)
                self._note("awaits_approval")
                return
            # Somebody has asked to stop it, or another process owns it by now; then `finish_run` changes nothing.
            ending = replace(ending, status=Run.Status.STOPPED, awaits_approval=False)
        ending = replace(ending, first_token_at=self._first_token_at)
        finish = store.Finish(self.id, self._process.host, ending)
        await self._publish_end(ending, await self._persistence.run_together(store.finish_runs, finish))

    async def _publish_end(self, ending: store.Ending, finished: store.FinishedRun | None) -> None:
        self._over = True
        if finished is not None:  # else another process thought this one dead, and has ended the run
            self._next = finished.next
            await run_ends.publish(finished)
        self._note("ended" if finished is not None else "ended_elsewhere", status=ending.status)

    def _note(self, kind: str, **facts: Any) -> None:
        if self._inspection is not None:
            self._inspection.note(kind, **facts)

    def waits_for_model(self, at: float) -> float:
        """Seconds since the model was last heard. 0 if a tool runs, or the run has not begun."""
        works = self.broadcast.has_running_call()
        return 0.0 if self.begun_at is None or works else at - self.heard_at

    @property
    def output_tokens(self) -> int:
        """How many tokens the model has written in this part of the run, as an estimate."""
        return (self._meter.usage.output_tokens or 0) if self._meter is not None else 0

    def _note_first_token(self) -> None:
        if self._first_token_at is None:
            self._first_token_at = timezone.now()
            assert self.begun_at is not None
            metrics.observe("first_token_seconds", now() - self.begun_at, *self.labels)

    def _count_arguments(self, chars: int) -> None:
        """The model has written so much of the arguments of a call."""
        assert self._meter is not None
        self._meter.add_output(chars)
        metrics.count("streamed_characters_total", chars, *self.labels)

    def _ending(self, started: store.StartedRun) -> store.Ending:
        """Derive the run's end from the stream task's. A run that completed before a stop reached it is completed.

        Raises RuntimeError if a site's code has cancelled the stream task.
        """
        assert self._stream is not None
        state, leave_next = self.state(), self._process.draining
        assert state is not None
        answer = state.message
        written = store.Written(state.seq, answer.text, answer.thinking, answer.parts)
        estimate = self._meter.usage if self._meter is not None else None
        bug = None if self._stuck or self._stream.cancelled() else self._stream.exception()
        if self._stuck or self._stream.cancelled() or (bug is not None and self._cancelled is not None):
            if self._cancelled is None:
                raise RuntimeError("The stream task was cancelled, but not by the chat.")
            if self._stuck or bug is not None:
                logger.error("Run %s was cancelled, but its agent did not end cleanly", self.id, exc_info=bug)
            return store.Ending(
                status=self._cancelled,
                written=written,
                answer=answer,
                error=self._cancel_reason,
                charged_usage=estimate,
                estimated=True,
                leave_next_to_others=leave_next or self._cancel_reason is not None,
            )
        if bug is not None:
            logger.error("Run %s failed", self.id, exc_info=bug)
            return store.Ending(
                status=Run.Status.FAILED,
                written=written,
                answer=answer,
                error=objects.Failure.from_code("internal"),
                charged_usage=estimate,
                estimated=True,
                leave_next_to_others=leave_next,
            )
        last = self._stream.result()
        result, error, detail = last.result, None, ""
        hidden = self._withheld is not None or (self._changed and not result.pending)
        if isinstance(last, engine.Error):
            retry_after, detail = getattr(last.error, "retry_after", None), last.error.detail
            logger.warning("Run %s failed (%s): %s", self.id, last.error.code, detail)
            error = objects.Failure(last.error.code, last.error.translated(i18n.in_site_language), retry_after)
        elif self._withheld is not None:
            error = self._withheld
        elif result.refusal and not written.text:
            error = objects.Failure("refused", cut(result.refusal, MAX_REFUSAL_CHARS))
        elif not written.text.strip() and not result.pending and result.messages and result.messages[-1].tool_calls:
            # Calls of tools that the agent does not have, and nothing else.
            error = objects.Failure.from_code("empty_answer")
        return store.Ending(
            status=Run.Status.COMPLETED if error is None else Run.Status.FAILED,
            written=written,
            answer=answer,
            usage=_total(started.message.run, result.usage),
            charged_usage=result.usage or estimate,
            estimated=result.usage is None,
            model=f"{result.provider}:{result.model}",
            finish_reason=result.finish_reason,
            error=error,
            error_detail=detail,
            transcript=[] if hidden else [*started.transcript, *result.messages],
            awaits_approval=error is None and bool(result.pending),
            leave_next_to_others=leave_next,
        )

    # --- Called by the supervisor

    def cancel(self, status: str, reason: objects.Failure | None = None) -> None:
        """End the stream; the run then ends with `status`. Only the first call has an effect."""
        if self._cancelled is not None:
            return
        self._cancelled, self._cancel_reason = status, reason
        self._note("cancelled", status=status, code=reason.code if reason else "")
        if self._stream is not None:
            self._cancel_stream()

    def _cancel_stream(self) -> None:
        assert self._stream is not None
        self._stream.cancel()
        self._close_timer = asyncio.get_running_loop().call_later(CLOSE_TIMEOUT, self._abandon_stream)

    def _abandon_stream(self) -> None:
        """The stream task ignores its cancellation, as an agent or a tool of the site may. Go on without it."""
        assert self._stream is not None
        self._stuck = not self._stream.done()
        self.broadcast.wake.set()

    def disown(self) -> None:
        """Another process has ended this run. Publish nothing more, and stop reading the provider."""
        self.broadcast.muted = True
        self.cancel(Run.Status.INTERRUPTED)

    def state(self) -> events.RunState | None:
        """Everything published so far. None before the run has begun."""
        retry_in = None
        if self._retry_at is not None:
            retry_in = round(max(0.0, self._retry_at - asyncio.get_running_loop().time()), 1)
        return self.broadcast.state(retry_in)

    def synced(self, why: SyncReason) -> None:
        """A socket is sent its `state`."""
        if self._inspection is not None:
            self._inspection.synced(why, self.broadcast.seq)

    async def keep_recording(self) -> None:
        """Write what the run inspector has recorded, if anything, when all else is done. Nothing escapes."""
        if self._inspection is not None:
            await self._inspection.keep(self._persist, at_once=self._process.draining)


async def _index(ending: store.Ending) -> store.Ending:
    """The ending with the words of its text, for the search."""
    return replace(ending, words=await store.extract_words(ending.written.text))


def _read_shown(started: store.StartedRun) -> engine.Result:
    """What readers have of the answer before this stream. A text that was cut off continues without a blank line."""
    message, parts = started.message, started.message.parts
    cut_off = started.decisions is None and parts and isinstance(parts[-1], objects.TextPart)
    return engine.Result("" if cut_off else message.text, message.thinking)


def _total(run: objects.Run | None, usage: engine.Usage | None) -> engine.Usage | None:
    """The usage of a whole run, including what it used before its approvals."""
    before = run.usage if run else None
    return before + usage if before and usage else usage or before
