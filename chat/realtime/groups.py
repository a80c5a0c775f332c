"""Group names, and what is sent to groups. The only module that knows who hears what.

A layer loses messages by design, so nothing that must arrive depends on it
(docs/decisions/0002-the-row-is-the-truth.md). Its messages are dicts whose `type` is:

    frame         text      to every socket of a conversation or of a user: an encoded event
                  run, seq  of a delta or a tool call, as well: its run, and its number in it
                  since     of these, if it is known: when the model sent its first delta, as Unix time
                  over      of `run.finished`, as well: its run
    resnapshot              to the same sockets: frames were lost, send a new snapshot
    who_is_here   host      to every socket of a conversation: every process but the asking one publishes its people
    roll_call               to the same sockets: is anybody reading? answered by `reader_present`
    check_access            to every socket of a user, or of a conversation: re-check access
    signed_out    session   to every socket of a user: close, if this session is yours
    stop, sync, reader_left, reader_present
                            to the process that owns the conversation's active run (`node/peers.py`)
    echo          server, number
                            from a process to itself: does this server of the layer still deliver?
    alive         host, channel, asks
                            to every process, every five seconds: this one lives; if it asks, the others answer so
    gone          host      to every process: this one ends
    report_wanted host, channel
                            to every process: all others send that channel a `report` (`monitoring/reporter.py`)
    watched       what      to every process: somebody watches, so each sends reports, or its log, once a second
    past_wanted   channel   to every process: each sends that channel its last hour, as a `report`
    log_wanted    channel, content
                            to every process: each sends that channel the log that it has kept, as a `log`
    report        host, text
                            what a process measures: an encoded `monitoring.reports.Report`, or its `Past`
    log           text, lines
                            new lines of a process's log: an encoded `monitoring.live_log.LogFrame`, and how many
"""

import asyncio
import hashlib
from collections.abc import Coroutine, Iterable
from itertools import count, islice
from typing import Any
from uuid import UUID

from ..protocol import events
from . import layer, servers, site_signals
from .layer import LayerMessage

PUBLISHED_TOGETHER = 50
"""How many groups `publish_all` sends to at a time."""


def conversation(conversation_id: UUID) -> str:
    """Every socket of a conversation."""
    return f"nous_chat.conversation.{conversation_id.hex}"


def owner(conversation_id: UUID) -> str:
    """The process that owns the conversation's active run."""
    return f"nous_chat.owner.{conversation_id.hex}"


def inbox(user_id: Any) -> str:
    """Every inbox socket of a user."""
    return f"nous_chat.inbox.{_digest(user_id)}"


def account(user_id: Any) -> str:
    """Every socket of a user, for access re-checks."""
    return f"nous_chat.account.{_digest(user_id)}"


def echo(host: str, server: int) -> str:
    """One process, by way of one server of the layer. Its last number makes this server carry it."""
    name = f"nous_chat.echo.{_digest(host)}"
    return next(group for number in count() if servers.of_group(group := f"{name}.{number}") == server)


def processes() -> str:
    """Every process that makes runs."""
    return "nous_chat.processes"


def watchers() -> str:
    """Every socket that watches what the processes report."""
    return "nous_chat.watchers"


def log_readers(content: bool) -> str:
    """Every socket that reads the log of all processes: with what people wrote, or without."""
    return "nous_chat.log_readers" + (".content" if content else "")


def _digest(value: Any) -> str:
    """A hash of a user's primary key, or of a host, which may contain characters that a group name may not."""
    return hashlib.sha256(str(value).encode()).hexdigest()[:32]


async def publish(group: str, event: events.Event, since: float | None = None) -> None:
    """Send an event to every socket in a group. `since` is when the model sent the delta that waits longest in it."""
    message: LayerMessage = {"type": "frame", "text": events.encode(event)}
    if isinstance(event, (events.RunDelta, events.RunTool)):
        message |= {"run": event.run.hex, "seq": event.seq}
        if since is not None:
            message["since"] = since
    elif isinstance(event, events.RunFinished):
        message["over"] = event.run.hex
    await layer.send_to_group(group, message)
    await site_signals.send(event)


async def publish_all(publications: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Await many `publish`, a few at a time: these share a round trip to Redis, and streams do not wait for all."""
    waiting = iter(publications)
    while together := list(islice(waiting, PUBLISHED_TOGETHER)):
        await asyncio.gather(*together)


async def reply(channel: str, event: events.Event) -> None:
    """Send an event to one socket, whichever process serves it."""
    await layer.send(channel, {"type": "frame", "text": events.encode(event)})
