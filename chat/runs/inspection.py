"""Records one run for the run inspector (docs/monitoring.md): what the engine does, what readers get, and who they are.

Everything is gathered in the memory of the run's process and written once, after the end of the run. A process that is
killed loses it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.utils import timezone

from .. import engine, store
from ..concurrency import cancel_and_wait, now
from ..engine.providers import recording
from ..protocol import events
from ..realtime import groups, layer
from ..realtime.mailbox import Away, mailbox

logger = logging.getLogger("nous_chat.runs")

MAX_ARGUMENT_CHARS = 10_000
"""How much is kept of the arguments, and of the result, of a tool call. The transcript has all of both."""

ANSWERED_WITHIN = 1.0
"""Seconds in which every process says who reads there (realtime/presence.py). A shorter run is recorded for as long."""

_PRESENCE = '{"type":"presence"'
"""How a frame begins that says who is at the sockets of a process."""


class RunInspection:
    """The recording of a run, or of its part up to an approval. It begins when it is made; `read_at` is when the prompt
    was read.
    """

    def __init__(self, run_id: UUID, conversation_id: UUID, read_at: datetime | None) -> None:
        self._run_id = run_id
        self._conversation_id = conversation_id
        self._read_at = read_at or timezone.now()
        self._tape = recording.Recording(bounded=True)
        self._asked_at = now()
        self._following = asyncio.create_task(self._follow_readers(), name=f"readers of {run_id}")

    def record_engine(self) -> None:
        """Record what the engine does in this context from now on."""
        recording.recording.set(self._tape)

    def note(self, kind: str, **facts: Any) -> None:
        """Something happens to the run."""
        self._tape.note(kind, **facts)

    def synced(self, why: str, seq: int) -> None:
        """A socket is sent everything up to this frame (`run.SyncReason`)."""
        self._tape.note_aside(f"synced_{why}", seq=seq)

    def hear(self, event: engine.Event) -> None:
        """The agent's stream yields an event."""
        match event:
            case engine.TextDelta(text) | engine.ThinkingDelta(text):
                self._tape.add(event.kind, text)
            case engine.ToolCallDelta(text=text):
                self._tape.add("arguments", text)
            case engine.ToolCall(name=name, raw=raw):
                self._tape.note("call", tool=name, arguments=raw[:MAX_ARGUMENT_CHARS])
            case engine.ToolResult(name=name, text=text, failed=failed):
                self._tape.note("result_failed" if failed else "result", tool=name, text=text[:MAX_ARGUMENT_CHARS])
            case engine.RetryWait(seconds, code):
                self._tape.note("waiting", seconds=round(seconds, 1), code=code)
            case engine.Fallback(model, code):
                self._tape.note("answers_instead", model=model, code=code)
            case engine.Finish(result):
                usage = result.usage and msgspec.to_builtins(result.usage)
                self._tape.note("finish", reason=result.finish_reason or "-", usage=usage)
            case engine.Error(error):
                self._tape.note("error", code=error.code, detail=error.detail)

    def published(self, event: events.Event) -> None:
        """Readers are sent an event."""
        if isinstance(event, events.RunDelta | events.RunTool):
            self._tape.add("frames", str(event.seq), 1)

    async def keep(self, persist: Callable[..., Awaitable[bool]], *, at_once: bool) -> None:
        """Write the recording, when everything else of the run is done; `at_once` if the process is about to end.
        `persist` is `Persistence.run`. Nothing escapes: a recording that cannot be kept is no failure of the run.
        """
        try:
            if not at_once:
                await asyncio.sleep(self._asked_at + ANSWERED_WITHIN - now())
            await cancel_and_wait(self._following)
            # In a thread, because masking takes milliseconds.
            content = await asyncio.to_thread(lambda: recording.encode(self._tape.freeze()))
            if not await persist(
                store.save_recording, self._run_id, self._conversation_id, self._read_at, content, own=False
            ):
                logger.info("What was recorded of run %s is not kept: something of it was deleted", self._run_id)
        except Exception:
            logger.exception("What was recorded of run %s could not be kept", self._run_id)

    async def _follow_readers(self) -> None:
        """Note who begins and who ceases to read, as all processes publish it. Started by `__init__`, cancelled by
        `keep`; nothing escapes.
        """
        group = groups.conversation(self._conversation_id)
        here: dict[str, dict[str, str]] = {}
        try:
            async with mailbox(group) as box:
                await layer.send_to_group(group, {"type": "who_is_here", "host": ""})
                while True:
                    text = (await box.receive()).get("text", "")
                    if text.startswith(_PRESENCE):
                        before = _names(here)
                        presence = msgspec.json.decode(text, type=events.Presence)
                        here[presence.host] = {person.id: person.name for person in presence.people}
                        self._note_readers(before, _names(here))
        except Away:
            self._tape.note_aside("readers_unknown")
        except Exception:
            logger.exception("The readers of run %s could not be followed", self._run_id)

    def _note_readers(self, before: dict[str, str], after: dict[str, str]) -> None:
        for key in after.keys() - before.keys():
            self._tape.note_aside("reads", name=after[key])
        for key in before.keys() - after.keys():
            self._tape.note_aside("left", name=before[key])


def _names(here: dict[str, dict[str, str]]) -> dict[str, str]:
    """The names of those who read, by their ids, at all processes together."""
    return {key: name for people in here.values() for key, name in people.items()}
