"""The open sockets of this process. Sockets add themselves; `node` and `outages` address all of them."""

import asyncio
import logging
from collections.abc import Sequence
from random import uniform
from typing import Protocol
from uuid import UUID

from ..protocol import events
from . import groups, servers

logger = logging.getLogger("nous_chat.realtime")

SPREAD = 2.0
"""Seconds over which sockets load new snapshots, so that they do not all query the database at once."""


SOCKET_KINDS = ("conversation", "inbox", "dashboard", "stream", "other")
"""Kinds of sockets, for metrics: of a conversation, of an inbox, of the dashboard, of one of the first two over HTTP,
and of an unknown address.
"""


class LocalSocket(Protocol):
    """An open socket of this process, as the hub sees it."""

    reads: UUID | None
    """The conversation it shows. None for an inbox, before entering a conversation, and after leaving it."""
    channel: str
    shows: Sequence[str]
    """The groups whose frames it forwards. Empty before it has entered."""
    kind: str
    """What it shows, one of SOCKET_KINDS."""

    async def answer(self, event: events.Event) -> None:
        """Send an event to this socket alone."""

    async def notify(self, code: str) -> None:
        """Show the reader, in their language, one of `outages.NOTICES`."""

    async def restart(self) -> None:
        """Ask the reader's browser to reconnect, and close."""

    def resnapshot(self) -> None:
        """Send a new snapshot: frames may have been lost."""

    def recheck(self) -> None:
        """Join its groups again, and check whether its user still has access."""

    def watch(self, now: float) -> None:
        """Check whether the reader keeps up and still has access. Called once every TICK."""


class Hub:
    """Every socket of this process, of all users and conversations."""

    def __init__(self) -> None:
        self.sockets: set[LocalSocket] = set()
        """Each socket adds and removes itself."""

    def has_reader(self, conversation_id: UUID) -> bool:
        """Whether a socket of this process shows a conversation."""
        return any(socket.reads == conversation_id for socket in self.sockets)

    def conversations(self) -> set[UUID]:
        """The conversations that sockets of this process show."""
        return {socket.reads for socket in self.sockets if socket.reads is not None}

    async def reply(self, channel: str, event: events.Event) -> None:
        """Send an event to one socket of any process; directly if it is one of ours, so that no layer is needed."""
        ours = next((socket for socket in self.sockets if socket.channel == channel), None)
        await (ours.answer(event) if ours is not None else groups.reply(channel, event))

    def showing(self, server: int) -> list[LocalSocket]:
        """The sockets that show a group of this server of the layer."""
        return [socket for socket in self.sockets if any(servers.of_group(group) == server for group in socket.shows)]

    def resnapshot(self, why: str, server: int | None = None) -> None:
        """Have every socket (or those that show a group of this server) send a new snapshot within SPREAD seconds."""
        logger.info("%s: sockets load new snapshots", why)
        for socket in self.sockets if server is None else self.showing(server):
            asyncio.get_running_loop().call_later(uniform(0, SPREAD), socket.resnapshot)

    def recheck_others(self, server: int) -> None:
        """Have the sockets that show no group of this server join again, within SPREAD seconds, those that they only
        listen to.
        """
        for socket in self.sockets.difference(self.showing(server)):
            if socket.shows:
                asyncio.get_running_loop().call_later(uniform(0, SPREAD), socket.recheck)

    def watch(self, now: float) -> None:
        """Have every socket check its reader."""
        for socket in list(self.sockets):
            socket.watch(now)

    async def restart(self, seconds: float) -> None:
        """Ask every browser to reconnect elsewhere. Waits at most `seconds` until all are told."""
        if self.sockets:
            told = [asyncio.ensure_future(socket.restart()) for socket in self.sockets]
            await asyncio.wait(told, timeout=seconds)
