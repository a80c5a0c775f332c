"""Sends the signals of `signals` for the events that are published: each of them is, once, after its commit."""

import asyncio
from functools import partial
from typing import Any

from django.dispatch import Signal

from .. import signals, store
from ..concurrency import detached
from ..protocol import events
from ..store import executor

sending: set[asyncio.Task[Any]] = set()
"""Started by `send`, never cancelled, awaited by `Node.drain`; nothing escapes."""


async def send(event: events.Event) -> None:
    """Let the receivers of a signal hear of an event. Waits for them only where the event loop is about to end."""
    signal: Signal
    given: dict[str, Any]
    match event:
        case events.MessageCreated(message=message):
            signal, given = signals.message_posted, {"message": message}
        case events.RunStarted(message=message):
            signal, given = signals.run_started, {"run": message.run, "message": message}
        case events.RunFinished():
            fields = ("run", "message", "status", "usage", "error")
            signal, given = signals.run_finished, {name: getattr(event, name) for name in fields}
        case events.RunTool(run=run, call=call) if call.status in ("done", "failed"):
            signal, given = signals.tool_called, {"run": run, "call": call}
        case _:
            return
    await _tell(signal, given)


async def send_feedback(given: store.GivenFeedback) -> None:
    """The same for feedback, which is no event: other readers do not hear of it."""
    fields = {"message": given.message, "feedback": given.feedback, "user": given.user}
    await _tell(signals.feedback_given, fields)


async def _tell(signal: Signal, given: dict[str, Any]) -> None:
    if signal.has_listeners(None):
        task = detached(executor.run_receivers(partial(_send, signal, given)), sending)
        if executor.has_synchronous_caller():
            await asyncio.wait([task])


def _send(signal: Signal, given: dict[str, Any]) -> None:
    signal.send_robust(None, **given)  # which logs what receivers raise
