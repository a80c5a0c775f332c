"""Who does an action, and where: the argument of the asynchronous actions (`messages`, `runs`)."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from .. import turns
from ..node.node import Node
from ..protocol import events
from ..protocol.errors import ErrorCode, Refused
from ..realtime import groups, inbox
from ..runs.supervisor import NO_SOCKET
from ..store import StartedRun


@dataclass(frozen=True)
class Caller:
    """A user in a conversation, at one edge: a socket, the HTTP API, or the form without JavaScript.

    Actions write, so an edge awaits them through `node.tasks.run_to_completion`.
    """

    node: Node
    user_id: Any
    conversation_id: UUID
    launcher: str
    """The first channel of the socket, NO_SOCKET, or "" if a reader comes later; see `Supervisor.start`."""
    reply: Callable[[events.Event], Awaitable[None]]
    """Sends an event to this caller alone."""
    elsewhere: bool = False
    """True if this event loop ends with the request, as under WSGI: another process makes the answers."""

    @property
    def unattended(self) -> bool:
        """Whether nobody's page waits for the answer, so that it is made even if none is open."""
        return self.launcher == NO_SOCKET

    @contextmanager
    def reserve(self) -> Iterator[str | None]:
        """As `Supervisor.reserve`. "" stands for any process, if this one makes no answers."""
        with nullcontext("") if self.elsewhere else self.node.supervisor.reserve() as host:
            yield host

    @contextmanager
    def claim_slot(self) -> Iterator[UUID | None]:
        """As `Supervisor.claim_slot`. None if this process makes no answers."""
        with nullcontext() if self.elsewhere else self.node.supervisor.claim_slot() as run_id:
            yield run_id

    async def publish(self, event: events.Event) -> None:
        """Send an event to everybody in the conversation, the caller too."""
        await groups.publish(groups.conversation(self.conversation_id), event)

    async def explain(self, ref: str | None, refused: Refused | None) -> None:
        """Tell the caller why no agent answers the message that was stored. Does nothing without a refusal."""
        if refused is not None:
            await self.reply(events.Error(ref=ref, code=refused.code, message=str(refused)))

    def start(self, run_id: UUID | None, started: StartedRun | None = None) -> None:
        """Start the run that an action has queued, or `started`, for this process, if any. One that is queued for any
        process is adopted by one that serves sockets, a second later.
        """
        if run_id is not None and not self.elsewhere:
            guest = turns.is_strangers()
            self.node.supervisor.start(run_id, self.conversation_id, self.launcher, started, guest)

    async def changed(self) -> None:
        """Update the conversation in its participants' inboxes: in a moment, but before this event loop ends."""
        if self.elsewhere:
            await inbox.announce(self.conversation_id)
        else:
            self.node.inboxes.changed(self.conversation_id)

    def require_running_node(self) -> None:
        """Refuse new work if this process is about to end. Raises Refused(UNAVAILABLE)."""
        if self.node.draining:
            raise Refused(ErrorCode.UNAVAILABLE, _("The server is restarting. Send it again in a moment."))
